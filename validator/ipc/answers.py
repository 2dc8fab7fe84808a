"""What a lane answers on its socket, one struct an answer. docs/lane-socket.md explains each key.

    msgspec.json.encode(Forgotten(3))   # b'{"forgotten":3}'

The clerk builds these structs; `LaneClient`, the console, `turnike check`, `turnike reports` and
the demo decode them. Lane and reader may be of different versions, so a reader ignores keys that
it does not know, and a key may join a struct only with a default.

The forms are narrow, because a reader must not trust a lane: no word or token is as long or as
mixed as a card's number. Only decoding checks them (msgspec).
"""

from typing import Annotated

from msgspec import Meta, Struct

from validator.ipc.courier_status import UploadStatus
from validator.learning.answer import Answer as LearningState
from validator.lists.names import ListName
from validator.reports.stored_report import StoredReport

Count = Annotated[int, Meta(ge=0, le=1 << 53)]  # every integer that a browser can hold
UnixSeconds = Annotated[int, Meta(ge=0, le=1 << 40)]
Word = Annotated[str, Meta(pattern=r"^[a-z_ ]{0,32}\Z")]
Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=2_000)]  # a sentence for the operator


class Percentiles(Struct, frozen=True):
    """Percentiles of the durations since the lane's start, in µs, and how many durations."""

    count: Count
    p50: Count
    p99: Count
    p999: Count
    max: Count


class Figures(Struct, frozen=True):
    """What the loop has measured since the lane's start."""

    decided_us: Percentiles
    """From the reading of the card to the decision."""
    told_us: Percentiles
    """From the reading of the card to the passenger being told."""
    filed_us: Percentiles
    """The wait for a report's commit."""
    told_before_durable: Count
    """How many denied passengers were told before their report was safe."""


class TapCount(Struct, frozen=True):
    """How many taps ended in this outcome for this reason."""

    outcome: Word
    ground: Word
    count: Count


class CourierHealth(Struct, frozen=True, kw_only=True):
    """The courier's last report of itself, as the lane read it from `courier.json`."""

    state: Name
    problem: Text
    since_unix_s: UnixSeconds | None
    polled_unix_s: UnixSeconds | None
    """When the courier last asked the city. None: no report that can be read."""
    list_version: Count | None
    upload: UploadStatus | None = None
    """None: no [upload], not begun yet, or a lane older than this field."""
    silent: bool | None
    """True: no poll for longer than a poll may take. None: the file's age means nothing."""
    asks_within_s: Count | None = None
    """The next poll is due this many seconds after `polled_unix_s`. None: as `silent`, or a lane
    older than this field."""


class LaneStatus(Struct, frozen=True, kw_only=True):
    """Everything that a lane reports of itself: identity, devices, taps, clock, list, reports."""

    gate_id: Name
    lane: Annotated[int, Meta(ge=1, le=99)]
    version: Name
    run_id: Name
    """Random, one for each start of the lane. All counts below begin at 0 with it."""
    uptime_s: Count
    devices: dict[Word, Word]
    emergency: bool
    tamper: bool
    forced: Count
    taps: Annotated[tuple[TapCount, ...], Meta(max_length=100)]
    unix_s: UnixSeconds
    clock_synchronised: bool
    list_state: Word
    list_version: Count | None
    list_issued_unix_s: UnixSeconds | None
    list_expires_unix_s: UnixSeconds | None
    list_cards: Count
    list_problems: tuple[Text, ...]
    lists_refused: tuple[ListName, ...] = ()
    """Lists that the lane does not use. Empty while a scan of the list folder is under way."""
    courier: CourierHealth | None = None
    """None: a gate without [courier]; its lists are installed by hand."""
    reports_waiting: Count | None
    """None while the disk cannot be read, which is not 0."""
    reports_refused: Count
    reports_rejected: Count | None
    notes_dropped: Count
    reports_delivered: Count
    reports_trouble: Text
    """Why reports cannot be kept now; empty while they can."""
    disk_free_bytes: Count | None
    decided_us: Percentiles
    told_us: Percentiles
    filed_us: Percentiles
    told_before_durable: Count


class ListStatus(Struct, frozen=True):
    """The keys of a status about the list, for a courier that reads lanes of any version."""

    list_version: int | None = None
    list_problems: tuple[str, ...] = ()
    lists_refused: tuple[ListName, ...] = ()


class OutboxStatus(Struct, frozen=True):
    """The keys of a status about reports, for a program that reads lanes of any version."""

    reports_waiting: int | None = None
    reports_rejected: int | None = None
    reports_refused: int | None = None
    reports_trouble: str = ""


class NotableStatus(Struct, frozen=True):
    """The keys of a status of which the city is to know a change at once, not within a minute."""

    devices: dict[str, str] | None = None
    list_version: int | None = None
    reports_trouble: str | None = None
    emergency: bool | None = None
    tamper: bool | None = None
    forced: int | None = None


class Histogram(Struct, frozen=True):
    """Durations by bucket: (upper edge in ns, how many above the bucket before), rising."""

    counts: tuple[tuple[Count, Count], ...]
    max_ns: Count = 0


class StageHistograms(Struct, frozen=True):
    """The histograms behind `Figures`, in full."""

    decided: Histogram
    filed: Histogram
    told: Histogram


class Counts(Struct, frozen=True):
    """Answer to `histograms`."""

    histograms: StageHistograms
    run_id: Name


class StatusAnswer(Struct, frozen=True):
    """Answer to `status`."""

    status: LaneStatus


class Watching(Struct, frozen=True):
    """Answer to `watch`: every event follows from now on."""

    watching: bool = True


class ReportsAnswer(Struct, frozen=True):
    """Answer to `reports`: those that have waited longest."""

    reports: tuple[StoredReport, ...]


class Forgotten(Struct, frozen=True):
    """Answer to `delivered`: how many reports were deleted, durably."""

    forgotten: int


class PutAside(Struct, frozen=True):
    """Answer to `rejected`: how many reports were quarantined, durably."""

    put_aside: int


class WaitingAgain(Struct, frozen=True):
    """Answer to `retry`: how many quarantined reports wait again, durably."""

    waiting_again: int


class Looking(Struct, frozen=True):
    """Answer to `list_changed`: the lane scans the list folder now."""

    looking: bool = True


class LearningAnswer(Struct, frozen=True):
    """Answer to `learn`, `learn_here` and `learned`: how far the lane is, and why it did not begin.

    `learning` is None if the order was not taken, or there was none since the lane's start.
    """

    learning: LearningState | None = None
    problem: Text = ""
    is_elsewhere: bool = False
    """The order is for another lane of this gate."""


class Refusal(Struct, frozen=True):
    """Answer to a request that the lane cannot serve now, or that is none."""

    error: Text


Answer = (
    StatusAnswer
    | Counts
    | Watching
    | ReportsAnswer
    | Forgotten
    | PutAside
    | WaitingAgain
    | Looking
    | LearningAnswer
    | Refusal
)
