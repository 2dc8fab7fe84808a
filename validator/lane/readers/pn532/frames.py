"""Finds frames in the bytes that a PN532 sends over its UART. It reads no port, parses no frame.

nfcpy takes any six bytes for the head of a frame, so after one byte of noise every later answer is
an error. Here noise is skipped up to the next start code with good checksums behind it, so a frame
behind noise is still served. Frame layout: PN532 user manual (UM0701-02), section 6.2.1.
"""

ACK = bytes.fromhex("0000ff00ff00")
_START = b"\x00\x00\xff"
_HEAD_LENGTH = 5  # preamble, start code, LEN, LCS
_EXTENDED_HEAD_LENGTH = 8  # the same with FF FF, LEN as two bytes, LCS
_CHECKSUM_LENGTH = 1
_POSTAMBLE = 0x00
_EXTENDED_DATA_MAX = 265  # TFI, command, 263 bytes; a greater length is noise


class FrameSplitter:
    """Takes bytes in pieces of any size, gives whole frames. Holds one frame, 273 bytes, at most.

    `garbled` is set when bytes were skipped that belong to no good frame. The caller clears it.
    """

    __slots__ = ("_bytes", "garbled")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.garbled = False

    def feed(self, chunk: bytes) -> None:
        """Add received bytes; then call `next_frame` until it returns None."""
        self._bytes += chunk

    def next_frame(self) -> bytearray | None:
        """Return the next whole frame, with one preamble byte and the postamble, or None."""
        waiting = self._bytes
        while self._to_start_code():
            length = _frame_length(waiting)
            if length is None or len(waiting) < length:
                return None
            frame = waiting[:length]
            if length and _is_sound(frame):
                del waiting[:length]
                # The postamble carries nothing, so it is not waited for. Whoever waits for a lost
                # one takes the first byte of the next frame for it.
                frame.append(_POSTAMBLE)
                return frame
            self._refuse_start_code()
        return None

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun whose rest is not here."""
        return self._bytes.startswith(_START)

    def give_up_frame(self) -> None:
        """Search behind the start code of the unfinished frame, whose rest will not come."""
        if self.unfinished:
            self._refuse_start_code()

    def clear(self) -> None:
        """Drop what was received."""
        self._bytes.clear()
        self.garbled = False

    def _to_start_code(self) -> bool:
        start = self._bytes.find(_START)
        if start < 0:
            self._skip(len(self._bytes) - _zeros_at_end(self._bytes))
            return False
        self._skip(start)
        return True

    def _skip(self, count: int) -> None:
        # Zeros are no damage: a preamble may be of any length.
        self.garbled = self.garbled or any(self._bytes[:count])
        del self._bytes[:count]

    def _refuse_start_code(self) -> None:
        self.garbled = True
        del self._bytes[:1]


def _zeros_at_end(waiting: bytearray) -> int:
    """How many of the last bytes may be the first ones of a start code: 0, 1 or 2."""
    return min(2, len(waiting) - len(waiting.rstrip(b"\x00")))


def _frame_length(waiting: bytearray) -> int | None:
    """Return the length of the frame at the start; 0 if none can be there; None if unknown yet."""
    if len(waiting) < _HEAD_LENGTH:
        return None
    length, check = waiting[3], waiting[4]
    if (length, check) == (0x00, 0xFF):
        return _HEAD_LENGTH
    if (length, check) == (0xFF, 0xFF):
        return _extended_length(waiting)
    if length == 0 or (length + check) & 0xFF:
        return 0
    return _HEAD_LENGTH + length + _CHECKSUM_LENGTH


def _extended_length(waiting: bytearray) -> int | None:
    if len(waiting) < _EXTENDED_HEAD_LENGTH:
        return None
    length = waiting[5] << 8 | waiting[6]
    if not 0 < length <= _EXTENDED_DATA_MAX or sum(waiting[5:8]) & 0xFF:
        return 0
    return _EXTENDED_HEAD_LENGTH + length + _CHECKSUM_LENGTH


def _is_sound(frame: bytearray) -> bool:
    """Whether the data sum up to zero with their checksum; the acknowledgement has none."""
    if len(frame) == _HEAD_LENGTH:
        return True
    head = _EXTENDED_HEAD_LENGTH if frame[3] == frame[4] == 0xFF else _HEAD_LENGTH  # noqa: PLR2004
    return sum(frame[head:]) & 0xFF == 0
