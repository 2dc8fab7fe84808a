"""What a passenger can see and hear, and nothing more: no outcome says why a card was refused, since that is health data."""

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


class Direction(IntEnum):
    """Which way the arms turn; the numbers go over the wire (docs/board-protocol.md, OPEN)."""

    ENTRY = 0
    EXIT = 1
