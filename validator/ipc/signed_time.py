"""What a lane reads of the courier's file `accepted.json`: the time floor, and the signing keys.

accepted.py has the whole file. A lane must not fail over a field that a later courier adds, so
this module ignores all others.
"""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from validator.domain.trusted_time import SIGNED_UNIX_S_END
from validator.errors import InvalidBytes, one_line
from validator.formats.checked import ChecksumError, checked
from validator.ipc.accepted import ACCEPTED_FILE, Accepted

SIGNED_TIME_FILE = ACCEPTED_FILE  # in the list folder on the disk
SIGNED_TIME_BYTES_MAX = 1 << 14  # the whole file: versions, key ids, and a manifest


class SignedTimeError(InvalidBytes):
    """Bytes without a signed time; the message is one clear line."""


class SignedTime(Struct, frozen=True):
    """A signed time in Unix seconds, and when it was accepted: boot id and ns of boot time.

    `timestamp_keys` are the ids of the keys that may sign it, `targets_keys` of those that may sign
    what gates believe.
    """

    signed_unix_s: Annotated[int, Meta(ge=0, lt=SIGNED_UNIX_S_END)]
    boot_id: Annotated[str, Meta(max_length=64)]
    boottime_ns: Annotated[int, Meta(ge=0, lt=1 << 62)]
    timestamp_keys: tuple[str, ...] = ()
    targets_keys: tuple[str, ...] = ()


class Order(NamedTuple):
    """The order of two accepted times: the greater is the newer.

    A timestamp's version begins again only under a newer root.
    """

    root: int
    timestamp: int


class _Versions(Struct, frozen=True):
    root: int = 0
    timestamp: int = 0


_decoder = msgspec.json.Decoder(SignedTime, strict=True)
_versions = msgspec.json.Decoder(_Versions, strict=True)


def decode(content: bytes) -> SignedTime:
    """Decode the file.

    Raises:
        SignedTimeError: the bytes have no signed time. No other error is raised.
    """
    if len(content) > SIGNED_TIME_BYTES_MAX:
        raise SignedTimeError(f"longer than {SIGNED_TIME_BYTES_MAX} bytes")
    try:
        return _decoder.decode(checked(content, ACCEPTED_FILE, Accepted.__struct_fields__))
    except ChecksumError as error:
        raise SignedTimeError(str(error)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SignedTimeError(f"no signed time: {one_line(error)}") from None


def order(content: bytes) -> Order:
    """Return the order of a file among several. Raises nothing for bytes that `decode` takes."""
    try:
        versions = _versions.decode(content)
    except msgspec.MsgspecError:
        return Order(0, 0)
    return Order(versions.root, versions.timestamp)
