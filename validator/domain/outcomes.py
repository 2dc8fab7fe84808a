"""All that a gate shows a passenger. No outcome shows why a card was refused: health data."""

from enum import IntEnum


class Outcome(IntEnum):
    """The pictures a gate can show; the numbers go over the wire (docs/board-protocol.md, SHOW)."""

    READY = 0
    ADMITTED = 1
    ADMITTED_WITH_NOTICE = 2
    DENIED = 3
    TRY_AGAIN = 4
    UNSUPPORTED = 5
    OUT_OF_SERVICE = 6
    EMERGENCY = 7  # the arms hang free: no card is needed


class Direction(IntEnum):
    """Which way the arms turn; the numbers go over the wire (docs/board-protocol.md, OPEN)."""

    ENTRY = 0
    EXIT = 1


_EPOCH_UNIX_S = 1_577_836_800  # 2020-01-01 00:00 UTC
_LOCAL_AHEAD_S = 3 * 3_600  # İstanbul has kept UTC+3 all year since 2016
_DAY_S = 86_400


def board_date(unix_s: int) -> int:
    """Return the local day of a moment as SHOW has it: days since 2020-01-01, 1 to 65535.

    Args:
        unix_s: the moment; 0 for no date, which is 0 on the board, too.
    """
    if not unix_s:
        return 0
    return min(max((unix_s - _EPOCH_UNIX_S + _LOCAL_AHEAD_S) // _DAY_S, 1), 0xFFFF)
