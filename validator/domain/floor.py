"""The floor: what this gate has accepted before. Nothing signed that is older is accepted again.

The client of The Update Framework forgets what it accepted when a power cut takes its files. Then
an older, correctly signed list would pass. So the gate writes down every version before it acts on
it (courier/store/accepted_store.py), and compares the next one with that.

The floor of a role is void when a newer root replaces the keys of that role. So replacing a stolen
key also overcomes an absurdly high version that the thief published with it. The root's own floor
is never void.
"""

from typing import NamedTuple


class RoleVersions(NamedTuple):
    """The versions of the four roles of The Update Framework."""

    root: int
    timestamp: int
    snapshot: int
    targets: int


class RoleKeys(NamedTuple):
    """The key ids, sorted, that the root names for each of the other roles."""

    timestamp: tuple[str, ...]
    snapshot: tuple[str, ...]
    targets: tuple[str, ...]


class Floor(NamedTuple):
    """The newest that was accepted.

    Attributes:
        signed_unix_s: the time that the timestamp role signed.
        era: the root version at which the keys of targets last changed. List versions of different
            eras do not compare: a thief may have signed those of an earlier era.
    """

    versions: RoleVersions
    keys: RoleKeys
    list_version: int
    signed_unix_s: int
    era: int


class BelowFloorError(Exception):
    """Correctly signed, and older than what was accepted before. The text is one line."""


def raised(floor: Floor | None, seen: Floor) -> Floor:
    """Return the floor after accepting `seen`, whose `era` is ignored.

    Raises:
        BelowFloorError: `seen` must not be accepted.
    """
    if floor is None:
        return seen._replace(era=seen.versions.root)
    _not_below("root", seen.versions.root, floor.versions.root)
    replaced = {
        role
        for role in RoleKeys._fields
        if seen.versions.root > floor.versions.root
        and getattr(seen.keys, role) != getattr(floor.keys, role)
    }
    for role in RoleKeys._fields:
        if role not in replaced:
            _not_below(role, getattr(seen.versions, role), getattr(floor.versions, role))
    if "targets" not in replaced:
        _not_below("list", seen.list_version, floor.list_version)
    if "timestamp" not in replaced:
        _not_below("signed time", seen.signed_unix_s, floor.signed_unix_s)
    return seen._replace(era=seen.versions.root if "targets" in replaced else floor.era)


def _not_below(what: str, seen: int, floor: int) -> None:
    if seen < floor:
        raise BelowFloorError(f"{what} {seen} was offered, {floor} was accepted before")
