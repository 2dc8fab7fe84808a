"""Which of pcscd's slots a pattern names, and the lock that keeps another lane off it.

A slot is a place for one card: an ACR1252U has two, for cards in its field and for a SAM. pcscd
names it by the reader's model, and appends the numbers of reader and slot, which change with the
order of plugging. So a pattern never needs the numbers.
"""

import fcntl
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

_NUMBERS = re.compile(r" [0-9A-F]{2} [0-9A-F]{2}$")
_NOT_IN_A_FILE_NAME = re.compile(r"[^A-Za-z0-9]+")
_NAME_MAX = 128  # pcsc-lite's MAX_READERNAME; the file's name stays below 255 bytes


class InUseError(Exception):
    """Another lane has the slot."""


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the slots that a shell pattern names, with or without their numbers.

    Many names have brackets, which a pattern takes for a set of letters. So a name that is written
    out, as `pcsc_scan` prints it, matches too.
    """
    return [name for name in names if _matches(pattern, name)]


def _matches(pattern: str, name: str) -> bool:
    short = _NUMBERS.sub("", name)
    return pattern in {name, short} or any(fnmatchcase(each, pattern) for each in (name, short))


class SlotLock:
    """A slot of this gate, for one lane. PC/SC has no such lock while no card is in the slot.

    It is a lock on a file in the folder of the lanes' sockets: the lanes of a gate share that
    folder, and each has a network and a /tmp of its own (deploy/systemd).
    """

    def __init__(self, folder: Path, slot: str) -> None:
        """Take the lock.

        Raises:
            InUseError: another lane has it.
            OSError: the folder cannot be written.
        """
        name = _NOT_IN_A_FILE_NAME.sub("-", slot)[:_NAME_MAX].strip("-")
        path = folder / f"pcsc-{name}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o660)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise InUseError(slot) from None
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let another lane have the slot. The file stays: removing it would let two lanes in."""
        with suppress(OSError):
            os.close(self._file)

    def __enter__(self) -> Self:
        """Return the lock that was taken."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()
