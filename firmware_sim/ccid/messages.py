"""The reader's codec of CCID messages (USB CCID specification 1.1, section 6).

A message is its type, the length of its data (four bytes, low byte first), the slot, a sequence
number, three bytes of its own, the data.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Answer", "Command", "Error", "Icc", "Messages", "Type", "slot_change"]

HEAD = struct.Struct("<BIBB3s")


class Type(IntEnum):
    """The host's commands (6.1)."""

    SET_PARAMETERS = 0x61
    POWER_ON = 0x62
    POWER_OFF = 0x63
    SLOT_STATUS = 0x65
    ESCAPE = 0x6B
    GET_PARAMETERS = 0x6C
    RESET_PARAMETERS = 0x6D
    XFR_BLOCK = 0x6F


class Reply(IntEnum):
    """The reader's answers (6.2)."""

    DATA_BLOCK = 0x80
    SLOT_STATUS = 0x81
    PARAMETERS = 0x82
    ESCAPE = 0x83


class Icc(IntEnum):
    """The card in a slot, in the status byte of every answer (6.2.6)."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


class Error(IntEnum):
    """Why a command failed, in the error byte (6.2.6)."""

    NONE = 0x81  # the byte means nothing then
    NOT_SUPPORTED = 0x00
    BAD_LENGTH = 0x01
    BAD_SLOT = 0x05
    HARDWARE = 0xFB
    MUTE = 0xFE


REPLIES = {
    Type.SET_PARAMETERS: Reply.PARAMETERS,
    Type.POWER_ON: Reply.DATA_BLOCK,
    Type.POWER_OFF: Reply.SLOT_STATUS,
    Type.SLOT_STATUS: Reply.SLOT_STATUS,
    Type.ESCAPE: Reply.ESCAPE,
    Type.GET_PARAMETERS: Reply.PARAMETERS,
    Type.RESET_PARAMETERS: Reply.PARAMETERS,
    Type.XFR_BLOCK: Reply.DATA_BLOCK,
}
FAILED = 0x40  # bmCommandStatus
T1_PARAMETERS = bytes.fromhex("11100000fe00fe")
NOTIFY_SLOT_CHANGE = 0x50


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the host. `kind` may be none of `Type`."""

    kind: int
    slot: int
    sequence: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command comes to."""

    icc: Icc
    data: bytes = b""
    error: Error = Error.NONE

    def encode(self, command: Command) -> bytes:
        """Return the message that answers `command`."""
        failed = self.error is not Error.NONE
        kind = REPLIES.get(Type(command.kind)) if command.kind in set(Type) else None
        if kind is None:
            kind = Reply.SLOT_STATUS
        data = b"" if failed else self.data
        if kind is Reply.PARAMETERS and not failed:
            data = T1_PARAMETERS
        last = 1 if kind is Reply.PARAMETERS else 0  # the protocol; or no chain
        own = bytes((self.icc | (FAILED if failed else 0), self.error if failed else 0, last))
        return HEAD.pack(kind, len(data), command.slot, command.sequence, own) + data


class Messages:
    """The commands in the pieces that a host sends."""

    def __init__(self, bytes_max: int) -> None:
        """Refuse messages longer than `bytes_max`: what is left of a piece is skipped then."""
        self._bytes_max = bytes_max
        self._received = bytearray()
        self.skipped = 0

    def feed(self, data: bytes) -> Iterator[Command]:
        """Take a piece; yield the commands that are whole by it."""
        self._received += data
        while len(self._received) >= HEAD.size:
            kind, length, slot, sequence, _ = HEAD.unpack_from(self._received)
            if HEAD.size + length > self._bytes_max:
                self.skipped += 1
                self._received.clear()
                return
            if len(self._received) < HEAD.size + length:
                return
            body = bytes(self._received[HEAD.size : HEAD.size + length])
            del self._received[: HEAD.size + length]
            yield Command(kind, slot, sequence, body)

    def clear(self) -> None:
        """Forget a message of which a part has come."""
        self._received.clear()


def slot_change(*, present: bool) -> bytes:
    """Return RDR_to_PC_NotifySlotChange for slot 0: a card came, or left (6.3.1)."""
    changed = 2
    return bytes((NOTIFY_SLOT_CHANGE, changed | present))
