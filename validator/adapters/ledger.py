"""The ledger: `accepted.json` in the list folder and the newest root beside it, on the disk before anything is done by them.

    ledger = Ledger(folder)
    ledger.accepted  # None on a new gate
    ledger.accept(accepted)  # durable when it returns

The courier is its only writer. A ledger whose bytes the SD card has spoiled is told in `problem`, and the gate goes on as a new one does, except
that no list below the one it holds is taken (courier.py).
"""

from pathlib import Path

from validator.adapters.durable import replace_file
from validator.adapters.plain_files import read_regular
from validator.formats.accepted import ACCEPTED_BYTES_MAX, Accepted, AcceptedError, decode, encode

FILE_NAME = "accepted.json"
ROOT_NAME = "root.json"
ROOT_BYTES_MAX = 1 << 16


class Ledger:
    """What this gate has accepted from its city."""

    def __init__(self, folder: Path) -> None:
        """Read it; a disk that does not answer is told as damage is."""
        self._folder = folder
        self.problem = ""
        self.accepted = self._read_accepted()
        self.root = self._read(ROOT_NAME, ROOT_BYTES_MAX)

    def keep_root(self, root: bytes) -> None:
        """Write down the newest root, if it is another than before. Raises OSError."""
        if root != self.root:
            replace_file(self._folder / ROOT_NAME, root)
            self.root = root

    def accept(self, accepted: Accepted) -> None:
        """Write down what is accepted. Raises OSError."""
        replace_file(self._folder / FILE_NAME, encode(accepted))
        self.accepted = accepted
        self.problem = ""

    def _read_accepted(self) -> Accepted | None:
        content = self._read(FILE_NAME, ACCEPTED_BYTES_MAX)
        if content is None:
            return None
        try:
            return decode(content)
        except AcceptedError as error:
            self.problem = f"{self._folder / FILE_NAME}: {error}; this gate begins as a new one"
            return None

    def _read(self, name: str, bytes_max: int) -> bytes | None:
        try:
            return read_regular(self._folder / name, bytes_max)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problem = f"{self._folder / name}: {error.strerror}; check the disk"
            return None
