"""What the gate has accepted, stored twice, and the newest root. Durable before any use of it.

    store = DiskAcceptedStore(folder)
    store.accepted  # None on a new gate
    store.accept(accepted)  # durable when it returns
    store.mend()  # at each poll: writes damaged files again

The courier is the only writer. `accepted.json` and `accepted.copy.json` have the same bytes: the
floor must outlive one of them. A gate that has lost both goes on as a new one, but accepts no list
below the held one (courier/acceptance.py). docs/decisions/0018.
"""

import os
from pathlib import Path

from validator.host.durable import replace_file
from validator.host.plain_files import read_regular
from validator.ipc.accepted import (
    ACCEPTED_BYTES_MAX,
    ACCEPTED_COPY_FILE,
    ACCEPTED_FILE,
    Accepted,
    AcceptedError,
    decode,
    encode,
)

FILE_NAME, COPY_NAME = ACCEPTED_FILE, ACCEPTED_COPY_FILE
ROOT_NAME = "root.json"
ROOT_BYTES_MAX = 1 << 16


class DiskAcceptedStore:
    """What this gate has accepted from its city."""

    def __init__(self, folder: Path) -> None:
        """Read the files. A disk that does not answer counts as damage: see `problem`."""
        self._folder = folder
        self._problems: dict[str, str] = {}
        found = [
            each for each in map(self._read_accepted, (FILE_NAME, COPY_NAME)) if each is not None
        ]
        self.accepted = max(found, key=_order, default=None)
        self.root = self._read(ROOT_NAME, ROOT_BYTES_MAX)

    @property
    def problem(self) -> str:
        """What is wrong with the files and how the gate goes on, in one line, or ""."""
        if not self._problems:
            return ""
        goes_on = "its copy has it" if self.accepted else "this gate begins as a new one"
        return f"{'; '.join(self._problems.values())}; {goes_on}"

    def keep_root(self, root: bytes) -> None:
        """Store the newest root, unless it is the stored one. Raises OSError."""
        if root != self.root:
            replace_file(self._folder / ROOT_NAME, root)
            self.root = root

    def accept(self, accepted: Accepted) -> None:
        """Store what is accepted, twice. Raises OSError."""
        content = encode(accepted)
        replace_file(self._folder / FILE_NAME, content)
        replace_file(self._folder / COPY_NAME, content)
        self.accepted = accepted
        self._problems.clear()

    def mend(self) -> tuple[str, ...]:
        """Write each file again whose bytes are not those that were written.

        A file of an earlier version, without a checksum or a copy, is rewritten without a line.

        Returns:
            One line for each file that was damaged.

        Raises:
            OSError: The disk refused.
        """
        if self.accepted is None:
            return ()
        self._problems.clear()
        content = encode(self.accepted)
        for name in (FILE_NAME, COPY_NAME):
            if self._read(name, ACCEPTED_BYTES_MAX) != content:
                self._read_accepted(name)
                if name == FILE_NAME and not os.path.lexists(self._folder / name):
                    self._problems[name] = f"{self._folder / name}: gone"
                replace_file(self._folder / name, content)
        if self.root is not None and self._read(ROOT_NAME, ROOT_BYTES_MAX) != self.root:
            what = "damaged" if os.path.lexists(self._folder / ROOT_NAME) else "gone"
            self._problems[ROOT_NAME] = f"{self._folder / ROOT_NAME}: {what}"
            replace_file(self._folder / ROOT_NAME, self.root)
        lines = tuple(f"{problem}; written again" for problem in self._problems.values())
        self._problems.clear()
        return lines

    def _read_accepted(self, name: str) -> Accepted | None:
        content = self._read(name, ACCEPTED_BYTES_MAX)
        if content is None:
            return None
        try:
            return decode(content)
        except AcceptedError as error:
            self._problems[name] = f"{self._folder / name}: {error}"
            return None

    def _read(self, name: str, bytes_max: int) -> bytes | None:
        try:
            return read_regular(self._folder / name, bytes_max)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._problems[name] = f"{self._folder / name}: {error.strerror}"
            return None


def _order(accepted: Accepted) -> tuple[int, ...]:
    """A key that rises with each accepted state.

    Under one root no version falls, and a newer root is above it.
    """
    floor = accepted.floor
    return (*floor.versions, floor.list_version, floor.signed_unix_s)
