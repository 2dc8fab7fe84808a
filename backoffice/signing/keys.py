"""The key files: root keys, made and kept offline; online keys, which sign; and fingerprint keys.

A private key is an Ed25519 key as PKCS#8 in PEM, mode 0600, in a new file. Its public half is
`<name>.pub`, a PEM SubjectPublicKeyInfo, so that openssl can make and read both. No private key is
ever shown, in an error neither.

The next key of an online role is beside the current one (`timestamp.next.pem`) until a root names
it. Only the root in force decides which of the two signs.
"""

import re
import secrets
from collections.abc import Callable, Collection, Container, Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import (  # type: ignore[attr-defined]  # not re-exported
    CryptoSigner,
    SSlibKey,
)

from backoffice.home.folder import PUBLIC_MODE, Home, make_file, move_steps, put, secret_mode
from validator.domain.cards import FINGERPRINT_KEY_BYTES
from validator.errors import OperatorError
from validator.host.durable import sync_folder
from validator.host.plain_files import SECRET_MODE
from validator.lists.fingerprint_keys import (
    KEY_FILE_BYTES_MAX,
    FingerprintKeyError,
    format_key_file,
    key_id,
    parse_key_file,
)

ONLINE_ROLES = ("targets", "snapshot", "timestamp")
NAME_FIELD = "x-turnike-name"  # in the root, beside a key: its name. Not part of the key's id
KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

_PEM_BYTES_MAX = 4096  # an encrypted Ed25519 key has some 300
_KEY_ID_HEX = re.compile(r"[0-9a-f]{16}")

Passphrase = Callable[[], str]
"""Asks for the passphrase of a key; called only when the key has one."""


class KeyFileError(OperatorError):
    """A key file cannot be used. The message names the file and shows nothing of it."""


def make_root_key(folder: Path, name: str, passphrase: str | None) -> SSlibKey:
    """Make a root key as `<name>.pem` and `<name>.pub`. Returns the public key.

    Raises KeyFileError, and OperatorError if a file exists.
    """
    key = Ed25519PrivateKey.generate()
    make_key_files(folder, name, key, passphrase)
    return _named(SSlibKey.from_crypto(key.public_key()), name)


def make_key_files(
    folder: Path, name: str, key: Ed25519PrivateKey | X25519PrivateKey, passphrase: str | None
) -> None:
    """Write a new key to `<name>.pem` and its public half to `<name>.pub`.

    Raises KeyFileError, and OperatorError if a file exists.
    """
    if not KEY_NAME.fullmatch(name):
        raise KeyFileError(
            f"{name[:40]!r} is no name for a key: use at most 32 letters, digits, '.', '_' and '-',"
            " no path"
        )
    public, private = folder / f"{name}.pub", folder / f"{name}.pem"
    if public.exists():
        raise KeyFileError(f"{public}: is there already, and a key is never overwritten")
    try:
        make_file(private, _pem(key, passphrase), SECRET_MODE)
        try:
            content = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            make_file(public, content, PUBLIC_MODE)
        except BaseException:  # Ctrl-C too: a key without its public half would block its name
            private.unlink()
            raise
    except OSError as error:
        raise KeyFileError(f"{error.filename or folder}: {error.strerror or error}") from error


def read_public_key(path: Path) -> SSlibKey:
    """Read the public key in a `.pub` file; the file's name becomes its name.

    Raises KeyFileError.
    """
    key = public_key_in(path)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: is no Ed25519 key")
    return _named(SSlibKey.from_crypto(key), path.stem)


def public_key_in(path: Path) -> object:
    """Read the public key of any kind in a `.pub` file with a valid name. Raises KeyFileError."""
    content = _read(path)
    if b"PRIVATE KEY" in content:
        raise KeyFileError(
            f"{path}: is a private key; it stays where it is, give the .pub file made with it"
        )
    if not KEY_NAME.fullmatch(path.stem):
        raise KeyFileError(
            f"{path}: the key is called by its file, and {path.stem[:40]!r} is no name for one"
        )
    try:
        return load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: is no public key in PEM") from None


def read_private_key(path: Path, passphrase: Passphrase | None = None) -> CryptoSigner:
    """Read the private key that signs, from its PEM file.

    Raises KeyFileError, also for a key with a passphrase if `passphrase` is None.
    """
    key = private_key_in(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is no Ed25519 key")
    return CryptoSigner(key)


def private_key_in(path: Path, passphrase: Passphrase | None = None) -> object:
    """Read the private key of any kind in a PEM file. Raises KeyFileError."""
    content = _read(path)
    if b"PUBLIC KEY" in content:
        raise KeyFileError(f"{path}: is the public part; this needs the private key made with it")
    try:
        return load_pem_private_key(content, None)
    except TypeError:  # the library's error for a key with a passphrase
        return _unlocked(path, content, passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: is no private key in PEM") from None


def key_name(key: object) -> str:
    """The name of a key; "" if it has none, or one that no file could have."""
    name = getattr(key, "unrecognized_fields", {}).get(NAME_FIELD)
    return name if isinstance(name, str) and KEY_NAME.fullmatch(name) else ""


def make_online_key(home: Home, role: str, *, following: bool = False) -> SSlibKey:
    """Make the key of an online role, or its next key.

    Returns the public half; raises KeyFileError.
    """
    key = Ed25519PrivateKey.generate()
    try:
        make_file(_online_paths(home, role)[following], _pem(key, None), SECRET_MODE)
    except OSError as error:
        raise KeyFileError(
            f"{error.filename or home.online_keys}: {error.strerror or error}"
        ) from error
    return SSlibKey.from_crypto(key.public_key())


def online_key(home: Home, role: str, *, following: bool = False) -> SSlibKey | None:
    """The public half of a role's key, or of its next key; None if missing. Raises KeyFileError."""
    path = _online_paths(home, role)[following]
    return _read_online(path).public_key if path.exists() else None


def online_key_ids(home: Home, role: str) -> set[str]:
    """The ids of this role's keys here, the next one included; a damaged file is skipped."""
    return {_id(path) for path in _online_paths(home, role)}


def online_signer(
    home: Home, role: str, key_ids: Collection[str], root_version: int
) -> CryptoSigner:
    """The key of this role that the root names: no other key may sign. Raises KeyFileError."""
    found = []
    for path in filter(Path.exists, _online_paths(home, role)):
        try:
            signer = _read_online(path)
        except KeyFileError as error:
            found.append(str(error))
            continue
        if signer.public_key.keyid in key_ids:
            return signer
        found.append(f"{path.name} is {signer.public_key.keyid[:16]}")
    raise KeyFileError(
        f"{home.online_keys}: no key of {role} here is one that root {root_version} names"
        f" ({', '.join(key[:16] for key in sorted(key_ids))}):"
        f" {', '.join(found) or 'there is none'}"
    )


def settle_steps(home: Home, key_ids: Mapping[str, Collection[str]]) -> Generator[str, None, None]:
    """Where the root in force names the next key: retire the current one, and rename the next one.

    Raises OSError.
    """
    for role in ONLINE_ROLES:
        before, following = _online_paths(home, role)
        if _id(following) in key_ids[role]:
            if before.exists():
                yield from _retire_steps(home, role, before)
            yield from move_steps(following, before)


def retire_following(home: Home, role: str) -> None:
    """Retire a next key that will not be used. Raises OSError."""
    _, following = _online_paths(home, role)
    if following.exists():
        for _ in _retire_steps(home, role, following):
            pass


class FingerprintKey(NamedTuple):
    """A fingerprint key, and its id in hex."""

    id: str
    key: bytes


def make_fingerprint_key(home: Home) -> str:
    """Make the first fingerprint key, the current one. Returns its id; raises OSError."""
    made = _new_fingerprint_key(home)
    put(home.fingerprint_keys / "current", f"{made}\n".encode())
    return made


def start_fingerprint_key(home: Home) -> str:
    """Make the next fingerprint key, which gates receive before it is used. Returns its id.

    Raises OperatorError if there is a next key already.
    """
    coming = next_fingerprint_key(home)
    if coming is not None:
        raise OperatorError(
            f"{home.fingerprint_keys}: {coming}.key is the next one already;"
            " when the gates hold it, --switch"
        )
    made = _new_fingerprint_key(home)
    put(home.fingerprint_keys / "next", f"{made}\n".encode())
    return made


def switch_fingerprint_key(home: Home) -> tuple[str, str]:
    """Use the next fingerprint key from the next publication on.

    Returns the ids of the key before and of this one; raises OperatorError if there is no next key.
    """
    coming = next_fingerprint_key(home)
    if coming is None:
        raise OperatorError(f"{home.fingerprint_keys}: there is no next key; make one with --start")
    _fingerprint_key(home, coming)  # never switch to a file that cannot be read
    before = current_fingerprint_key(home).id
    put(home.fingerprint_keys / "current", f"{coming}\n".encode())
    (home.fingerprint_keys / "next").unlink()
    sync_folder(home.fingerprint_keys)
    return before, coming


def current_fingerprint_key(home: Home) -> FingerprintKey:
    """The current fingerprint key. Raises KeyFileError."""
    return _fingerprint_key(home, _pointer(home.fingerprint_keys / "current"))


def next_fingerprint_key(home: Home) -> str | None:
    """The id of the next fingerprint key; None if there is none. Raises KeyFileError."""
    path = home.fingerprint_keys / "next"
    if not path.exists():
        return None
    coming = _pointer(path)
    # A crash inside a switch leaves both names for the same key: then the switch is done.
    return None if coming == _pointer(home.fingerprint_keys / "current") else coming


def fingerprint_keys_but(home: Home, held: Container[str]) -> list[FingerprintKey]:
    """The current and the next fingerprint key, without those in `held`. Raises KeyFileError.

    It reads only the keys that it returns: a receiver calls it at every status of every gate.
    """
    coming, current = next_fingerprint_key(home), _pointer(home.fingerprint_keys / "current")
    return [_fingerprint_key(home, name) for name in (current, coming) if name and name not in held]


def _new_fingerprint_key(home: Home) -> str:
    key = secrets.token_bytes(FINGERPRINT_KEY_BYTES)
    name = key_id(key).hex()
    content = format_key_file(
        key, f"Turnike fingerprint key {name}: for the back office and the gates, nobody else"
    )
    folder = home.fingerprint_keys
    # In a shared folder the receiver's group may read it too, to send it to gates.
    make_file(folder / f"{name}.key", content, secret_mode(folder))
    return name


def _fingerprint_key(home: Home, name: str) -> FingerprintKey:
    path = home.fingerprint_keys / f"{name}.key"
    try:
        key = parse_key_file(_read(path, KEY_FILE_BYTES_MAX))
    except FingerprintKeyError as error:
        raise KeyFileError(f"{path}: {error}") from error
    if key_id(key).hex() != name:
        raise KeyFileError(f"{path}: holds another key, with the id {key_id(key).hex()}")
    return FingerprintKey(name, key)


def _pointer(path: Path) -> str:
    name = _read(path, 64).decode("ascii", "replace").strip()
    if not _KEY_ID_HEX.fullmatch(name):
        raise KeyFileError(f"{path}: is not the id of a key, 16 hex digits")
    return name


def _online_paths(home: Home, role: str) -> tuple[Path, Path]:
    """The files of a role's key and of its next key."""
    return home.online_keys / f"{role}.pem", home.online_keys / f"{role}.next.pem"


def _id(path: Path) -> str:
    """The id of an online key; "damaged", which no root names, for a damaged or missing file."""
    try:
        return _read_online(path).public_key.keyid
    except KeyFileError:
        return "damaged"


def _read_online(path: Path) -> CryptoSigner:
    signer = read_private_key(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise KeyFileError(
            f"{path}: others may read it (mode {mode:o}); chmod 600, and ask who did"
        )
    return signer


def _retire_steps(home: Home, role: str, path: Path) -> Generator[str, None, None]:
    """Retire a key. A damaged one too: a new key replaces it."""
    home.retired_keys.mkdir(mode=0o700, exist_ok=True)
    yield from move_steps(path, home.retired_keys / f"{role}-{_id(path)[:16]}.pem")


def _unlocked(path: Path, content: bytes, passphrase: Passphrase | None) -> object:
    if passphrase is None:
        raise KeyFileError(f"{path}: has a passphrase, and no terminal to ask for it")
    try:
        return load_pem_private_key(content, passphrase().encode())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: the passphrase is not right") from None


def _pem(key: Ed25519PrivateKey | X25519PrivateKey, passphrase: str | None) -> bytes:
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def _named(key: SSlibKey, name: str) -> SSlibKey:
    key.unrecognized_fields[NAME_FIELD] = name
    return key


def _read(path: Path, bytes_max: int = _PEM_BYTES_MAX) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from error
    if len(content) > bytes_max:
        raise KeyFileError(f"{path}: has more than {bytes_max} bytes, which no key file has")
    return content
