"""Any reader that pcscd and libccid drive, through libpcsclite: reader > watcher > card, library.

    library   the functions of libpcsclite that are needed, by ctypes
    codes     their numbers, as values
    slots     which of pcscd's slots a pattern names, and its lock
    card      one read of the card in a slot: its UID, its printed number
    stay      what the reads and the slot's state say about the card that lies there
    watcher   the thread that waits, connects and reads
    reader    the loop's side
    reasons   faults in words; what sysfs says about readers that pcscd does not list

PC/SC says "a card" where two lie: the reader's own anticollision picks one of them.
"""

from validator.lane.ports import ReaderAbilities

ABILITIES = ReaderAbilities(
    clash=False, early_leave=True, laid_before=True, leaving=True, apdus=True
)
