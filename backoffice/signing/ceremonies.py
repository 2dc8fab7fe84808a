"""What people decide together: founding a back office, and drafts of roots with other keys.

cli/keys.py and cli/roots.py have the commands. A draft is written into the home, and the root keys
sign it elsewhere. While a draft waits no other is made: else some people would sign the one and
some the other.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # as in keys.py
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # likewise

from backoffice.home.folder import Home, make_public_folder, put
from backoffice.home.steps import finished
from backoffice.signing.clock import check_not_ahead
from backoffice.signing.keys import (
    ONLINE_ROLES,
    key_name,
    make_fingerprint_key,
    make_online_key,
    make_root_key,
    online_key,
    read_private_key,
)
from backoffice.signing.roots import (
    RootError,
    accept_steps,
    draft_bytes,
    first_root,
    next_root,
    pending_draft,
    read_root,
    required_root,
    sign_root,
)
from validator.host.durable import sync_folder

DEVELOPMENT_KEYS = "development-root-keys"
THRESHOLD = 2


def require_enough(root_keys: Sequence[SSlibKey], threshold: int) -> None:
    """Raise RootError if these cannot be the root keys of a first root with this threshold."""
    if not 1 <= threshold <= len(root_keys):
        raise RootError(f"a threshold of {threshold} with {len(root_keys)} root keys cannot be")
    if len({key.keyid for key in root_keys}) < len(root_keys):
        raise RootError("one root key is given twice")
    if len({key_name(key) for key in root_keys}) < len(root_keys):
        raise RootError("two root keys have one name; a key is called by its file")


def found(home: Home, root_keys: Sequence[SSlibKey], threshold: int, now_unix_s: int) -> Path:
    """Make the folders, the online keys, the first fingerprint key and the draft of root 1.

    Returns the path of the draft. The home exists, without any of these. Raises RootError, before
    anything is made, if the root keys make no sense; OSError.
    """
    require_enough(root_keys, threshold)
    secret = (
        home.folder / "keys",
        home.online_keys,
        home.fingerprint_keys,
        home.retired_keys,
    )
    public = (home.roots, home.published, home.metadata, home.targets)
    for folder in secret:
        folder.mkdir(exist_ok=True, parents=True)
        folder.chmod(0o700)
    for folder in public:
        make_public_folder(folder)
    for folder in (*secret, *public):
        sync_folder(folder.parent)
    online = {role: make_online_key(home, role) for role in ONLINE_ROLES}
    make_fingerprint_key(home)
    return _put_draft(
        home, first_root(root_keys, threshold, online, now_unix_s + home.expiries.root_s)
    )


def found_for_development(home: Home, now_unix_s: int) -> None:
    """`found` for a demo and for tests: root keys in the home, unprotected, and root 1 in force."""
    folder = home.folder / DEVELOPMENT_KEYS
    folder.mkdir(mode=0o700)
    names = ("development-a", "development-b", "development-c")
    draft = found(
        home, [make_root_key(folder, name, None) for name in names], THRESHOLD, now_unix_s
    )
    root = read_root(draft)
    for name in names[:THRESHOLD]:
        sign_root(root, read_private_key(folder / f"{name}.pem"), None)
    put(draft, draft_bytes(root))
    accept(home, [draft], now_unix_s)


def accept(home: Home, drafts: Sequence[Path], now_unix_s: int) -> Root:
    """Put a signed draft into force; the caller then signs the other roles again.

    The caller holds the home. Raises RootError, OSError.
    """
    return finished(accept_steps(home, drafts, now_unix_s))


def rotate(
    home: Home,
    roles: Sequence[str],
    now_unix_s: int,
    *,
    remove: Sequence[str] = (),
    add: Sequence[SSlibKey] = (),
    threshold: int | None = None,
) -> Path:
    """Draft the next root.

    Without any change it renews the root. The caller holds the home.

    Args:
        home: The home.
        roles: The online roles that get new keys.
        now_unix_s: The time now.
        remove: Names, or first digits of ids, of root keys to remove.
        add: Root keys to add.
        threshold: How many root keys must sign from then on; None: as before.

    Returns:
        The draft's path.

    Raises:
        OperatorError, OSError: There is no new draft.
    """
    newest = required_root(home).signed
    check_not_ahead(home, now_unix_s)  # else the root would be valid for too long
    waiting = pending_draft(home)
    if waiting is not None:
        raise RootError(
            f"{waiting}: waits already; have it signed and accept it,"
            " or give it up with root discard"
        )
    expires_unix_s = now_unix_s + home.expiries.root_s
    draft = partial(next_root, newest, expires_unix_s, remove=remove, add=add, threshold=threshold)
    draft()  # raises before a key is made
    return _put_draft(home, draft(online={role: _following_key(home, role) for role in roles}))


def _following_key(home: Home, role: str) -> SSlibKey:
    """The next key of a role: a key that a crash left before any draft named it is used."""
    return online_key(home, role, following=True) or make_online_key(home, role, following=True)


def _put_draft(home: Home, draft: Metadata[Root]) -> Path:
    path = home.roots / f"{draft.signed.version}.root.draft.json"
    put(path, draft_bytes(draft))
    return path
