"""The file `courier.json`: how the source of lists looks from this gate. The courier writes it after each poll, `turnike check` reads it."""

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line
from validator.formats.checked import ChecksumError, checked, stamped
from validator.reports.gate_status import BUSY

COURIER_STATUS_FILE = (
    "courier.json"  # in the memory-backed list folder, or, where there is none, in that on the disk
)
COURIER_STATUS_BYTES_MAX = 1 << 14
POLL_S_MAX = 900  # so long one poll may take: the largest list at 1 Mbit/s
ASKED_WAIT_S_MAX = (
    4_500  # the longest between two polls: 3,600 s because the server asks for it, and a fifth
)

_UnixSeconds = Annotated[int, Meta(ge=0, lt=1 << 40)]


class CourierStatusError(InvalidBytes):
    """Bytes that are no status; the message is one clear line."""


class UploadStatus(Struct, frozen=True):
    """How the way of reports to the back office stands, and what is wrong with it."""

    state: Annotated[str, Meta(max_length=64)]
    problem: Annotated[str, Meta(max_length=2_000)]


class CourierStatus(Struct, frozen=True):
    """The state of the source since when, what is wrong, when it was asked last (Unix seconds), and the list version held here: 0 if none, None if not known."""

    state: Annotated[str, Meta(max_length=64)]
    problem: Annotated[str, Meta(max_length=2_000)]
    since_unix_s: _UnixSeconds
    polled_unix_s: _UnixSeconds
    list_version: Annotated[int, Meta(ge=0, lt=1 << 53)] | None
    upload: UploadStatus | None = None
    """None of a gate without [upload], and of an older courier."""


_decoder = msgspec.json.Decoder(CourierStatus, strict=True)


def decode(content: bytes) -> CourierStatus:
    """The status in these bytes. Raises CourierStatusError, and nothing else, for whatever is none."""
    if len(content) > COURIER_STATUS_BYTES_MAX:
        raise CourierStatusError(f"longer than {COURIER_STATUS_BYTES_MAX} bytes")
    try:
        return _decoder.decode(
            checked(content, COURIER_STATUS_FILE, CourierStatus.__struct_fields__)
        )
    except ChecksumError as error:
        raise CourierStatusError(f"no status: {error}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CourierStatusError(f"no status: {one_line(error)}") from None


def silence_s_max(state: str, poll_s: float) -> float:
    """How long a courier in this state that asks every `poll_s` seconds may say nothing, in seconds."""
    return POLL_S_MAX + wait_s_max(state, poll_s)


def wait_s_max(state: str, poll_s: float) -> int:
    """How long it waits at most between two polls, in whole seconds."""
    return ASKED_WAIT_S_MAX if state == BUSY else ceil(1.2 * poll_s)


def encode(fields: Mapping[str, Any]) -> bytes:
    """The bytes of the file, of these fields and more."""
    return stamped(msgspec.json.encode(fields), COURIER_STATUS_FILE)
