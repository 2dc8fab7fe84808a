"""Joins the CRC-32 of two stretches, so that planes can be written side by side and summed as one.

zlib has this as crc32_combine; Python's zlib has it from 3.15 on. A CRC is a remainder modulo a
polynomial over GF(2): the bytes that follow multiply the first one by x to the number of their
bits. Polynomials have their highest power in the lowest bit.
"""

_MODULUS = 0xEDB88320
_ONE = 1 << 31
_X = 1 << 30


def crc32_joined(first: int, second: int, second_bytes: int) -> int:
    """`crc32(a + b)`, from `crc32(a)`, `crc32(b)` and `len(b)`."""
    return _product(_x_to_the(8 * second_bytes), first) ^ second


def _product(one: int, other: int) -> int:
    product = 0
    while one:
        if one & _ONE:
            product ^= other
        one = one << 1 & 0xFFFFFFFF
        other = other >> 1 ^ (_MODULUS if other & 1 else 0)
    return product


def _x_to_the(power: int) -> int:
    result, square = _ONE, _X
    while power:
        if power & 1:
            result = _product(result, square)
        square = _product(square, square)
        power >>= 1
    return result
