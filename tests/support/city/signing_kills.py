"""A publication that is killed after so many of its steps."""

from pathlib import Path

from tests.support.city.backoffice_rig import Seen
from validator.domain.floor import Floor, RoleKeys


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def floor_of(seen: Seen, list_version: int) -> Floor:
    role_keys = RoleKeys(**seen.keys)
    return Floor(seen.versions, role_keys, list_version, seen.signed_unix_s, 0)
