"""Reads the fingerprint keys that this gate holds: a folder of `*.key` files.

courier/store/key_folder.py writes it.
"""

import os
import re
import stat
from pathlib import Path

from validator.lists.files import reason
from validator.lists.fingerprint_keys import (
    KEY_FILE_BYTES_MAX,
    FingerprintKeyError,
    key_id,
    keyring,
    parse_key_file,
)

_KEY_NAME = re.compile(r"[^.].*\.key", re.DOTALL)  # an editor's lock begins with a dot
_ID_NAME = re.compile(r"([0-9a-f]{16})\.key")  # the courier's names, and the back office's


def held_keys(folder: Path) -> dict[bytes, bytes]:
    """The fingerprint keys in a folder's `*.key` files, by id.

    A bad file does not hide the others: a new key that was copied badly must not stop a gate that
    needs the old one. Raises FingerprintKeyError if there is no good one; it names the file and
    never shows a key.
    """
    keys, spoilt = read_keys(folder)
    if not keys:
        none = (
            f"{folder}: no *.key file yet; the courier brings it after `turnike enroll`, or put the"
            " fleet's key there"
        )
        raise FingerprintKeyError(spoilt[0] if spoilt else none)
    return keys


def read_keys(folder: Path) -> tuple[dict[bytes, bytes], tuple[str, ...]]:
    """The keys by id, and one line for each file that is no key.

    Raises FingerprintKeyError if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if _KEY_NAME.fullmatch(entry.name))
    except OSError as error:
        raise FingerprintKeyError(
            f"{error.filename or folder}: {reason(error)}; list.keys must be readable"
        ) from error
    keys, spoilt = [], []
    for name in names:
        try:
            keys.append(_key(folder / name))
        except OSError as error:
            spoilt.append(f"{folder / name}: {reason(error)}; list.keys must be readable")
        except FingerprintKeyError as error:
            spoilt.append(str(error))
    return keyring(keys), tuple(spoilt)


def _key(path: Path) -> bytes:
    # O_NONBLOCK: a pipe here must not hang the start.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise FingerprintKeyError(
                f"{path}: not a regular file; put the fleet's fingerprint key there"
            )
        content = os.read(fd, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(fd)
    try:
        key = parse_key_file(content)
    except FingerprintKeyError as error:
        raise FingerprintKeyError(f"{path}: {error}") from None
    if (named := _ID_NAME.fullmatch(path.name)) and named[1] != key_id(key).hex():
        raise FingerprintKeyError(
            f"{path}: damaged, or another key than that of its name; the city sends it again"
        )
    return key
