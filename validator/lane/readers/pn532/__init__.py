"""The PN532 on a UART: reader > opening > chip > line, each of which knows only those behind it.

`targets.py` reads the chip's answer, and `frames.py` finds frames in noise.
"""

from validator.lane.ports import ReaderAbilities

ABILITIES = ReaderAbilities(
    clash=True, early_leave=True, laid_before=True, leaving=True, apdus=True
)
