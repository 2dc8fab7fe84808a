"""The file `courier.json`: the state of the source of lists, seen from this gate.

The courier writes it after each poll; `turnike check` and the lane read it.
"""

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line
from validator.formats.checked import ChecksumError, checked, stamped
from validator.reports.gate_status import BUSY

COURIER_STATUS_FILE = "courier.json"  # in the memory-backed list folder if any, else on the disk
COURIER_STATUS_BYTES_MAX = 1 << 14
POLL_S_MAX = 900  # for one poll: the largest list at 1 Mbit/s
# The longest wait between two polls: 3,600 s if the server asks for it, and jitter of a fifth.
ASKED_WAIT_S_MAX = 4_500

_UnixSeconds = Annotated[int, Meta(ge=0, lt=1 << 40)]


class CourierStatusError(InvalidBytes):
    """Bytes that are no status; the message is one clear line."""


class UploadStatus(Struct, frozen=True):
    """The state of the upload of reports to the back office, and its problem."""

    state: Annotated[str, Meta(max_length=64)]
    problem: Annotated[str, Meta(max_length=2_000)]


class CourierStatus(Struct, frozen=True):
    """The state of the source of lists, since when, and its problem.

    `polled_unix_s` is the last poll. `list_version` is the version held here: 0 for none, None if
    unknown.
    """

    state: Annotated[str, Meta(max_length=64)]
    problem: Annotated[str, Meta(max_length=2_000)]
    since_unix_s: _UnixSeconds
    polled_unix_s: _UnixSeconds
    list_version: Annotated[int, Meta(ge=0, lt=1 << 53)] | None
    upload: UploadStatus | None = None
    """None: no [upload] on this gate, or an older courier."""


_decoder = msgspec.json.Decoder(CourierStatus, strict=True)


def decode(content: bytes) -> CourierStatus:
    """Decode the file.

    Raises:
        CourierStatusError: the bytes are no status. No other error is raised.
    """
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
    """Return after how many seconds without a poll a courier counts as silent.

    Args:
        state: the state that it reported last.
        poll_s: seconds between its polls.
    """
    return POLL_S_MAX + wait_s_max(state, poll_s)


def wait_s_max(state: str, poll_s: float) -> int:
    """Return the longest wait between two polls, in whole seconds; see `silence_s_max`."""
    return ASKED_WAIT_S_MAX if state == BUSY else ceil(1.2 * poll_s)


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes of the file: the fields of CourierStatus, and others that readers ignore."""
    return stamped(msgspec.json.encode(fields), COURIER_STATUS_FILE)
