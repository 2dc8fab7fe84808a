"""The Sony RC-S380 on USB: reader > opening > chip > usb_line, each of which knows those behind it.

`radio.py` has the chip's commands for each thing to do, step by step and without I/O, `frames.py`
checks the chip's frames, and `devices.py` chooses one of the readers that are plugged in.
"""

from validator.lane.ports import ReaderAbilities

ABILITIES = ReaderAbilities(
    clash=True, early_leave=True, laid_before=True, leaving=True, apdus=True
)
