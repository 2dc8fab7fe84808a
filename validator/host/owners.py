"""Which user owns a file, and which should: the courier's user owns the folders that it writes."""

import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A user and a group, by number."""

    user_id: int
    group_id: int

    @property
    def name(self) -> str:
        """The user's name, or its number where there is no name."""
        return name_of(self.user_id)


def name_of(user_id: int) -> str:
    """The name of a user, or its number where there is no name."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def service_owner(folders: Iterable[Path]) -> Owner | None:
    """The owner of the first of these folders that is not root's; None if there is none."""
    for folder in folders:
        with suppress(OSError):
            found = folder.stat()
            if found.st_uid != 0:
                return Owner(found.st_uid, found.st_gid)
    return None


def hand_over(path: Path, folders: Iterable[Path]) -> None:
    """As root, give the file to the service's user; as another user, do nothing. Raises OSError."""
    owner = service_owner(folders)
    if os.geteuid() == 0 and owner is not None:
        os.chown(path, owner.user_id, owner.group_id, follow_symlinks=False)
