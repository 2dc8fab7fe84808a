"""The numbers of PC/SC as pcsc-lite has them (pcsclite.h), and its errors."""

from enum import IntEnum, IntFlag

PNP = r"\\?PnP?\Notification"
"""The name under which a wait reports that a reader came or went."""


class Code(IntEnum):
    """What a function returns."""

    SUCCESS = 0
    CANCELLED = 0x80100002
    INVALID_HANDLE = 0x80100003
    INSUFFICIENT_BUFFER = 0x80100008
    UNKNOWN_READER = 0x80100009
    TIMEOUT = 0x8010000A
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    PROTO_MISMATCH = 0x8010000F
    COMM_ERROR = 0x80100013
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    NO_ACCESS = 0x80100027
    NO_READERS = 0x8010002E
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069
    SECURITY_VIOLATION = 0x8010006A


SERVICE_GONE = frozenset(
    {Code.COMM_ERROR, Code.NO_SERVICE, Code.SERVICE_STOPPED, Code.INVALID_HANDLE}
)
"""pcscd has ended: the context is of no use any more."""

READER_GONE = frozenset({Code.UNKNOWN_READER, Code.READER_UNAVAILABLE})


class Share(IntEnum):
    """How a card is shared with other programs."""

    SHARED = 2
    DIRECT = 3


class Protocols(IntFlag):
    """The protocols of a connection."""

    T0 = 1
    T1 = 2
    RAW = 4


class State(IntFlag):
    """The low word of a slot's state; the high word counts its events."""

    UNAWARE = 0
    CHANGED = 0x0002
    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020


class PcscError(Exception):
    """A function of libpcsclite failed.

    Attributes:
        code: what it returned; a `Code` or another number.
    """

    def __init__(self, code: int, function: str) -> None:
        super().__init__(f"{function}: {code:08X}")
        self.code = code
        self.function = function
