"""Root metadata: drafts, their signatures, and the root in force.

Root N names the keys of every role, and is signed by enough root keys of N and of N - 1. It begins
as `N.root.draft.json` in the home's `root` folder, travels to where the root keys are, returns
signed, and is accepted. Then it is `N.root.json` there and in the published folder, and gates find
it at their next poll.

A draft may come from anywhere, so all of it is checked. It may hold nothing that
root_text.py does not show: people sign what they read.
"""

import re
from collections.abc import Collection, Generator, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import (  # type: ignore[attr-defined]  # as in keys.py
    CryptoSigner,
    SSlibKey,
)
from tuf.api.metadata import Key, Metadata, Role, Root  # type: ignore[attr-defined]  # likewise
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from backoffice.home.folder import Home, put_steps
from backoffice.signing.keys import (
    KEY_NAME,
    NAME_FIELD,
    ONLINE_ROLES,
    key_name,
    online_key_ids,
    retire_following,
)
from validator.errors import OperatorError
from validator.host.durable import sync_folder

ROOT_BYTES_MAX = 1 << 16  # a root with five keys has 2 KiB; a gate reads up to 500 KB
ROOT_KEYS_MAX = 16
KEY_ID_DIGITS_MIN = 8  # so many first digits of an id name a key on the command line
ROLES = (Root.type, *ONLINE_ROLES)

_ACCEPTED_NAME = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_DRAFT_NAME = re.compile(r"([1-9][0-9]{0,8})\.root\.draft\.json")


class RootError(OperatorError):
    """A root that cannot be used. The message is one line."""


def newest_root(home: Home) -> Metadata[Root] | None:
    """The root in force, or None before the first was accepted. Raises RootError."""
    versions = accepted_versions(home)
    if not versions:
        return None
    path = home.roots / f"{versions[-1]}.root.json"
    root = read_root(path)
    if root.signed.version != versions[-1] or unmet(root, None):
        raise RootError(
            f"{path}: is not what was accepted; put it back from {home.metadata} or a backup"
        )
    return root


def required_root(home: Home) -> Metadata[Root]:
    """The root in force. Raises RootError before the first was accepted."""
    root = newest_root(home)
    if root is None:
        raise RootError(
            f"{home.roots}: no root is in force yet; have the draft signed, then root accept"
        )
    return root


def accepted_versions(home: Home) -> list[int]:
    """The versions of the roots that were accepted, rising."""
    return _versions(home.roots, _ACCEPTED_NAME)


def pending_draft(home: Home) -> Path | None:
    """The draft in the home that waits to be signed and accepted, or None."""
    drafts = _versions(home.roots, _DRAFT_NAME)
    waits = drafts and drafts[-1] > max(accepted_versions(home), default=0)
    return home.roots / f"{drafts[-1]}.root.draft.json" if waits else None


def first_root(
    root_keys: Sequence[SSlibKey],
    threshold: int,
    online: Mapping[str, SSlibKey],
    expires_unix_s: int,
) -> Metadata[Root]:
    """The unsigned root 1. Raises RootError for keys or a threshold that make no sense."""
    try:
        roles = {Root.type: Role([key.keyid for key in root_keys], threshold)}
    except ValueError:
        raise RootError("a root key is named twice, or the threshold is not at least 1") from None
    roles |= {role: Role([key.keyid], 1) for role, key in online.items()}
    keys: dict[str, Key] = {key.keyid: key for key in (*root_keys, *online.values())}
    root = Root(1, expires=_moment(expires_unix_s), keys=keys, roles=roles)
    return _checked(Metadata(root), "the new root")


def next_root(
    newest: Root,
    expires_unix_s: int,
    *,
    online: Mapping[str, SSlibKey] | None = None,
    remove: Collection[str] = (),
    add: Sequence[SSlibKey] = (),
    threshold: int | None = None,
) -> Metadata[Root]:
    """The unsigned root after `newest`. Raises RootError.

    Args:
        newest: The root in force.
        expires_unix_s: When the new root expires.
        online: New keys by online role.
        remove: Names, or first digits of ids, of root keys to remove.
        add: Root keys to add.
        threshold: How many root keys must sign from then on; None: as before.
    """
    root = deepcopy(newest)
    root.version, root.expires = newest.version + 1, _moment(expires_unix_s)
    for role, key in (online or {}).items():
        for before in list(root.roles[role].keyids):
            root.revoke_key(before, role)
        root.add_key(key, role)
    for called in remove:
        root.revoke_key(_root_key_id(newest, called), Root.type)
    for key in add:
        if key.keyid in root.keys:
            raise RootError(f"the key {key_name(key)} is one of root {newest.version}'s already")
        root.add_key(key, Root.type)
    root.roles[Root.type].threshold = (
        root.roles[Root.type].threshold if threshold is None else threshold
    )
    return _checked(Metadata(root), "the new root")


def read_root(path: Path) -> Metadata[Root]:
    """Read a root or a draft, and check all of it but the signatures. Raises RootError."""
    try:
        with path.open("rb") as file:
            content = file.read(ROOT_BYTES_MAX + 1)
    except OSError as error:
        raise RootError(f"{path}: {error.strerror or error}") from error
    if len(content) > ROOT_BYTES_MAX:
        raise RootError(f"{path}: has more than {ROOT_BYTES_MAX} bytes, which no root has")
    try:
        root = Metadata[Root].from_bytes(content)
    except DeserializationError:
        raise RootError(f"{path}: is no root metadata, nor a draft of it") from None
    if root.signed.type != Root.type:
        raise RootError(f"{path}: is metadata of the role {root.signed.type}, not a root")
    return _checked(root, str(path))


def draft_bytes(draft: Metadata[Root]) -> bytes:
    """A draft as a file that people can read."""
    return draft.to_bytes(JSONSerializer(compact=False)) + b"\n"


def sign_root(draft: Metadata[Root], signer: CryptoSigner, previous: Metadata[Root] | None) -> None:
    """Add this key's signature.

    Raises RootError for a key that neither root names, or a `previous` that is not the root before.
    """
    named = set(draft.signed.roles[Root.type].keyids)
    if previous is not None:
        _require_previous(draft, previous)
        named |= set(previous.signed.roles[Root.type].keyids)
    if signer.public_key.keyid not in named:
        hint = "" if previous else "; if the root before names it, give that root with --previous"
        raise RootError(
            f"this key ({signer.public_key.keyid[:16]}) is no root key of the draft{hint}"
        )
    draft.sign(signer, append=True)


def merged(drafts: Sequence[Metadata[Root]]) -> Metadata[Root]:
    """One draft with the signatures of all of them. Raises RootError if they differ otherwise."""
    first, *others = drafts
    for other in others:
        if other.signed_bytes != first.signed_bytes:
            raise RootError(
                "the drafts differ; accept one of them, with the signatures made for it"
            )
        first.signatures |= other.signatures
    return first


def unmet(root: Metadata[Root], previous: Root | None) -> str:
    """The signatures that this root lacks, for people; "" if it lacks none.

    It needs enough of its own root keys and, if given, of the previous root's.
    """
    lines = []
    for judge in (root.signed, *([previous] if previous else [])):
        result = judge.get_verification_result(Root.type, root.signed_bytes, root.signatures)
        if not result:
            lines.append(
                f"of root {judge.version}'s keys {len(result.signed)} of {result.threshold} signed"
                f" (missing {result.missing} of {', '.join(map(_short, result.unsigned.values()))})"
            )
    return "; ".join(lines)


def accept_steps(home: Home, paths: Sequence[Path], now_unix_s: int) -> Generator[str, None, Root]:
    """Put a signed draft into force and publish it, step by step; it may be repeated.

    `paths` are copies of one draft with some signatures each. Raises RootError, OSError.
    """
    draft = merged([read_root(path) for path in paths])
    newest = newest_root(home)
    if newest is None or draft.signed_bytes != newest.signed_bytes:
        _require_acceptable(home, draft, newest, now_unix_s)
        yield from put_steps(
            home.roots / f"{draft.signed.version}.root.json", _clean(draft, newest).to_bytes()
        )
    yield from publish_steps(home)
    (home.roots / f"{draft.signed.version}.root.draft.json").unlink(missing_ok=True)
    sync_folder(home.roots)
    yield "draft removed"
    return draft.signed


def publish_steps(home: Home) -> Generator[str, None, None]:
    """Publish every accepted root that is missing or different in the published folder.

    Raises OSError.
    """
    for version in accepted_versions(home):
        name = f"{version}.root.json"
        content, path = (home.roots / name).read_bytes(), home.metadata / name
        if not path.exists() or path.read_bytes() != content:
            yield from put_steps(path, content)


def discard_draft(home: Home) -> Path:
    """Delete the pending draft, and retire the online keys made for it. Returns its path.

    Raises RootError if no draft is pending.
    """
    draft = pending_draft(home)
    if draft is None:
        raise RootError(f"{home.roots}: no draft waits here")
    draft.unlink()
    sync_folder(home.roots)
    for role in ONLINE_ROLES:
        retire_following(home, role)
    return draft


def _require_acceptable(
    home: Home, draft: Metadata[Root], newest: Metadata[Root] | None, now_unix_s: int
) -> None:
    version = newest.signed.version + 1 if newest else 1
    if draft.signed.version != version:
        raise RootError(
            f"the draft is root {draft.signed.version}, and the next to come is root {version}"
        )
    missing = unmet(draft, newest.signed if newest else None)
    if missing:
        raise RootError(
            f"root {version} is not signed by enough keys, or was changed afterwards: {missing}"
        )
    if draft.signed.expires <= _moment(now_unix_s):
        raise RootError(
            f"root {version} has expired already ({draft.signed.expires:%Y-%m-%d});"
            " make a new draft"
        )
    for role in ONLINE_ROLES:
        if not online_key_ids(home, role) & set(draft.signed.roles[role].keyids):
            raise RootError(
                f"root {version} names a key of {role} that is not in {home.online_keys};"
                " nothing could be signed"
            )


def _clean(draft: Metadata[Root], newest: Metadata[Root] | None) -> Metadata[Root]:
    """The draft with the signatures that count, and without anything else that is unsigned."""
    result = draft.signed.get_root_verification_result(
        newest.signed if newest else None, draft.signed_bytes, draft.signatures
    )
    return Metadata(draft.signed, {key: draft.signatures[key] for key in result.signed})


def _require_previous(draft: Metadata[Root], previous: Metadata[Root]) -> None:
    if previous.signed.version != draft.signed.version - 1:
        raise RootError(
            f"--previous is root {previous.signed.version},"
            f" and the draft is root {draft.signed.version}"
        )
    if unmet(previous, None):
        raise RootError(
            "--previous is not signed by enough of its own keys; take it from the published folder"
        )


def _root_key_id(root: Root, called: str) -> str:
    ids = root.roles[Root.type].keyids
    found = [
        key
        for key in ids
        if called == key_name(root.keys[key])
        or (len(called) >= KEY_ID_DIGITS_MIN and key.startswith(called))
    ]
    if len(found) != 1:
        known = ", ".join(_short(root.keys[key]) for key in ids)
        raise RootError(
            f"{called[:80]!r} is {'no' if not found else 'more than one'} root key"
            f" of root {root.version}: {known}"
        )
    return found[0]


def _checked(root: Metadata[Root], where: str) -> Metadata[Root]:
    try:
        _require_sound(root.signed)
    except (ValueError, TypeError) as error:
        raise RootError(f"{where}: {error}") from None
    return root


def _require_sound(root: Root) -> None:
    """Raise ValueError for a root that no person may sign.

    It holds more than people are shown, or lets one key count twice.
    """
    if type(root.version) is not int or not root.consistent_snapshot or root.unrecognized_fields:
        raise ValueError("holds something that this program does not understand")
    users = [key for role in ROLES for key in root.roles[role].keyids]
    if len(set(users)) != len(users) or set(users) != set(root.keys) or len(users) > ROOT_KEYS_MAX:
        raise ValueError("one key has two roles, a key has none, or there are too many")
    for key_id, key in root.keys.items():
        _require_sound_key(key_id, key)
    names = [name for key in root.keys.values() if (name := key_name(key))]
    if len(set(names)) != len(names):
        raise ValueError("two keys have one name")
    for name, role in root.roles.items():
        if role.unrecognized_fields or type(role.threshold) is not int:
            raise ValueError(
                f"the role {name} holds something that this program does not understand"
            )
        if (
            not 1
            <= role.threshold
            <= min(len(role.keyids), ROOT_KEYS_MAX if name == Root.type else 1)
        ):
            raise ValueError(
                f"a threshold of {role.threshold} with {len(role.keyids)} keys cannot be for {name}"
            )


def _require_sound_key(key_id: str, key: Key) -> None:
    public = (
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
        if key.keytype == "ed25519"
        else None
    )
    if (
        public is None
        or SSlibKey.from_crypto(public).keyid != key_id
        or set(key.keyval) != {"public"}
    ):
        raise ValueError("a key is no Ed25519 key, or has an id that is not its own")
    name = key.unrecognized_fields.get(NAME_FIELD, "unnamed")
    if (
        set(key.unrecognized_fields) - {NAME_FIELD}
        or not isinstance(name, str)
        or not KEY_NAME.fullmatch(name)
    ):
        raise ValueError("a key has a name or a field that it cannot have")


def _short(key: Key) -> str:
    return key_name(key) or key.keyid[:16]


def _moment(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def _versions(folder: Path, name: re.Pattern[str]) -> list[int]:
    return sorted(
        int(match[1]) for path in folder.iterdir() if (match := name.fullmatch(path.name))
    )
