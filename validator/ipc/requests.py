"""What a program of the gate may ask its lane, a JSON object a line. Bytes may be hostile; who asks is lane/lane_socket.py, who answers clerk.py.

    parse(b'{"request":"reports","max":20}')  # Reports(max=20)

docs/lane-socket.md gives each answer.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line

LINE_BYTES_MAX = 4_096  # `delivered` with twenty ids is 900
SKIP_MAX = 180  # an upload has two hundred at most
BATCH_MAX = 20  # reports in an answer: what the clerk reads while the interpreter is not the loop's

_Id = Annotated[str, Meta(max_length=64)]


class RequestError(InvalidBytes):
    """A line that is no request; the message is one clear line and shows nothing of it."""


class Status(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="status"):
    """How the lane fares."""


class Watch(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="watch"):
    """Every event from now on."""


class Reports(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="reports"):
    """The reports that have waited longest, after the first `skip` of them."""

    max: Annotated[int, Meta(ge=1, le=BATCH_MAX)] = BATCH_MAX
    skip: Annotated[int, Meta(ge=0, le=SKIP_MAX)] = 0


class Delivered(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="delivered"
):
    """These reports are in the city: forget them."""

    ids: Annotated[tuple[_Id, ...], Meta(max_length=BATCH_MAX)]


class Rejected(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="rejected"
):
    """The city will never take this report: put it aside."""

    id: _Id
    reason: Annotated[str, Meta(max_length=200)]


class Retry(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="retry"):
    """Let reports wait again that were put aside."""

    max: Annotated[int, Meta(ge=1, le=BATCH_MAX)] = BATCH_MAX


class Histograms(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="histograms"
):
    """Every duration since the start, counted by size."""


class ListChanged(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="list_changed"
):
    """A list was installed: look now, not within a second."""


Request = Status | Watch | Reports | Delivered | Rejected | Retry | Histograms | ListChanged

_decoder = msgspec.json.Decoder(Request, strict=True)


def parse(line: bytes) -> Request:
    """The request in this line. Raises RequestError, and nothing else."""
    if len(line) > LINE_BYTES_MAX:
        raise RequestError(f"a request has at most {LINE_BYTES_MAX} bytes")
    try:
        request: Request = _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(one_line(error)) from None
    return request
