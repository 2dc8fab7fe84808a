"""The time floor in the courier's file `accepted.json`: three of its fields, and whose signature it was. The rest of it is the courier's (accepted.py).

A lane must not fail over what a later courier adds, so everything else in the file is passed over.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

SIGNED_TIME_FILE = "accepted.json"  # in the list folder on the disk
SIGNED_TIME_BYTES_MAX = 1 << 14  # the whole file: versions, key ids, and a manifest


class SignedTimeError(Exception):
    """Bytes that tell no signed time; the message is one clear line."""


class SignedTime(Struct, frozen=True):
    """A signed time (Unix seconds), in which boot and at how many ns of boot time it was accepted, and the ids of the keys that may sign it."""

    signed_unix_s: Annotated[int, Meta(ge=0, lt=1 << 40)]
    boot_id: Annotated[str, Meta(max_length=64)]
    boottime_ns: Annotated[int, Meta(ge=0, lt=1 << 62)]
    timestamp_keys: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(SignedTime, strict=True)


def decode(content: bytes) -> SignedTime:
    """The signed time in these bytes. Raises SignedTimeError, and nothing else, for whatever holds none."""
    if len(content) > SIGNED_TIME_BYTES_MAX:
        raise SignedTimeError(f"longer than {SIGNED_TIME_BYTES_MAX} bytes")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise SignedTimeError(f"no signed time: {line.encode('ascii', 'replace').decode()}") from None
