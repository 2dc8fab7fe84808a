"""Files that are replaced and never rewritten: write beside, fsync, rename, fsync the folder.

    with replacing(path, SECRET_MODE) as new:
        new.file.write(content)

After any crash `path` has its old content or the new one, whole. Both the gate and the back office
write every file that must survive a power cut this way.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from validator.host.plain_files import SECRET_MODE, create, remove

TEMPORARY = ".new-"  # what a name begins with while its file is being written
_DRAWN_BYTES = 8


class NewFile:
    """A file that is being written beside the one that it replaces.

    `replacing` calls `sync`, `rename` and `sync_folder`. A caller that wants to do something
    between two of them calls them itself, in this order.
    """

    def __init__(self, path: Path, mode: int | None, *, drawn: bool, clears_folder: bool) -> None:
        """Create the temporary file. Raises OSError."""
        self.path = path
        """The name that `rename` gives it; may be set while the name depends on the content."""
        random = f"{secrets.token_hex(_DRAWN_BYTES)}-" if drawn else ""
        self.temporary = path.with_name(f"{TEMPORARY}{random}{path.name}")
        self.file: BinaryIO = create(self.temporary, mode)
        self._clears_folder = clears_folder
        self._is_renamed = self._is_folder_synced = False

    def sync(self) -> None:
        """Make the content durable and close the file. Raises OSError."""
        if not self.file.closed:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def rename(self) -> None:
        """Put the file in the place of the old one. Raises OSError."""
        if self._is_renamed:
            return
        try:
            self.temporary.rename(self.path)
        except IsADirectoryError:
            if not self._clears_folder:
                raise
            remove(self.path)
            self.temporary.rename(self.path)
        self._is_renamed = True

    def sync_folder(self) -> None:
        """Make the new name durable. Raises OSError."""
        if not self._is_folder_synced:
            sync_folder(self.path.parent)
            self._is_folder_synced = True


@contextmanager
def replacing(
    path: Path,
    mode: int | None = None,
    *,
    drawn: bool = False,
    clears_folder: bool = False,
    syncs_folder: bool = True,
) -> Iterator[NewFile]:
    """Write a new file in the block; at its end it replaces what `path` names, durably.

    An error in the block, Ctrl-C or an exit leaves the old file and removes the new one. A planted
    link or pipe of either name is replaced and never followed.

    Args:
        path: The file to replace. It need not exist.
        mode: The permission bits, whatever the umask is; None for those that the umask leaves.
        drawn: Give the temporary file a random name, since two processes may write at once. A
            crash then leaves a file that no later call replaces.
        clears_folder: Remove a folder that has the name. Only for folders that one process of the
            gate writes: there a folder is damage.
        syncs_folder: Make the new name durable too; False for a caller that puts several files
            into a folder and then calls `sync_folder` once.

    Yields:
        The new file; write to its `file`.

    Raises:
        OSError: The disk refused a step. The old file is in place, unless the folder's fsync was
            what failed.
    """
    new = NewFile(path, mode, drawn=drawn, clears_folder=clears_folder)
    try:
        yield new
        new.sync()
        new.rename()
        if syncs_folder:
            new.sync_folder()
    except (Exception, KeyboardInterrupt, SystemExit):
        # Not GeneratorExit: a test that ends a block there has cut the power, and all stays.
        new.temporary.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):  # what the disk refused before, it refuses again here
            new.file.close()


def replace_file(path: Path, content: bytes) -> None:
    """Put these bytes at `path` in a folder that this process alone writes. Raises OSError."""
    with replacing(path, clears_folder=True) as new:
        new.file.write(content)


def put_secret(path: Path, content: bytes) -> None:
    """Put these bytes at `path`, readable by the owner alone from the first byte on.

    Raises OSError.
    """
    with replacing(path, SECRET_MODE, clears_folder=True) as new:
        new.file.write(content)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
