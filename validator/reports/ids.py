"""The id of a report: drawn once on the gate, so that the back office stores no report twice."""

import secrets
from collections.abc import Callable

_VERSION = 0x7000
_BITS = 96  # 74, and the milliseconds
_VARIANT = 1 << 63
_MILLISECONDS_MAX = (1 << 48) - 1  # until the year 10889; a clock may be further ahead


def uuid7(unix_s: int, draw: Callable[[int], int] = secrets.randbits) -> str:
    """A UUID that sorts by time (RFC 9562, 5.7). The second is enough: its milliseconds are random.

    Args:
        unix_s: The time of the tap.
        draw: Returns that many random bits.
    """
    drawn = draw(_BITS)
    unix_ms = (unix_s * 1_000 + (drawn >> 74) % 1_000) & _MILLISECONDS_MAX
    high = unix_ms << 16 | _VERSION | (drawn >> 62) & 0xFFF
    low = _VARIANT | drawn & (1 << 62) - 1
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
