"""The visitor's taps, each put together from what three programs said of it: the simulated reader, the lane, the simulated board. Pure.

Their clocks are one (CLOCK_MONOTONIC), so the stages of a tap add up: `radio` from the card on the reader to the lane's event, `decide`, `report`
and `tell` as the lane measured them, `wire` until the board acted. A stage that nobody can tell is left out: a card that lay there before the gate
was ready has no `radio`, an answer that waited for the passage before has one stage `wait` instead of what came after it was read.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from turnike_demo.children import Line

NS_PER_US = 1_000
TAPS_SHOWN = 9  # the last one, and eight before it
REMEMBERED = 64  # acts of the board, and cards on the reader: many more than belong to the taps that are shown


class _Act(NamedTuple):
    """What the board did: released the arms for a tap, or showed an outcome."""

    at_ns: int
    tap: int | None
    outcome: str | None


@dataclass(slots=True)
class _Tap:
    n: int
    line: Line
    present_ns: int | None = None
    act_ns: int | None = None

    def is_told_by(self, act: _Act) -> bool:
        line = self.line
        said = act.tap == line["tap"] if self.is_admitted else act.outcome == line["outcome"]
        return bool(said and act.at_ns >= line["read_ns"])

    def is_read_after(self, present_ns: int) -> bool:
        """Whether it may have been this card. `read_ns` is when the lane's turn began: on a busy machine a card comes in the middle of it, and is decided in it."""
        line = self.line
        return bool(present_ns <= line["read_ns"] + line["decided_us"] * NS_PER_US)

    @property
    def has_verdict(self) -> bool:
        """Whether the gate decided about a card: it asked for none again."""
        return self.is_admitted or self.line["outcome"] == "denied"

    @property
    def is_admitted(self) -> bool:
        return str(self.line["outcome"]).startswith("admitted")

    def stages(self) -> dict[str, int]:
        """Each stage in µs."""
        line, read_ns = self.line, self.line["read_ns"]
        found = (
            {}
            if self.present_ns is None
            else {"radio": max(read_ns - self.present_ns, 0) // NS_PER_US}
        )
        if line["waited"]:
            return (
                found
                if self.act_ns is None
                else found | {"wait": (self.act_ns - read_ns) // NS_PER_US}
            )
        decide, told = line["decided_us"], line["told_us"]
        report = (
            0 if self.is_admitted else line["report_us"]
        )  # who is admitted is told before it is reported
        found |= {"decide": decide, "report": report, "tell": max(told - decide - report, 0)}
        if self.act_ns is not None:
            # The board may be quicker to act than the lane to look at its clock.
            found["wire"] = max((self.act_ns - read_ns) // NS_PER_US - told, 0)
        return found

    def whole(self) -> dict[str, Any]:
        stages = self.stages()
        shown = [{"name": name, "us": us} for name, us in stages.items()]
        return self.brief() | {"stages": shown}

    def brief(self) -> dict[str, Any]:
        line = self.line
        return {
            "n": self.n,
            "token": line["token"],
            "outcome": line["outcome"],
            "total_us": sum(self.stages().values()),
        }


class Taps:
    """The last taps at the visitor's lane. What belongs to them may come in any order, since each program has a pipe of its own."""

    def __init__(self) -> None:
        self._count = 0
        self.decided = 0
        """How many had a verdict."""
        self._taps: deque[_Tap] = deque(maxlen=TAPS_SHOWN)
        self._acts: deque[_Act] = deque(maxlen=REMEMBERED)
        self._presents: deque[int] = deque(maxlen=REMEMBERED)  # of which no tap is known yet

    def present(self, at_ns: int) -> None:
        """A card came to a reader that was waited on."""
        for tap in self._taps:
            if tap.is_read_after(at_ns):
                tap.present_ns = at_ns  # newer than one that it may have: of a card that was gone before it had answered
                return
        self._presents.append(at_ns)

    def board(self, line: Line) -> None:
        """An event of the board's."""
        opened, shown = (
            line.get("event") == "open",
            line.get("event") == "show" and line["by"] == "lane",
        )
        if opened or shown:
            act = _Act(line["at_ns"], line.get("tap"), line.get("outcome"))
            self._acts.append(act)
            for tap in self._taps:
                if tap.act_ns is None and tap.is_told_by(act):
                    tap.act_ns = act.at_ns

    def lane(self, line: Line) -> None:
        """A tap, as the lane's log has it."""
        self._count += 1
        tap = _Tap(self._count, line)
        self.decided += tap.has_verdict
        self._find_present(tap)
        tap.act_ns = next((act.at_ns for act in self._acts if tap.is_told_by(act)), None)
        self._taps.append(tap)

    def _find_present(self, tap: _Tap) -> None:
        """The card that came last before it was read. One card gives one tap its `radio`: if it is read again later, that took no radio's time."""
        while self._presents and tap.is_read_after(self._presents[0]):
            tap.present_ns = self._presents.popleft()

    def is_before(self, came_ns: int) -> bool:
        """Whether the last one was over when this card came: what is shown of it is of another card."""
        return bool(self._taps) and not self._taps[-1].is_read_after(came_ns)

    def picture(self) -> dict[str, Any]:
        """The last one whole, and the others, newest first."""
        *earlier, last = self._taps or [None]
        return {
            "tap": None if last is None else last.whole(),
            "taps": [tap.brief() for tap in reversed(earlier) if tap is not None],
        }
