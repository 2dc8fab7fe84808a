"""The visitor's taps, each joined from events of the reader, the lane, and the board. Pure.

All three programs use CLOCK_MONOTONIC, so the stages of a tap add up: `radio` from the card on the
reader to the lane's event; `decide`, `report` and `tell` as the lane measured them; `wire` until
the board acted. A stage that is not known is left out: a card that lay there before the gate was
ready has no `radio`. An answer that waited for an earlier passage has one stage `wait` in place of
all that came after the card was read.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from turnike_demo.processes.events import Line

NS_PER_US = 1_000
TAPS_SHOWN = 9  # the last tap, and eight before it
REMEMBERED = 64  # acts of the board, and cards on the reader: far more than the shown taps have


class _Act(NamedTuple):
    """An act of the board: it released the arms for a tap, or showed an outcome."""

    at_ns: int
    tap: int | None
    outcome: str | None


@dataclass(slots=True)
class _Tap:
    n: int
    line: Line
    present_ns: int | None = None
    act_ns: int | None = None

    def is_answered_by(self, act: _Act) -> bool:
        line = self.line
        fits = act.tap == line["tap"] if self.is_admitted else act.outcome == line["outcome"]
        return bool(fits and act.at_ns >= line["read_ns"])

    def is_read_after(self, present_ns: int) -> bool:
        """Return whether this tap may be of the card that came at `present_ns`.

        `read_ns` is when the lane's turn began. On a busy machine a card comes during the turn
        and is decided in it, so the turn's end counts.
        """
        line = self.line
        return bool(present_ns <= line["read_ns"] + line["decided_us"] * NS_PER_US)

    @property
    def has_verdict(self) -> bool:
        """Whether the gate decided about a card, and did not ask for another try."""
        return self.is_admitted or self.line["outcome"] == "denied"

    @property
    def is_admitted(self) -> bool:
        return str(self.line["outcome"]).startswith("admitted")

    def stages(self) -> dict[str, int]:
        """Return the known stages, in µs."""
        line, read_ns = self.line, self.line["read_ns"]
        found = {}
        if self.present_ns is not None:
            found["radio"] = max(read_ns - self.present_ns, 0) // NS_PER_US
        if line["waited"]:
            if self.act_ns is not None:
                found["wait"] = (self.act_ns - read_ns) // NS_PER_US
            return found
        decide, told = line["decided_us"], line["told_us"]
        # An admitted passenger is told before the report is written.
        report = 0 if self.is_admitted else line["report_us"]
        found |= {"decide": decide, "report": report, "tell": max(told - decide - report, 0)}
        if self.act_ns is not None:
            # The board may act before the lane reads its clock.
            found["wire"] = max((self.act_ns - read_ns) // NS_PER_US - told, 0)
        return found

    def whole(self) -> dict[str, Any]:
        stages = [{"name": name, "us": us} for name, us in self.stages().items()]
        return self.brief() | {"stages": stages}

    def brief(self) -> dict[str, Any]:
        line = self.line
        return {
            "n": self.n,
            "token": line["token"],
            "outcome": line["outcome"],
            "total_us": sum(self.stages().values()),
        }


class Taps:
    """The last taps at the visitor's lane.

    Their events may come in any order, since each program has a pipe of its own.
    """

    def __init__(self) -> None:
        self._count = 0
        self.decided = 0
        """How many taps had a verdict."""
        self._taps: deque[_Tap] = deque(maxlen=TAPS_SHOWN)
        self._acts: deque[_Act] = deque(maxlen=REMEMBERED)
        self._presents: deque[int] = deque(maxlen=REMEMBERED)  # cards whose tap is not known yet

    def present(self, at_ns: int) -> None:
        """Note that a card came to the reader while the lane served."""
        for tap in self._taps:
            if tap.is_read_after(at_ns):
                # Replaces an earlier card's time: that card left before it had answered.
                tap.present_ns = at_ns
                return
        self._presents.append(at_ns)

    def board(self, line: Line) -> None:
        """Take one event's line of the board."""
        name = line.get("event")
        if name == "open" or (name == "show" and line["by"] == "lane"):
            act = _Act(line["at_ns"], line.get("tap"), line.get("outcome"))
            self._acts.append(act)
            for tap in self._taps:
                if tap.act_ns is None and tap.is_answered_by(act):
                    tap.act_ns = act.at_ns

    def lane(self, line: Line) -> None:
        """Take a tap's line of the lane's log."""
        self._count += 1
        tap = _Tap(self._count, line)
        self.decided += tap.has_verdict
        self._find_present(tap)
        tap.act_ns = next((act.at_ns for act in self._acts if tap.is_answered_by(act)), None)
        self._taps.append(tap)

    def _find_present(self, tap: _Tap) -> None:
        """Give the tap the time of the last card that came before it was read.

        One card gives one tap its `radio`: a card that lies there and is read again has none.
        """
        while self._presents and tap.is_read_after(self._presents[0]):
            tap.present_ns = self._presents.popleft()

    def is_before(self, came_ns: int) -> bool:
        """Return whether the last tap is of a card before the one that came at `came_ns`."""
        return bool(self._taps) and not self._taps[-1].is_read_after(came_ns)

    def picture(self) -> dict[str, Any]:
        """Return the scene's `tap`, the last one whole, and `taps`, earlier ones newest first."""
        *earlier, last = self._taps or [None]
        return {
            "tap": None if last is None else last.whole(),
            "taps": [tap.brief() for tap in reversed(earlier) if tap is not None],
        }
