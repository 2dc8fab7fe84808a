"""What a program of the gate may ask its lane: one JSON object a line, whose bytes may be hostile.

    parse(b'{"request":"reports","max":20}')  # Reports(max=20)

lane/lane_socket.py receives requests, lane/clerk.py answers them by the structs of answers.py.
docs/lane-socket.md describes each.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line
from validator.learning.order import WAIT_S_MAX
from validator.learning.signed_text import SignedText

LINE_BYTES_MAX = 4_096  # `delivered` with twenty ids takes 900
SKIP_MAX = 180  # an upload has two hundred at most
BATCH_MAX = 20  # reports in an answer: what the clerk reads while the interpreter is not the loop's

_Id = Annotated[str, Meta(max_length=64)]


class RequestError(InvalidBytes):
    """A line that is no request; the message is one clear line and shows nothing of it."""


class Status(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="status"):
    """Ask for everything that the lane reports of itself."""


class Watch(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="watch"):
    """Ask for every event from now on."""


class Reports(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="reports"):
    """Ask for the reports that have waited longest, after the first `skip` of them."""

    max: Annotated[int, Meta(ge=1, le=BATCH_MAX)] = BATCH_MAX
    skip: Annotated[int, Meta(ge=0, le=SKIP_MAX)] = 0


class Delivered(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="delivered"
):
    """Delete these reports: they are in the city."""

    ids: Annotated[tuple[_Id, ...], Meta(max_length=BATCH_MAX)]


class Rejected(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="rejected"
):
    """Quarantine this report: the city will never take it."""

    id: _Id
    reason: Annotated[str, Meta(max_length=200)]


class Retry(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="retry"):
    """Let quarantined reports wait again."""

    max: Annotated[int, Meta(ge=1, le=BATCH_MAX)] = BATCH_MAX


class Histograms(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="histograms"
):
    """Ask for every duration since the lane's start, counted by bucket."""


class ListChanged(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="list_changed"
):
    """Scan the list folder now, not within a second: a list was installed."""


class Learn(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="learn"):
    """Show the next refused or unknown card to the operator in the city who signed this order."""

    order: SignedText


class LearnHere(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="learn_here"
):
    """Show it to the person who asks: root of this gate, or the lane's own user.

    The card is sealed to `public_key`, an X25519 key in hex.
    """

    public_key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    wait_s: Annotated[int, Meta(ge=1, le=WAIT_S_MAX)]


class Learned(Struct, frozen=True, forbid_unknown_fields=True, tag_field="request", tag="learned"):
    """Ask how far the lane is with the last order."""


Request = (
    Status
    | Watch
    | Reports
    | Delivered
    | Rejected
    | Retry
    | Histograms
    | ListChanged
    | Learn
    | LearnHere
    | Learned
)

_decoder = msgspec.json.Decoder(Request, strict=True)


def parse(line: bytes) -> Request:
    """Decode a line.

    Raises:
        RequestError: it is no request. No other error is raised.
    """
    if len(line) > LINE_BYTES_MAX:
        raise RequestError(f"a request has at most {LINE_BYTES_MAX} bytes")
    try:
        request: Request = _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RequestError(one_line(error)) from None
    return request
