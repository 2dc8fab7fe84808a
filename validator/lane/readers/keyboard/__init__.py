"""Readers that type the UID as a keyboard would: reader > input_device, lines > keys, encoding.

`input_device.py` takes the kernel's input device for this lane alone, `lines.py` makes lines of its
key events with `keys.py`, and `encoding.py` reads a line as a UID. `learning.py` finds out what a
reader types. Such a reader sends nothing but keys: it tells no clash, and not that a card left.
"""

from validator.lane.ports import ReaderAbilities

ABILITIES = ReaderAbilities(
    clash=False, early_leave=False, laid_before=False, leaving=False, apdus=False
)
