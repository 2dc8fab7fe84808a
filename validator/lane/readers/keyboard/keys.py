"""Key codes of Linux's input devices, as far as a reader that types needs them. Pure.

A code names the place of a key on a US keyboard, whatever layout the console has
(linux/input-event-codes.h). A reader has to be set to the US layout, as they are when sold: on a
French keyboard digits need Shift, and come out here as no digits.
"""

EV_SYN, EV_KEY = 0x00, 0x01
SYN_REPORT, SYN_DROPPED = 0, 3
RELEASE, PRESS = 0, 1  # 2 is the kernel's own repeat of a key that is held

ENTER, TAB, KEYPAD_ENTER = 28, 15, 96
ENDS = frozenset({ENTER, TAB, KEYPAD_ENTER})
SHIFTS = frozenset({42, 54})
# Control, Alt and Meta make of a digit something else than a digit.
OTHER_MODIFIERS = frozenset({29, 97, 56, 100, 125, 126})
LOCKS = frozenset({58, 69, 70})  # caps, num, scroll: they type nothing by themselves

NO_CHARACTER = "�"  # stands for every key that no UID has

_DIGITS = dict(zip(range(2, 12), "1234567890", strict=True))
_KEYPAD = dict(zip((79, 80, 81, 75, 76, 77, 71, 72, 73, 82), "1234567890", strict=True))
_LETTERS = dict(zip((30, 48, 46, 32, 18, 33), "abcdef", strict=True))
_PLAIN = {**_DIGITS, **_KEYPAD, **_LETTERS, 12: "-", 74: "-", 57: " "}
_SHIFTED = {**_LETTERS, 39: ":"}

DIGIT_KEYS = frozenset(_DIGITS)


def character(code: int, *, shift: bool, other: bool) -> str:
    """Return what a key types, letters in lower case; NO_CHARACTER for what no UID has.

    Args:
        code: of the key.
        shift: whether Shift is held.
        other: whether Control, Alt or Meta is held.
    """
    if other:
        return NO_CHARACTER
    return (_SHIFTED if shift else _PLAIN).get(code, NO_CHARACTER)
