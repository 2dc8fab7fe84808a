"""What the console knows of its gate: each lane's last status, taps and counts, and what of it a page is shown. No I/O.

    gate.lanes[0].take(said)  # True if a page should know at once
    gate.state()              # the JSON of /state and of each `gate` event

What a passenger could not see at the gate, no page sees: a tap has an outcome and no ground, and a status counts taps by outcome alone.
"""

import re
from collections import deque
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from validator.console.day import FINE_STEP_S, HOUR_S, LaneDay
from validator.console.faults import FORCED_S, Fault, faults_of
from validator.console.lane_line import Gone
from validator.console.lane_words import Tap
from validator.ipc.answers import Counts, LaneStatus, TapCount

TAPS_MAX = 20  # of each lane: what a page has room for


class Lane:
    """One lane, as far as it was heard."""

    def __init__(self, socket: PurePath) -> None:
        self.socket = socket.name
        self.up = False
        self.problem = "not heard yet"
        self.status: LaneStatus | None = None  # the last, also of a lane that is gone
        self.counts: Counts | None = None
        self.taps: deque[Tap] = deque(maxlen=TAPS_MAX)  # newest first
        self.day = LaneDay()
        self.hour = LaneDay(FINE_STEP_S, HOUR_S)
        self._forced_s: int | None = None  # its age when its count of forced arms was seen to grow

    @property
    def number(self) -> int | None:
        """What it says it is; before it has said anything, what its socket's name says."""
        if self.status is not None:
            return self.status.lane
        named = re.search(r"([1-9][0-9]?)\.sock\Z", self.socket)
        return int(named[1]) if named else None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with it, the worst first."""
        if not self.up or self.status is None:
            return (Fault("away", why=self.problem),)
        return faults_of(self.status, forced_lately=self.forced_lately)

    @property
    def forced_lately(self) -> int:
        """How often locked arms were turned since its start, if they were lately, or nobody knows when; else 0.

        A lane only counts: of those that were counted before it was first heard nobody knows when they were.
        """
        status, seen_s = self.status, self._forced_s
        lately = status is not None and seen_s is not None and status.uptime_s - seen_s < FORCED_S
        return status.forced if status is not None and lately else 0

    def take(self, said: LaneStatus | Counts | Tap | Gone) -> bool:
        """Keep it. Whether it is more than time going by: devices, list, reports, or that the lane comes or goes."""
        match said:
            case LaneStatus():
                return self._fares(said)
            case Gone():
                was, self.up, self.problem = (self.up, self.problem), False, said.problem
                return was != (False, said.problem)
            case Counts():
                self.counts = said
                if self.status is not None:
                    self.day.add(said, self.status.unix_s)
                    self.hour.add(said, self.status.unix_s)
                return False
            case Tap():
                self.taps.appendleft(said)
                return False

    def shown(self) -> dict[str, Any]:
        """What a page is shown of it."""
        return {
            "lane": self.number,
            "socket": self.socket,
            "up": self.up,
            "problem": self.problem,
            "status": _shown_status(self.status) if self.status else None,
            "taps": tuple(self.taps),
            "faults": [fault._asdict() for fault in self.faults],
        }

    def still(self) -> tuple[object, ...]:
        """Equal as long as nothing has happened but time."""
        status = self.status
        if status is not None:
            courier = status.courier and msgspec.structs.replace(status.courier, polled_unix_s=None)
            status = msgspec.structs.replace(status, unix_s=0, uptime_s=0, courier=courier)
        return (self.up, self.problem, status, tuple(self.taps), self._still_faults())

    def _fares(self, status: LaneStatus) -> bool:
        before, was_up = self.status, self.up
        if before is not None and before.run_id != status.run_id:
            self.counts = None
            self.taps.clear()  # its tokens and numbers begin anew
        same_run = before is not None and before.run_id == status.run_id
        if status.forced > (before.forced if before is not None and same_run else 0):
            self._forced_s = status.uptime_s
        faults = self._still_faults()
        self.status, self.up, self.problem = status, True, ""
        if not was_up or before is None or faults != self._still_faults():
            return True
        return _notable(before) != _notable(status)

    def _still_faults(self) -> tuple[object, ...]:
        """Without how long they last."""
        return tuple((fault.name, fault.why) for fault in self.faults)


class Gate:
    """All of it."""

    def __init__(self, gate_id: str, version: str, sockets: Sequence[PurePath]) -> None:
        """`version` is the console's own."""
        self.lanes = [Lane(socket) for socket in sockets]
        self.head = {"gate_id": gate_id, "console_version": version}

    def state(self) -> dict[str, Any]:
        """What a page is shown."""
        return {**self.head, "lanes": [lane.shown() for lane in self.lanes]}

    def still(self) -> tuple[object, ...]:
        """Equal as long as a page that has the state needs no other."""
        return tuple(lane.still() for lane in self.lanes)

    def day(self) -> list[dict[str, Any]]:
        """The slots of the last 24 hours by the clock of the lane that is furthest on, oldest first."""
        return self._slots([(lane.number, lane.day) for lane in self.lanes])

    def hour(self) -> list[dict[str, Any]]:
        """Likewise those of the last hour, of half a minute each."""
        return self._slots([(lane.number, lane.hour) for lane in self.lanes])

    def _slots(self, kept: Sequence[tuple[int | None, LaneDay]]) -> list[dict[str, Any]]:
        now_unix_s = max((lane.status.unix_s for lane in self.lanes if lane.status), default=0)
        told = [slot.as_json(number) for number, day in kept for slot in day.slots(now_unix_s)]
        return sorted(told, key=lambda slot: int(slot["unix_s"]))


def taps_by_outcome(taps: Sequence[TapCount]) -> dict[str, int]:
    """The sums without their grounds."""
    outcomes = dict.fromkeys((tap.outcome for tap in taps), 0)
    for tap in taps:
        outcomes[tap.outcome] += tap.count
    return outcomes


def _shown_status(status: LaneStatus) -> dict[str, Any]:
    shown = msgspec.structs.asdict(status) | {"taps": taps_by_outcome(status.taps)}
    del shown["lists_refused"]  # for the courier
    return shown


def _notable(status: LaneStatus) -> tuple[object, ...]:
    return (
        status.run_id,
        status.devices,
        status.emergency,
        status.tamper,
        status.forced,
        status.clock_synchronised,
        (status.list_state, status.list_version, status.list_problems),
        (
            status.reports_waiting,
            status.reports_delivered,
            status.reports_refused,
            status.reports_rejected,
        ),
        status.reports_trouble,
        status.courier and (status.courier.state, status.courier.problem, status.courier.silent),
    )
