"""What is wrong with a lane, found once for the status page and `turnike top`, so that they agree.

    faults_of(status, forced_lately=0)      # (Fault("courier", why="unreachable: no route"), …)

What is unknown is a fault of its own: a gate of which nothing is known must not be shown as well.
"""

from collections.abc import Iterator
from typing import NamedTuple

from validator.domain.decision import ListState
from validator.ipc.answers import CourierHealth, LaneStatus
from validator.reports.gate_status import FRESH

ROOM_BYTES_MIN = 200_000_000  # as in the alert TurnikeDiskLow
WAITING_MAX = 1_000  # reports, as in the alert TurnikeReportsWaiting
QUIET_S = 120  # an ordinary poll may be this late: a list of some MB, a busy SD card
FORCED_S = 900  # forced arms stay a fault this long, as in the alert TurnikeForced
_READY = "ready"
_STATES = {ListState.MISSING.value, ListState.STALE.value, ListState.CORRUPT.value}


class Fault(NamedTuple):
    """One thing that is wrong."""

    name: str
    """The key of its sentence in page/status_words_en.js and in terminal/words.py."""
    why: str = ""
    """The gate's own text on it, or empty."""
    number: int | None = None
    """How many; for `quiet`, the seconds since the courier's last poll."""
    is_note: bool = False
    """True: worth a line, but the gate is well."""


def faults_of(status: LaneStatus, *, forced_lately: int) -> tuple[Fault, ...]:
    """Return all that is wrong with a lane that answers, the worst first.

    Args:
        status: its last status.
        forced_lately: how often arms were forced; 0 if not within FORCED_S.
    """
    return (
        *_devices(status),
        *_list(status),
        *_reports(status),
        *_disk(status),
        *_courier(status),
        *_board(status, forced_lately),
    )


def _devices(status: LaneStatus) -> Iterator[Fault]:
    for device in ("reader", "board"):
        if (state := status.devices.get(device, "no report yet")) != _READY:
            yield Fault(device, why="" if state == "lost" else state)


def _list(status: LaneStatus) -> Iterator[Fault]:
    state, expires_unix_s = status.list_state, status.list_expires_unix_s
    if state in _STATES:
        yield Fault(state, why=next(iter(status.list_problems), ""))
    elif state != ListState.FRESH.value:  # a state of a newer lane
        yield Fault("list", why=state)
    elif status.list_version is None or expires_unix_s is None or status.list_issued_unix_s is None:
        yield Fault("list", why="the lane does not report which one is in force, or until when")
    elif expires_unix_s <= status.unix_s:
        yield Fault(ListState.STALE.value)
    elif status.list_problems:
        yield Fault("problems", why=status.list_problems[0])


def _reports(status: LaneStatus) -> Iterator[Fault]:
    if status.reports_trouble:
        yield Fault("trouble", why=status.reports_trouble)
    if status.reports_waiting is None or status.reports_rejected is None:
        yield Fault("uncounted")
    if status.reports_refused:
        yield Fault("refused", number=status.reports_refused)
    if status.reports_rejected:
        yield Fault("rejected", number=status.reports_rejected)
    if status.reports_waiting is not None and status.reports_waiting > WAITING_MAX:
        yield Fault("waiting", number=status.reports_waiting)


def _disk(status: LaneStatus) -> Iterator[Fault]:
    if status.disk_free_bytes is None:
        yield Fault("disk_unknown")
    elif status.disk_free_bytes < ROOM_BYTES_MIN:
        yield Fault("disk")


def _courier(status: LaneStatus) -> Iterator[Fault]:
    """Find no fault on a gate without a courier: its lists are installed by hand."""
    courier = status.courier
    if courier is None:
        return
    if courier.polled_unix_s is None:
        yield Fault("unheard", why=courier.problem)
        return
    yield from _asking(courier, courier.polled_unix_s, status.unix_s)
    if courier.state != FRESH:
        yield Fault("courier", why=": ".join(filter(None, (courier.state, courier.problem))))
    elif courier.problem:
        yield Fault("courier", why=courier.problem)
    upload = courier.upload
    if upload is not None and (upload.state != FRESH or upload.problem):
        yield Fault("upload", why=upload.problem or upload.state)


def _asking(courier: CourierHealth, polled_unix_s: int, unix_s: int) -> Iterator[Fault]:
    """Check that it still polls: a courier that was killed leaves a good last report behind."""
    age_s = unix_s - polled_unix_s
    if courier.asks_within_s is not None and age_s > courier.asks_within_s + QUIET_S:
        yield Fault("quiet", number=age_s)
    elif courier.silent:
        yield Fault("quiet", number=max(age_s, 0))
    elif courier.silent is None or age_s < -QUIET_S:  # a poll in the future: a clock was wrong
        yield Fault("untold")


def _board(status: LaneStatus, forced_lately: int) -> Iterator[Fault]:
    if status.emergency:
        yield Fault("emergency")
    if status.tamper:
        yield Fault("tamper")
    if forced_lately:
        yield Fault("forced", number=forced_lately)
    if not status.clock_synchronised:
        yield Fault("clock", is_note=True)
