"""The faults of faulty_file_system.py. They are named apart: that module needs libfuse to load."""

from enum import StrEnum

SLOW_S = 0.3
FAULT = "user.fault"


class Fault(StrEnum):
    """What is wrong with the disk."""

    NONE = "none"
    UNSYNCED = "unsynced"  # a sync fails
    READ_ONLY = "read only"
    GONE = "gone"  # nothing can be read or written: a card that has lost its contacts
    SLOW = "slow"  # a sync takes SLOW_S
