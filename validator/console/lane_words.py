"""A line from a lane's socket, decoded as far as the console may show it. docs/lane-socket.md.

    heard(b'{"event":"tap","tap":7,"token":"4f1a","outcome":"denied", …}')    # Tap(tap=7, …)

The bytes may be hostile. A key that no struct names is dropped, and each struct has a narrow form
(ipc/answers.py): nothing as long or as mixed as a card's number fits into a word or a token.

A Tap has neither the ground of a denial nor how long it took: only some denials are reported
first, so the time would give the ground away.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line
from validator.formats.shown import shown
from validator.ipc.answers import (
    Count,
    Counts,
    CourierHealth,
    LaneStatus,
    Name,
    Refusal,
    StageHistograms,
    Text,
    UnixSeconds,
    Watching,
    Word,
)
from validator.ipc.courier_status import UploadStatus

LINE_BYTES_MAX = 1 << 17  # a status is 2 KB, histograms with every bucket filled 80 KB

Token = Annotated[str, Meta(pattern=r"^([0-9a-f]{4})?\Z")]


class GarbageError(InvalidBytes):
    """A line that no lane sends; the message is one clear line and shows nothing of it."""


class Tap(Struct, frozen=True):
    """One tap: what the passenger saw, and how long it took, unless that gives its ground away."""

    tap: Count
    token: Token
    outcome: Word
    decided_us: Count
    unix_s: UnixSeconds
    told_us: Count | None = None
    """None for a denial."""


class News(Struct, frozen=True):
    """Any other event."""

    event: Text


Answer = LaneStatus | Counts | Watching | Refusal
Said = Tap | News | Answer


class _Line(Struct, frozen=True):
    """Any line; its kind is the key that is there."""

    event: str | None = None
    error: Text | None = None
    status: LaneStatus | None = None
    histograms: StageHistograms | None = None
    run_id: Name = ""
    watching: bool | None = None


_line = msgspec.json.Decoder(_Line, strict=True)
_tap = msgspec.json.Decoder(Tap, strict=True)


def heard(line: bytes) -> Said:
    """Decode one line.

    Raises:
        GarbageError: it is neither an event nor an answer. No other error is raised.
    """
    try:
        said = _line.decode(line)
        if said.event is not None:
            return _tap_of(line) if said.event == "tap" else News(shown(said.event[:64]))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise GarbageError(f"its line cannot be read ({one_line(error)})") from None
    if said.error is not None:
        return Refusal(shown(said.error))
    if said.status is not None:
        return _shown_status(said.status)
    if said.histograms is not None:
        return Counts(said.histograms, said.run_id)
    if said.watching is not None:
        return Watching()
    raise GarbageError("its line is neither an event nor an answer")


def _tap_of(line: bytes) -> Tap:
    tap = _tap.decode(line)
    return msgspec.structs.replace(tap, told_us=None) if tap.outcome == "denied" else tap


def _shown_status(status: LaneStatus) -> LaneStatus:
    """Make its sentences and names fit for a terminal, a page and a metric's label."""
    return msgspec.structs.replace(
        status,
        gate_id=shown(status.gate_id),
        version=shown(status.version),
        run_id=shown(status.run_id),
        list_problems=tuple(map(shown, status.list_problems)),
        lists_refused=(),  # for the courier; it changes while a scan is under way
        reports_trouble=shown(status.reports_trouble),
        courier=status.courier and _shown_courier(status.courier),
    )


def _shown_courier(courier: CourierHealth) -> CourierHealth:
    upload = courier.upload and UploadStatus(
        shown(courier.upload.state), shown(courier.upload.problem)
    )
    return msgspec.structs.replace(
        courier, state=shown(courier.state), problem=shown(courier.problem), upload=upload
    )
