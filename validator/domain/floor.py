"""The floor: what this gate has accepted before, below which nothing signed is accepted again. Pure; the ledger keeps it on disk.

The Update Framework's own client forgets what it has seen when a power cut takes its files; then an older, correctly signed list would
pass. So the gate writes down every version before it acts on it, and holds the next against that.

A role's floor is void when a newer root replaces that role's keys: whoever stole a key and published an absurdly high version with it is
overcome by replacing the key. The root's own floor is never void.
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

    `signed_unix_s` is the time the timestamp role signed. `era` is the root version at which the keys of targets were last seen to change:
    list versions of different eras do not compare, since those of an earlier one may have been a thief's.
    """

    versions: RoleVersions
    keys: RoleKeys
    list_version: int
    signed_unix_s: int
    era: int


class BelowFloorError(Exception):
    """Correctly signed, and older than what was accepted before; the text is one clear line."""


def raised(floor: Floor | None, seen: Floor) -> Floor:
    """The floor after accepting `seen`, whose `era` is not looked at. Raises BelowFloorError if it must not be accepted."""
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
