"""Keys as a keyboard's driver reports them: packets of Linux input events."""

from typing import NamedTuple

__all__ = ["KEYS", "InputEvent", "strokes"]

EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_REPORT, MSC_SCAN = 0, 4
LEFT_SHIFT = 42
LEFT_SHIFT_USAGE = 0x700E1

# Character -> (code in linux/input-event-codes.h, usage of the HID keyboard page, with Shift)
_ROW = {character: (2 + place, 0x1E + place, False) for place, character in enumerate("1234567890")}
_CODES = dict(zip("abcdefghijklmnopqrstuvwxyz", (
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45,
    21, 44,
), strict=True))  # fmt: skip
_LETTERS = {letter: (code, 0x04 + ord(letter) - ord("a"), False) for letter, code in _CODES.items()}
KEYS = {
    **_ROW,
    **_LETTERS,
    **{letter.upper(): (code, usage, True) for letter, (code, usage, _) in _LETTERS.items()},
    "\n": (28, 0x28, False),
    "\t": (15, 0x2B, False),
    " ": (57, 0x2C, False),
    "-": (12, 0x2D, False),
    ";": (39, 0x33, False),
    ":": (39, 0x33, True),
    "?": (53, 0x38, True),
    "!": (2, 0x1E, True),
}


class InputEvent(NamedTuple):
    """Type, code and value of a struct input_event."""

    kind: int
    code: int
    value: int


Packet = tuple[InputEvent, ...]


def strokes(text: str) -> list[Packet]:
    """Return the packets of the presses and releases that type `text`, in order."""
    packets: list[Packet] = []
    for character in text:
        code, usage, shift = KEYS[character]
        held = [_packet(LEFT_SHIFT, LEFT_SHIFT_USAGE, 1)] if shift else []
        let_go = [_packet(LEFT_SHIFT, LEFT_SHIFT_USAGE, 0)] if shift else []
        packets += [*held, _packet(code, 0x70000 | usage, 1), _packet(code, 0x70000 | usage, 0)]
        packets += let_go
    return packets


def _packet(code: int, usage: int, value: int) -> Packet:
    """Return what the kernel's HID driver makes of a key in a report."""
    return (
        InputEvent(EV_MSC, MSC_SCAN, usage),
        InputEvent(EV_KEY, code, value),
        InputEvent(EV_SYN, SYN_REPORT, 0),
    )
