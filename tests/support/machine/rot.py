"""What a disk does to a file's bytes: single bits, holes of zeros, a lost end."""

from collections.abc import Iterator
from pathlib import Path
from random import Random


def flipped(content: bytes, bit: int) -> bytes:
    """`content` with one bit turned over; `bit` counts from the first byte's lowest."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def every_bit(content: bytes) -> Iterator[bytes]:
    """Every copy of `content` with one bit turned over."""
    return (flipped(content, bit) for bit in range(8 * len(content)))


def torn(content: bytes, sector_bytes: int = 512) -> Iterator[bytes]:
    """Yield copies of `content`: cut to each length from 0 on, then with each sector as zeros.

    Never the whole.
    """
    yield from (content[:length] for length in range(len(content)))
    for at in range(0, len(content), sector_bytes):
        size = len(content[at : at + sector_bytes])
        yield content[:at] + bytes(size) + content[at + size :]


def write_over(path: Path, content: bytes) -> None:
    """Change the file in place, as a disk does it."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def damaged(content: bytes, random: Random) -> bytes:
    """A damaged copy, drawn at random: mostly with one bit turned over."""
    match random.randrange(8):
        case 0:
            return content[: random.randrange(len(content))]
        case 1:
            at = random.randrange(len(content))
            return content[:at] + bytes(min(512, len(content) - at)) + content[at + 512 :]
        case _:
            return flipped(content, random.randrange(8 * len(content)))
