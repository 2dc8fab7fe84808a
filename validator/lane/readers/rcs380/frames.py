"""The frames of a Port-100, the chip of an RC-S380. nfcpy's Frame makes and splits them.

nfcpy takes what follows a frame's head for its data, whatever the lengths and checksums say, so a
cut-off answer would be a shorter answer. `parse` checks them, takes any bytes and raises nothing.
"""

from enum import Enum

from nfc.clf import rcs380

_HEAD_BYTES, _TAIL_BYTES = 8, 2
_FROM_HOST, _FROM_CHIP = 0xD6, 0xD7
ABORT = bytes(rcs380.Chipset.ACK)
"""The host's ACK: the chip drops the command that it works on."""


class Other(Enum):
    """A transfer that holds no answer."""

    ACK = "the command was received"
    WRONG = "no frame of this chip, or one that it answers to an invalid command"


def command(code: int, body: bytes) -> bytes:
    """Return the frame of a command."""
    return bytes(rcs380.Frame(bytearray((_FROM_HOST, code)) + body))


def parse(transfer: bytes) -> tuple[int, bytes] | Other:
    """Return the answer in one bulk transfer: the code of its command, and the data behind it."""
    frame = rcs380.Frame(bytearray(transfer))
    if frame.type == "ack":
        return Other.ACK
    if frame.type != "data" or not _is_whole(transfer):
        return Other.WRONG
    data = bytes(frame.data)
    if len(data) < 2 or data[0] != _FROM_CHIP or not data[1] & 1:  # noqa: PLR2004  (two codes)
        return Other.WRONG
    return data[1] - 1, data[2:]


def _is_whole(transfer: bytes) -> bool:
    end = len(transfer) - _TAIL_BYTES
    return (
        end >= _HEAD_BYTES
        and int.from_bytes(transfer[5:7], "little") == end - _HEAD_BYTES
        and sum(transfer[5:8]) & 0xFF == 0
        and sum(transfer[8 : end + 1]) & 0xFF == 0
    )
