"""The key files: root keys (made and kept offline), online keys that sign every publication, and the fleet's fingerprint keys.

A private key is an Ed25519 key as PKCS#8 in PEM, mode 0600, in a file that was not there before. Its public part is `<name>.pub`, a PEM
SubjectPublicKeyInfo, so that openssl can make and read both. No private key is ever shown, in an error neither.

An online key that is to replace another lies beside it (`timestamp.next.pem`) until a root names it. Which of the two signs is
decided by the root in force and by nothing else.
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
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # its public names are not re-exported in words

from backoffice.home.folder import PUBLIC_MODE, Office, make_file, move_steps, put, secret_mode
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
NAME_FIELD = "x-turnike-name"  # in the root, beside a key: what people call it. Not part of its id
KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

_PEM_BYTES_MAX = 4096  # an encrypted Ed25519 key has some 300
_KEY_ID_HEX = re.compile(r"[0-9a-f]{16}")

Passphrase = Callable[[], str]
"""Asks for the passphrase of a key; called only when the key has one."""


class KeyFileError(OperatorError):
    """A key file is not usable; the message is one clear line with its path, and never shows any of it."""


def make_root_key(folder: Path, name: str, passphrase: str | None) -> SSlibKey:
    """Make `<name>.pem` and `<name>.pub` in a folder; returns the public key. Raises KeyFileError, and OperatorError if one is there."""
    key = Ed25519PrivateKey.generate()
    make_key_files(folder, name, key, passphrase)
    return _named(SSlibKey.from_crypto(key.public_key()), name)


def make_key_files(
    folder: Path, name: str, key: Ed25519PrivateKey | X25519PrivateKey, passphrase: str | None
) -> None:
    """Put a new key into `<name>.pem` and its public part into `<name>.pub`. Raises KeyFileError, and OperatorError if one is there."""
    if not KEY_NAME.fullmatch(name):
        raise KeyFileError(
            f"{name[:40]!r} is no name for a key: at most 32 letters, digits, '.', '_' and '-', no path"
        )
    public, private = folder / f"{name}.pub", folder / f"{name}.pem"
    if public.exists():
        raise KeyFileError(f"{public}: is there already, and a key is never overwritten")
    try:
        make_file(private, _pem(key, passphrase), SECRET_MODE)
        try:
            content = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            make_file(public, content, PUBLIC_MODE)
        except BaseException:  # Ctrl-C too: a key of which nobody has the public part is in the way
            private.unlink()
            raise
    except OSError as error:
        raise KeyFileError(f"{error.filename or folder}: {error.strerror or error}") from error


def read_public_key(path: Path) -> SSlibKey:
    """The public key in a `.pub` file, called by the file's name. Raises KeyFileError."""
    key = public_key_in(path)
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: is no Ed25519 key")
    return _named(SSlibKey.from_crypto(key), path.stem)


def public_key_in(path: Path) -> object:
    """The public key, of whatever kind, in a `.pub` file that is called as a key may be. Raises KeyFileError."""
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
    """The key that signs, from its PEM file. Raises KeyFileError, also for one with a passphrase if there is no way to ask for it."""
    key = private_key_in(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: is no Ed25519 key")
    return CryptoSigner(key)


def private_key_in(path: Path, passphrase: Passphrase | None = None) -> object:
    """The private key, of whatever kind, in a PEM file. Raises KeyFileError."""
    content = _read(path)
    if b"PUBLIC KEY" in content:
        raise KeyFileError(f"{path}: is the public part; this needs the private key made with it")
    try:
        return load_pem_private_key(content, None)
    except TypeError:  # what the library says of a key that has a passphrase
        return _unlocked(path, content, passphrase)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: is no private key in PEM") from None


def key_name(key: object) -> str:
    """What people call a key, or '' if nobody named it, or named it what no file could be called."""
    name = getattr(key, "unrecognized_fields", {}).get(NAME_FIELD)
    return name if isinstance(name, str) and KEY_NAME.fullmatch(name) else ""


def make_online_key(office: Office, role: str, *, following: bool = False) -> SSlibKey:
    """Make the key of an online role, or the one that is to follow it; returns its public part. Raises KeyFileError."""
    key = Ed25519PrivateKey.generate()
    try:
        make_file(_online_paths(office, role)[following], _pem(key, None), SECRET_MODE)
    except OSError as error:
        raise KeyFileError(
            f"{error.filename or office.online_keys}: {error.strerror or error}"
        ) from error
    return SSlibKey.from_crypto(key.public_key())


def online_key(office: Office, role: str, *, following: bool = False) -> SSlibKey | None:
    """The public part of a role's key, or of the one that is to follow it; None if there is none. Raises KeyFileError."""
    path = _online_paths(office, role)[following]
    return _read_online(path).public_key if path.exists() else None


def online_key_ids(office: Office, role: str) -> set[str]:
    """The ids of the keys of this role that could sign here, the following one included; a damaged file is passed over."""
    return {_id(path) for path in _online_paths(office, role)}


def online_signer(
    office: Office, role: str, key_ids: Collection[str], root_version: int
) -> CryptoSigner:
    """The key of this role that the root names. Raises KeyFileError: a key that the root does not name signs nothing."""
    found = []
    for path in filter(Path.exists, _online_paths(office, role)):
        try:
            signer = _read_online(path)
        except KeyFileError as error:
            found.append(str(error))
            continue
        if signer.public_key.keyid in key_ids:
            return signer
        found.append(f"{path.name} is {signer.public_key.keyid[:16]}")
    raise KeyFileError(
        f"{office.online_keys}: no key of {role} here is one that root {root_version} names"
        f" ({', '.join(key[:16] for key in sorted(key_ids))}): {', '.join(found) or 'there is none'}"
    )


def settle_steps(
    office: Office, key_ids: Mapping[str, Collection[str]]
) -> Generator[str, None, None]:
    """Where the root in force names the following key: retire the one before, and call the following by the role. Raises OSError."""
    for role in ONLINE_ROLES:
        before, following = _online_paths(office, role)
        if _id(following) in key_ids[role]:
            if before.exists():
                yield from _retire_steps(office, role, before)
            yield from move_steps(following, before)


def retire_following(office: Office, role: str) -> None:
    """Give up a following key. Raises OSError."""
    _, following = _online_paths(office, role)
    if following.exists():
        for _ in _retire_steps(office, role, following):
            pass


class FingerprintKey(NamedTuple):
    """A key under which fingerprints are made, and its id in hex."""

    id: str
    key: bytes


def make_fingerprint_key(office: Office) -> str:
    """Make the first fingerprint key, and make it the current one; returns its id. Raises OSError."""
    made = _new_fingerprint_key(office)
    put(office.fingerprint_keys / "current", f"{made}\n".encode())
    return made


def start_fingerprint_key(office: Office) -> str:
    """Make the fingerprint key that is to be the next, for the gates to hold before it is used; returns its id. Raises OperatorError."""
    coming = next_fingerprint_key(office)
    if coming is not None:
        raise OperatorError(
            f"{office.fingerprint_keys}: {coming}.key is the next one already; when the gates hold it, --switch"
        )
    made = _new_fingerprint_key(office)
    put(office.fingerprint_keys / "next", f"{made}\n".encode())
    return made


def switch_fingerprint_key(office: Office) -> tuple[str, str]:
    """Use the next fingerprint key from the next publication on; returns the ids of the one before and of this. Raises OperatorError."""
    coming = next_fingerprint_key(office)
    if coming is None:
        raise OperatorError(
            f"{office.fingerprint_keys}: there is no next key; make one with --start"
        )
    _fingerprint_key(office, coming)  # never switch to a file that cannot be read
    before = current_fingerprint_key(office).id
    put(office.fingerprint_keys / "current", f"{coming}\n".encode())
    (office.fingerprint_keys / "next").unlink()
    sync_folder(office.fingerprint_keys)
    return before, coming


def current_fingerprint_key(office: Office) -> FingerprintKey:
    """The key under which the next publication is made. Raises KeyFileError."""
    return _fingerprint_key(office, _pointer(office.fingerprint_keys / "current"))


def next_fingerprint_key(office: Office) -> str | None:
    """The id of the key that was started and is not used yet. Raises KeyFileError."""
    path = office.fingerprint_keys / "next"
    if not path.exists():
        return None
    coming = _pointer(path)
    # A crash inside a switch leaves both names for the same key: it is done then.
    return None if coming == _pointer(office.fingerprint_keys / "current") else coming


def fingerprint_keys_but(office: Office, held: Container[str]) -> list[FingerprintKey]:
    """The current key and the one that is to follow, but for those with these ids. Raises KeyFileError.

    Only what is asked for is read: a receiver asks this at every status of every gate.
    """
    coming, current = next_fingerprint_key(office), _pointer(office.fingerprint_keys / "current")
    return [
        _fingerprint_key(office, name) for name in (current, coming) if name and name not in held
    ]


def _new_fingerprint_key(office: Office) -> str:
    key = secrets.token_bytes(FINGERPRINT_KEY_BYTES)
    name = key_id(key).hex()
    content = format_key_file(
        key, f"Turnike fingerprint key {name}: for the back office and the gates, nobody else"
    )
    folder = office.fingerprint_keys
    make_file(
        folder / f"{name}.key", content, secret_mode(folder)
    )  # the receiver's too, if it is to bring them
    return name


def _fingerprint_key(office: Office, name: str) -> FingerprintKey:
    path = office.fingerprint_keys / f"{name}.key"
    try:
        key = parse_key_file(_read(path, KEY_FILE_BYTES_MAX))
    except FingerprintKeyError as error:
        raise KeyFileError(f"{path}: {error}") from error
    if key_id(key).hex() != name:
        raise KeyFileError(f"{path}: another key stands in it; its id is {key_id(key).hex()}")
    return FingerprintKey(name, key)


def _pointer(path: Path) -> str:
    name = _read(path, 64).decode("ascii", "replace").strip()
    if not _KEY_ID_HEX.fullmatch(name):
        raise KeyFileError(f"{path}: is not the id of a key, 16 hex digits")
    return name


def _online_paths(office: Office, role: str) -> tuple[Path, Path]:
    """Where the key of a role is, and the one that is to follow it."""
    return office.online_keys / f"{role}.pem", office.online_keys / f"{role}.next.pem"


def _id(path: Path) -> str:
    """The id of an online key; what no root can name, for a file that is damaged or not there."""
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


def _retire_steps(office: Office, role: str, path: Path) -> Generator[str, None, None]:
    """A damaged key is retired as well: replacing it is how it is mended."""
    office.retired_keys.mkdir(mode=0o700, exist_ok=True)
    yield from move_steps(path, office.retired_keys / f"{role}-{_id(path)[:16]}.pem")


def _unlocked(path: Path, content: bytes, passphrase: Passphrase | None) -> object:
    if passphrase is None:
        raise KeyFileError(f"{path}: has a passphrase, and nobody is here to give it")
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
