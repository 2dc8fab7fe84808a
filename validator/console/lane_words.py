"""What a lane says on its socket, as far as the console shows it: a line to a value. Bytes may be hostile; docs/lane-socket.md has the words.

    heard(b'{"event":"tap","tap":7,"token":"4f1a","outcome":"denied", …}')    # Tap(tap=7, token='4f1a', …)

What is not named here is dropped, and what is named has a narrow form: nothing that is as long or as mixed as a card's number fits into a word or
a token. Why a card was refused is in no Tap, nor how long the refusal took, which would tell: only some are reported first. A Status only counts.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import InvalidBytes, one_line
from validator.formats.shown import shown

LINE_BYTES_MAX = 1 << 17  # a status is 2 KB, histograms full to the last bucket 80

Count = Annotated[int, Meta(ge=0, le=1 << 53)]  # what a browser can count
Moment = Annotated[int, Meta(ge=0, le=1 << 40)]  # Unix time
Word = Annotated[str, Meta(pattern=r"^[a-z_ ]{0,32}\Z")]
Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=2_000)]  # a sentence for the operator
Token = Annotated[str, Meta(pattern=r"^([0-9a-f]{4})?\Z")]


class GarbageError(InvalidBytes):
    """A line that no lane says; the message is one clear line and shows nothing of it."""


class Percentiles(Struct, frozen=True):
    """Of durations since the lane's start, in µs."""

    count: Count
    p50: Count
    p99: Count
    p999: Count
    max: Count


class Counted(Struct, frozen=True):
    """How many taps ended so, and why. Only the sums leave the console."""

    outcome: Word
    ground: Word
    count: Count


class UploadSays(Struct, frozen=True):
    """How the way of reports to the city stands, by the courier's own word."""

    state: Name
    problem: Text


class CourierSays(Struct, frozen=True):
    """How the source of lists looks from this gate, by the courier's own word; `silent` if that is old, None if nobody can tell."""

    state: Name
    problem: Text
    since_unix_s: Moment | None
    polled_unix_s: Moment | None
    """When it asked the city last; None if it has said nothing that can be read."""
    list_version: Count | None
    silent: bool | None
    asks_within_s: Count | None = None
    """How soon after that it means to have asked again; None if it need not say so, or the lane is older."""
    upload: UploadSays | None = None
    """None of a gate that brings no reports, of one that has not begun, and of an older lane."""


class Status(Struct, frozen=True):
    """How the lane fares; the answer to `status`."""

    gate_id: Name
    lane: Annotated[int, Meta(ge=1, le=99)]
    version: Name
    run_id: Name
    uptime_s: Count
    devices: dict[Word, Word]
    emergency: bool
    tamper: bool
    forced: Count
    taps: Annotated[tuple[Counted, ...], Meta(max_length=100)]
    unix_s: Moment
    clock_synchronised: bool
    list_state: Word
    list_version: Count | None
    list_issued_unix_s: Moment | None
    list_expires_unix_s: Moment | None
    list_cards: Count
    list_problems: tuple[Text, ...]
    reports_waiting: Count | None
    reports_refused: Count
    reports_rejected: Count | None
    reports_delivered: Count
    reports_trouble: Text
    notes_dropped: Count
    disk_free_bytes: Count | None
    decided_us: Percentiles
    told_us: Percentiles
    filed_us: Percentiles
    told_before_durable: Count
    courier: CourierSays | None = None
    """None of a gate that has none: its lists come by hand."""


class Histogram(Struct, frozen=True):
    """How many durations were at most so many ns, and more than the entry before."""

    counts: tuple[tuple[Count, Count], ...]


class Stages(Struct, frozen=True):
    """A tap's durations, from its reading on, but for `filed`: the wait for a report."""

    decided: Histogram
    filed: Histogram
    told: Histogram


class Counts(Struct, frozen=True):
    """Every duration since the lane's start; the answer to `histograms`."""

    histograms: Stages
    run_id: Name


class Tap(Struct, frozen=True):
    """One tap: what the passenger saw, and how long it took, unless that would say why."""

    tap: Count
    token: Token
    outcome: Word
    decided_us: Count
    unix_s: Moment
    told_us: Count | None = None
    """None of a refusal."""


class News(Struct, frozen=True):
    """Something else has happened at the lane."""

    event: Text


class Watching(Struct, frozen=True):
    """The answer to `watch`."""


class Refused(Struct, frozen=True):
    """The lane cannot answer now."""

    error: Text


Answer = Status | Counts | Watching | Refused
Said = Tap | News | Answer


class _Line(Struct, frozen=True):
    """Any line: an event or an answer by its key."""

    event: str | None = None
    error: Text | None = None
    status: Status | None = None
    histograms: Stages | None = None
    run_id: Name = ""
    watching: bool | None = None


_line = msgspec.json.Decoder(_Line, strict=True)
_tap = msgspec.json.Decoder(Tap, strict=True)


def _silent(tap: Tap) -> Tap:
    return msgspec.structs.replace(tap, told_us=None) if tap.outcome == "denied" else tap


def _fit(status: Status) -> Status:
    """The same, its sentences and names fit for a terminal, a page and a label."""
    return msgspec.structs.replace(
        status,
        gate_id=shown(status.gate_id),
        version=shown(status.version),
        run_id=shown(status.run_id),
        list_problems=tuple(map(shown, status.list_problems)),
        reports_trouble=shown(status.reports_trouble),
        courier=status.courier and _shown_courier(status.courier),
    )


def _shown_courier(courier: CourierSays) -> CourierSays:
    upload = courier.upload and UploadSays(
        shown(courier.upload.state), shown(courier.upload.problem)
    )
    return msgspec.structs.replace(
        courier, state=shown(courier.state), problem=shown(courier.problem), upload=upload
    )


def heard(line: bytes) -> Said:
    """What this line says. Raises GarbageError, and nothing else."""
    try:
        said = _line.decode(line)
        if said.event is not None:
            return (
                _silent(_tap.decode(line)) if said.event == "tap" else News(shown(said.event[:64]))
            )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise GarbageError(f"what it says cannot be read ({one_line(error)})") from None
    if said.error is not None:
        return Refused(shown(said.error))
    if said.status is not None:
        return _fit(said.status)
    if said.histograms is not None:
        return Counts(said.histograms, said.run_id)
    if said.watching is not None:
        return Watching()
    raise GarbageError("what it says is neither an event nor an answer")
