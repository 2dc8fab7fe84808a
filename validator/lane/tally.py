"""The lane's account of itself: what happened as events for the log and for whoever watches, and what they add up to since the start.

    account = Account(gate_id, lane, version)
    account.line(TapDone(...))      # {"event": "tap", "token": "4f1a", "outcome": "denied", …}
    account.status()                # {"gate_id": …, "devices": {"reader": "ready", …}, "taps": […], …}

It knows no list, outbox or clock of the day; clerk.py adds those. Nothing in it names a card: a token lasts as long as the process.
"""

import secrets
import time
from collections import Counter
from typing import Any, NamedTuple, assert_never

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
from validator.lane.ports import DeviceNote, Note, TapDone

_RUN_ID_BYTES = 8
_NS_PER_US = 1_000


class Counted(NamedTuple):
    """What taps are counted by: what the passenger saw, and why. Only sums of it leave the lane."""

    outcome: str
    ground: str


class Account:
    """For one thread, the clerk's."""

    def __init__(
        self, gate_id: str, lane: int, version: str, *, with_grounds: bool = False
    ) -> None:
        """Start counting now, under a random `run_id`; a reader of the counts sees by it when they restart.

        Without `with_grounds` the event of a tap does not say why it was decided so, nor what only a
        reported refusal has: its report, and the longer time until the passenger was told.
        """
        self.with_grounds = with_grounds
        self._identity = {
            "gate_id": gate_id,
            "lane": lane,
            "version": version,
            "run_id": secrets.token_hex(_RUN_ID_BYTES),
        }
        self._started_s = time.monotonic()
        self._devices: dict[str, str] = {}  # state of reader and board
        self._switches = {"emergency": False, "tamper": False}
        self._forced = 0  # how often locked arms were turned
        self._taps: Counter[Counted] = Counter()

    @property
    def run_id(self) -> object:
        """This run's, random."""
        return self._identity["run_id"]

    def line(self, note: Note) -> dict[str, Any]:
        """The event that this is to everybody else; counted."""
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

    def status(self) -> dict[str, Any]:
        """What it all adds up to."""
        return {
            **self._identity,
            "uptime_s": int(time.monotonic() - self._started_s),
            "devices": self._devices,
            **self._switches,
            "forced": self._forced,
            "taps": [{**tap._asdict(), "count": count} for tap, count in self._taps.items()],
        }

    def _tap(self, done: TapDone) -> dict[str, Any]:
        tap, times, decision = done.tap, done.times, done.tap.decision
        line: dict[str, Any] = {
            "event": "tap",
            "tap": tap.tap,
            "token": tap.token,
            "outcome": tap.outcome.name.lower(),
            "read_ns": tap.seen_at_ns,
            "decided_us": times.decided_ns // _NS_PER_US,
            "waited": tap.waited,
        }
        if self.with_grounds or tap.outcome is not Outcome.DENIED:
            line["told_us"] = times.told_ns // _NS_PER_US
        if self.with_grounds:
            line |= {"report_us": times.report_ns // _NS_PER_US, "reported": tap.reported}
        if decision is not None:
            line |= {
                "verdict": decision.verdict.value,
                "list_state": decision.list_state.value,
                "list_version": decision.list_version,
            }
            if self.with_grounds:
                line |= {"ground": decision.ground.value, "rule": decision.rule}
        ground = decision.ground.value if decision is not None else ""
        self._taps[Counted(line["outcome"], ground)] += 1
        return line

    def _device(self, note: DeviceNote) -> dict[str, Any]:
        match note:
            case ReaderLost() | BoardLost():
                return self._state(
                    "reader" if isinstance(note, ReaderLost) else "board", "lost"
                ) | {"reason": note.reason}
            case ReaderBack():
                return self._state("reader", "ready")
            case BoardBack():
                return self._state("board", "ready")
            case Emergency() | Tamper():
                name = type(note).__name__.lower()
                self._switches[name] = note.on
                return {"event": name, "on": note.on}
            case Forced():
                self._forced += 1
                return {"event": "forced"}
            case _:
                assert_never(note)

    def _state(self, device: str, state: str) -> dict[str, Any]:
        self._devices[device] = state
        return {"event": device, "state": state}
