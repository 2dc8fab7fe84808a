"""An overview of keys, roots and what is published, for people and for programs."""

from typing import Any, NamedTuple

from tuf.api.metadata import Signed  # type: ignore[attr-defined]  # as in roots.py

from backoffice.home.folder import DAY_S, Home
from backoffice.signing.keys import (
    ONLINE_ROLES,
    current_fingerprint_key,
    key_name,
    next_fingerprint_key,
    online_key_ids,
)
from backoffice.signing.published_state import SIGNED_AT, published_manifest, standing
from backoffice.signing.root_text import described
from backoffice.signing.roots import ROLES, newest_root, pending_draft, read_root, unmet
from validator.lists.manifest import decode

RENEW_DAYS = 60  # enough time for two people to meet with their keys


class Overview(NamedTuple):
    """The overview twice: fields for programs, lines for people."""

    fields: dict[str, Any]
    lines: list[str]


def overview(home: Home, now_unix_s: int) -> Overview:
    """Read everything, and change nothing. Raises OperatorError, OSError."""
    parts = (
        _root(home, now_unix_s),
        _draft(home),
        _published(home, now_unix_s),
        _fingerprint(home),
    )
    fields = {name: value for part in parts for name, value in part.fields.items()}
    return Overview(fields, [line for part in parts for line in part.lines])


def _root(home: Home, now_unix_s: int) -> Overview:
    newest = newest_root(home)
    if newest is None:
        return Overview({"root": None}, ["no root is in force yet"])
    root = newest.signed
    lines = described(root)
    left = _left(root, now_unix_s)
    if left["days_left"] < RENEW_DAYS:
        lines.append(f"RENEW IT NOW: {left['days_left']} days are left; rotate root")
    for role in ONLINE_ROLES:
        if not online_key_ids(home, role) & set(root.roles[role].keyids):
            lines.append(f"MISSING: the key of {role} is not in {home.online_keys}, or damaged")
    named = {
        role: {
            "threshold": root.roles[role].threshold,
            "keys": [
                {"id": key, "name": key_name(root.keys[key])} for key in root.roles[role].keyids
            ],
        }
        for role in ROLES
    }
    return Overview({"root": {"version": root.version, **left, "roles": named}}, lines)


def _draft(home: Home) -> Overview:
    path, newest = pending_draft(home), newest_root(home)
    if path is None:
        return Overview({"draft": None}, [])
    draft = read_root(path)
    missing = unmet(draft, newest.signed if newest else None)
    field = {"version": draft.signed.version, "path": str(path), "missing": missing}
    return Overview(
        {"draft": field}, [f"draft {path}: {missing or 'signed by enough keys; root accept'}"]
    )


def _published(home: Home, now_unix_s: int) -> Overview:
    if newest_root(home) is None:
        return Overview({"published": None}, [])
    seen = standing(home)
    signed = {metadata.signed.type: metadata.signed for metadata in seen if metadata is not None}
    if not signed:
        return Overview({"published": None}, ["nothing is published yet"])
    fields: dict[str, dict[str, Any]] = {
        role: {"version": each.version, **_left(each, now_unix_s)} for role, each in signed.items()
    }
    fields["timestamp"][SIGNED_AT] = signed["timestamp"].unrecognized_fields.get(SIGNED_AT)
    manifest = published_manifest(home, seen)
    version = decode(manifest).list_version if manifest else None
    lines = [
        f"published: list {version}" if version else f"DAMAGED: {home.published}; publish again"
    ]
    for role, each in signed.items():
        word = "until" if fields[role]["days_left"] >= 0 else "EXPIRED on"
        lines.append(f"  {role} {each.version}, {word} {each.expires:%Y-%m-%d %H:%M} UTC")
    return Overview({"published": {"list_version": version, **fields}}, lines)


def _fingerprint(home: Home) -> Overview:
    current, coming = current_fingerprint_key(home).id, next_fingerprint_key(home)
    lines = [f"fingerprint key {current}"]
    if coming:
        lines.append(
            f"  {coming} is to follow: when every gate holds it (turnike-backoffice gates),"
            " rotate fingerprint-key --switch"
        )
    return Overview({"fingerprint_key": current, "next_fingerprint_key": coming}, lines)


def _left(signed: Signed, now_unix_s: int) -> dict[str, int]:
    """When metadata expires, and in how many whole days; below 0 if it has expired."""
    expires_unix_s = int(signed.expires.timestamp())
    return {"expires_unix_s": expires_unix_s, "days_left": (expires_unix_s - now_unix_s) // DAY_S}
