"""What the console knows of its gate: each lane's last status, taps and counts. No I/O.

    gate.lanes[0].take(received)  # True if a page should know at once
    gate.state()                  # the JSON of /state and of each `gate` event

A page shows nothing that a passenger could not see at the gate: a tap has an outcome and no ground,
and a status counts taps by outcome alone.
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

TAPS_MAX = 20  # of each lane: as many as a page has room for


class Lane:
    """One lane, as of its last answers."""

    def __init__(self, socket: PurePath) -> None:
        self.socket = socket.name
        self.up = False
        self.problem = "no answer yet"
        self.status: LaneStatus | None = None  # the last one, even of a lane that is gone
        self.counts: Counts | None = None
        self.taps: deque[Tap] = deque(maxlen=TAPS_MAX)  # newest first
        self.day = LaneDay()
        self.hour = LaneDay(FINE_STEP_S, HOUR_S)
        self._forced_s: int | None = None  # uptime at which the count of forced arms grew

    @property
    def number(self) -> int | None:
        """Its number by its status; before the first status, by its socket's name."""
        if self.status is not None:
            return self.status.lane
        named = re.search(r"([1-9][0-9]?)\.sock\Z", self.socket)
        return int(named[1]) if named else None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the lane, the worst first."""
        if not self.up or self.status is None:
            return (Fault("away", why=self.problem),)
        return faults_of(self.status, forced_lately=self.forced_lately)

    @property
    def forced_lately(self) -> int:
        """How often locked arms were turned since its start, if within FORCED_S; else 0.

        A lane only counts. Arms turned before its first status count as turned at that time.
        """
        status, seen_s = self.status, self._forced_s
        lately = status is not None and seen_s is not None and status.uptime_s - seen_s < FORCED_S
        return status.forced if status is not None and lately else 0

    def take(self, said: LaneStatus | Counts | Tap | Gone) -> bool:
        """Take what the lane sent.

        Returns:
            Whether a page should know at once: devices, list or reports changed, or the lane came
            or went.
        """
        match said:
            case LaneStatus():
                return self._take_status(said)
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
        """Return what a page shows of the lane."""
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
        """Return a value that stays equal while only time passes."""
        status = self.status
        if status is not None:
            courier = status.courier and msgspec.structs.replace(status.courier, polled_unix_s=None)
            status = msgspec.structs.replace(status, unix_s=0, uptime_s=0, courier=courier)
        return (self.up, self.problem, status, tuple(self.taps), self._still_faults())

    def _take_status(self, status: LaneStatus) -> bool:
        before, was_up = self.status, self.up
        if before is not None and before.run_id != status.run_id:
            self.counts = None
            self.taps.clear()  # its tokens and numbers begin again
        same_run = before is not None and before.run_id == status.run_id
        if status.forced > (before.forced if before is not None and same_run else 0):
            self._forced_s = status.uptime_s
        faults = self._still_faults()
        self.status, self.up, self.problem = status, True, ""
        if not was_up or before is None or faults != self._still_faults():
            return True
        return _notable(before) != _notable(status)

    def _still_faults(self) -> tuple[object, ...]:
        """Return the faults without their numbers, which may be ages."""
        return tuple((fault.name, fault.why) for fault in self.faults)


class Gate:
    """A gate's lanes."""

    def __init__(self, gate_id: str, version: str, sockets: Sequence[PurePath]) -> None:
        """`version` is the console's own; `sockets` are the lanes', in the page's order."""
        self.lanes = [Lane(socket) for socket in sockets]
        self.head = {"gate_id": gate_id, "console_version": version}

    def state(self) -> dict[str, Any]:
        """Return what a page shows."""
        return {**self.head, "lanes": [lane.shown() for lane in self.lanes]}

    def still(self) -> tuple[object, ...]:
        """Return a value that stays equal while a page with the state needs no other."""
        return tuple(lane.still() for lane in self.lanes)

    def day(self) -> list[dict[str, Any]]:
        """Return the slots of 24 hours up to the latest of the lanes' clocks, oldest first."""
        return self._slots([(lane.number, lane.day) for lane in self.lanes])

    def hour(self) -> list[dict[str, Any]]:
        """Return the slots of the last hour, of half a minute each, likewise."""
        return self._slots([(lane.number, lane.hour) for lane in self.lanes])

    def _slots(self, kept: Sequence[tuple[int | None, LaneDay]]) -> list[dict[str, Any]]:
        now_unix_s = max((lane.status.unix_s for lane in self.lanes if lane.status), default=0)
        slots = [slot.as_json(number) for number, day in kept for slot in day.slots(now_unix_s)]
        return sorted(slots, key=lambda slot: int(slot["unix_s"]))


def taps_by_outcome(taps: Sequence[TapCount]) -> dict[str, int]:
    """Return the number of taps for each outcome, whatever the ground."""
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
