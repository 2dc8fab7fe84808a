"""The lane's tally: each note as an event for the log and for watchers, and totals since the start.

    tally = Tally(gate_id, lane, version)
    tally.event(TapDone(...))       # {"event": "tap", "token": "4f1a", "outcome": "denied", …}
    tally.devices, tally.taps()     # {"reader": "ready", …}, (TapCount("denied", "in table", 1), …)

It knows no list, outbox or wall clock; clerk.py adds those. Nothing in it names a card: a token
lasts as long as the process.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, assert_never

from validator.domain.events import (
    BoardBack,
    BoardLost,
    Emergency,
    Forced,
    ReaderBack,
    ReaderLost,
    Tamper,
)
from validator.domain.outcomes import Outcome
from validator.domain.passage import RecordPassage
from validator.ipc.answers import TapCount
from validator.lane.ports import DeviceNote, TalliedNote, TapDone

_RUN_ID_BYTES = 8
_NS_PER_US = 1_000


class Tally:
    """Events and totals of one run of the lane. For one thread, the clerk's."""

    def __init__(
        self,
        gate_id: str,
        lane: int,
        version: str,
        *,
        with_grounds: bool = False,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start counting now, under a random `run_id`: readers see by it that counts restarted.

        Args:
            gate_id: the gate's name.
            lane: the lane's number at the gate.
            version: the program's version.
            with_grounds: whether a tap's event has the ground of its decision. Without it the event
                also lacks what only a reported denial has: its report, and the longer time until
                the passenger was told.
            monotonic_s: the clock for `uptime_s`, in seconds.
        """
        self.gate_id, self.lane, self.version = gate_id, lane, version
        self.run_id = secrets.token_hex(_RUN_ID_BYTES)
        self.with_grounds = with_grounds
        self.devices: dict[str, str] = {}  # "reader" and "board": "ready" or "lost"
        self.emergency = self.tamper = False
        self.forced = 0  # how often locked arms were turned
        self._monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self._taps: Counter[tuple[str, str]] = Counter()  # by outcome and ground

    @property
    def uptime_s(self) -> int:
        """Whole seconds since the start."""
        return int(self._monotonic_s() - self._started_s)

    def taps(self) -> tuple[TapCount, ...]:
        """Return the number of taps for each outcome and ground."""
        return tuple(
            TapCount(outcome, ground, count) for (outcome, ground), count in self._taps.items()
        )

    def event(self, note: TalliedNote) -> dict[str, Any]:
        """Count a note, and return it as an event."""
        match note:
            case TapDone():
                return self._tap(note)
            case RecordPassage():
                return {
                    "event": "passage",
                    "tap": note.tap,
                    "passed": note.passed,
                    "after_ms": note.after_ms,
                }
            case _:
                return self._device(note)

    def _tap(self, done: TapDone) -> dict[str, Any]:
        tap, times, decision = done.tap, done.times, done.tap.decision
        event: dict[str, Any] = {
            "event": "tap",
            "tap": tap.tap,
            "token": tap.token,
            "outcome": tap.outcome.name.lower(),
            "read_ns": tap.seen_at_ns,
            "decided_us": times.decided_ns // _NS_PER_US,
            "waited": tap.waited,
        }
        if self.with_grounds or tap.outcome is not Outcome.DENIED:
            event["told_us"] = times.told_ns // _NS_PER_US
        if self.with_grounds:
            event |= {"report_us": times.report_ns // _NS_PER_US, "reported": tap.reported}
        if decision is not None:
            event |= {
                "verdict": decision.verdict.value,
                "list_state": decision.list_state.value,
                "list_version": decision.list_version,
            }
            if self.with_grounds:
                event |= {"ground": decision.ground.value, "rule": decision.rule}
        ground = decision.ground.value if decision is not None else ""
        self._taps[event["outcome"], ground] += 1
        return event

    def _device(self, note: DeviceNote) -> dict[str, Any]:
        match note:
            case ReaderLost() | BoardLost():
                device = "reader" if isinstance(note, ReaderLost) else "board"
                return self._state(device, "lost") | {"reason": note.reason}
            case ReaderBack():
                return self._state("reader", "ready")
            case BoardBack():
                return self._state("board", "ready")
            case Emergency():
                self.emergency = note.on
                return {"event": "emergency", "on": note.on}
            case Tamper():
                self.tamper = note.on
                return {"event": "tamper", "on": note.on}
            case Forced():
                self.forced += 1
                return {"event": "forced"}
            case _:
                assert_never(note)

    def _state(self, device: str, state: str) -> dict[str, Any]:
        self.devices[device] = state
        return {"event": device, "state": state}
