"""A transfer between host and device, and how it ended: what every carrier has in common."""

import struct
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Completion", "Setup", "Status", "Transfer"]


class Status(Enum):
    """How a transfer ended; each carrier has numbers of its own for these."""

    OK = auto()
    STALL = auto()
    BABBLE = auto()
    CANCELLED = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes of a control transfer's setup stage (USB 2.0, 9.3)."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @property
    def is_in(self) -> bool:
        """Whether the data stage goes from the device to the host."""
        return bool(self.request_type & 0x80)

    @classmethod
    def parse(cls, data: bytes) -> "Setup":
        """Parse eight bytes, as they go over the wire."""
        return cls(*struct.unpack("<BBHHH", data))


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a host asks for.

    Attributes:
        key: names the transfer in its Completion, and to cancel it; unique while it is pending.
        endpoint: the endpoint's address, with 0x80 for IN; 0 for a control transfer.
        length: how many bytes an IN transfer takes at most.
        data: the bytes of an OUT transfer, or of a control transfer's data stage.
        setup: of a control transfer; None otherwise.
    """

    key: Hashable
    endpoint: int
    length: int
    data: bytes = b""
    setup: Setup | None = None

    @property
    def is_in(self) -> bool:
        """Whether the data goes from the device to the host."""
        return bool(self.endpoint & 0x80) if self.setup is None else self.setup.is_in


@dataclass(frozen=True, slots=True)
class Completion:
    """How the transfer of that key ended.

    Attributes:
        key: the transfer's.
        status: how it ended.
        data: what an IN transfer brought.
        count: how many bytes went over the wire, in either direction.
    """

    key: Hashable
    status: Status
    data: bytes = b""
    count: int = 0
