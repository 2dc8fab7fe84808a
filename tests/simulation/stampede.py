"""Simulate the stampede: the server comes back, and every gate has reports waiting.

    python -m tests.simulation.stampede                   # 20,000 gates, a server back after 8 h
    python -m tests.simulation.stampede --capacity 150    # it answers so many requests a second
                                                          # and 503 with Retry-After to the rest
    python -m tests.simulation.stampede --power           # the city's power comes back: all gates
                                                          # start within a minute

Prints requests a second over time as a curve, its peak, and when the last report is in. The real
ReportUpload and StatusTimes run in simulated time; a seed makes every run the same. Each gate does
what validator/programs/uploading.py does in its loop: a round, then its status if it is due.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import click
import numpy as np

from backoffice.receiver.app import RETRY_AFTER_S
from tests.support.gate.reports import stored
from validator.courier.ports import ReportAnswer, Result
from validator.courier.report_upload import AWAY, LOOK_S, ReportUpload
from validator.courier.waits import StatusTimes
from validator.errors import RemoteError, SourceState
from validator.reports.stored_report import StoredReport

HOUR_S = 3_600.0
# Only the end of the outage is simulated: no wait is longer than five minutes, so by then no gate
# remembers its beginning.
OUTAGE_S = 1_800.0
ANSWERED_S = 0.05  # a request, there and back, over a city's mobile network
# The share of stored batches whose answer is lost: the line breaks, and they are sent again.
LOST_ANSWERS = 0.005
STARTED_WITHIN_S = 60.0  # computers of the same kind, all with the same SD card
AFTER_S = 60.0  # the curve goes on so long when the last report is in: what it settles to
GIVEN_UP_S = 6 * HOUR_S  # a gate that still has reports then has given up
SHOWN_BEFORE_S = 60
ROWS = 40  # of the curve
BAR_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How many gates, how many reports wait on each, and what the server can bear."""

    gates: int = 20_000
    hours: float = 8.0
    denials_per_hour: float = 2.0
    capacity: int = 0
    """Requests that are answered in a second; 0: any number."""
    power: bool = False
    """True: the gates were without power, and not the server."""
    seed: int = 1


@dataclass
class City:
    """The server: away until second 0; then it stores reports by id, up to its capacity."""

    capacity: int
    draw: Random
    now_s: float = 0.0
    stored: set[str] = field(default_factory=set)
    copies: int = 0  # that came again, because an answer was lost
    arrived: dict[str, Counter[int]] = field(
        default_factory=lambda: {
            "reports": Counter(),
            "statuses": Counter(),
            "turned away": Counter(),
        }
    )
    last_stored_s: float = 0.0

    def take(self, reports: Sequence[StoredReport]) -> None:
        """Store a batch. Raises RemoteError, also if only the answer is lost."""
        self._count("reports")
        for report in reports:
            if report.report_id in self.stored:
                self.copies += 1
            else:
                self.stored.add(report.report_id)
                self.last_stored_s = self.now_s
        if self.draw.random() < LOST_ANSWERS:
            raise RemoteError(SourceState.UNREACHABLE, "the line broke")

    def take_status(self) -> None:
        """Receive a gate's status. Raises RemoteError."""
        self._count("statuses")

    def _count(self, kind: str) -> None:
        second = int(self.now_s // 1)
        self.arrived[kind][second] += 1
        if self.now_s < 0:
            raise RemoteError(SourceState.UNREACHABLE, "no route")
        answered = sum(self.arrived[each][second] for each in ("reports", "statuses"))
        if self.capacity and answered - self.arrived["turned away"][second] > self.capacity:
            self.arrived["turned away"][second] += 1
            raise RemoteError(SourceState.BUSY, "503", RETRY_AFTER_S)


class Gate:
    """A gate with its lane, as courier.ports.LaneReports and ReceiverClient."""

    def __init__(self, number: int, waiting: int, city: City, draw: Random) -> None:
        self.waiting = waiting
        """Reports on its disk."""
        self.longest_s = 0.0
        """The longest wait between two turns of the gate, in seconds."""
        self._number = number
        self._delivered = 0
        self._city = city
        self._took_s = 0.0
        self._upload = ReportUpload([self], self, draw.random)
        self._status = StatusTimes(draw.random)

    def turn(self, now_s: float) -> float:
        """Do one turn of the upload thread's loop; return the second of the next turn."""
        self._took_s = 0.0
        uploaded, wait_s = self._upload.round()
        if uploaded.state not in AWAY and now_s >= self._status.look_s:
            self._send_status(now_s)
        next_s = now_s + self._took_s + wait_s
        if wait_s == LOOK_S and not self.waiting:
            # A real gate asks its lane every two seconds; here it has no more reports.
            next_s = max(next_s, self._status.due_s)
        self.longest_s = max(self.longest_s, next_s - now_s)
        return next_s

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See LaneReports."""
        first = self._delivered + skipped
        return [
            self._report(seq)
            for seq in range(first, first + min(count_max, self.waiting - skipped))
        ]

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See LaneReports."""
        seqs = range(self._delivered, self._delivered + len(report_ids))
        if list(report_ids) != [self._report_id(seq) for seq in seqs]:
            raise AssertionError("delivered() names reports not handed out, or in another order")
        self._delivered += len(report_ids)
        self.waiting -= len(report_ids)

    def rejected(self, report_id: str, reason: str) -> None:
        """See LaneReports."""
        raise AssertionError(f"this city takes every report, and not: {report_id} {reason}")

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        self._took_s += ANSWERED_S
        self._city.take(reports)
        return {report.report_id: ReportAnswer(Result.STORED) for report in reports}

    def _send_status(self, now_s: float) -> None:
        if not self._status.is_due(now_s, "well"):
            return
        self._took_s += ANSWERED_S
        try:
            self._city.take_status()
        except RemoteError as error:
            self._status.failed(now_s, error)
        else:
            self._status.sent(now_s, "well")

    def _report_id(self, seq: int) -> str:
        return f"{self._number:08x}-0000-7000-8000-{seq:012x}"

    def _report(self, seq: int) -> StoredReport:
        return stored(seq + 1, report_id=self._report_id(seq))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    plan: Plan
    city: City
    reports: int
    ends_s: float
    waiting: int
    """Reports that were still on gates when the simulation ended."""
    longest_s: float
    """The longest that any gate waited between two attempts."""

    def per_second(self, second: int) -> int:
        """Requests that arrived in this second."""
        return self.city.arrived["reports"][second] + self.city.arrived["statuses"][second]

    @property
    def peak(self) -> tuple[int, int]:
        """The most requests in a second since the server is back, and in which."""
        return max((self.per_second(second), -second) for second in range(int(self.ends_s)))

    def mean(self, kind: str, from_s: int, to_s: int) -> float:
        """Requests a second of a kind in a time."""
        return sum(self.city.arrived[kind][second] for second in range(from_s, to_s)) / (
            to_s - from_s
        )


def run(plan: Plan) -> Outcome:
    """Simulate until every report is in, and a little longer."""
    draw = Random(plan.seed)
    city = City(plan.capacity, draw)
    waiting = np.random.default_rng(plan.seed).poisson(
        plan.hours * plan.denials_per_hour, plan.gates
    )
    gates = [Gate(number, int(count), city, draw) for number, count in enumerate(waiting)]
    # The worst case: an outage makes all gates fail their first attempt at the same time.
    start_s, within_s = (0.0, STARTED_WITHIN_S) if plan.power else (-OUTAGE_S, LOOK_S)
    turns = [(start_s + draw.uniform(0, within_s), number) for number in range(plan.gates)]
    heapq.heapify(turns)
    missing = int(waiting.sum())
    left, ends_s = missing, float("inf")
    while turns[0][0] < ends_s:
        city.now_s, number = turns[0]
        gate = gates[number]
        left -= gate.waiting
        heapq.heapreplace(turns, (gate.turn(city.now_s), number))
        left += gate.waiting
        if not left:
            ends_s = city.last_stored_s + AFTER_S
        elif city.now_s > GIVEN_UP_S:
            break
    return Outcome(plan, city, missing, city.now_s, left, max(gate.longest_s for gate in gates))


def show(outcome: Outcome) -> Iterator[str]:
    """The lines of the curve, and a summary."""
    plan, city = outcome.plan, outcome.city
    what = "the power is back" if plan.power else f"the server is back after {plan.hours:g} h"
    bears = f"answers {plan.capacity} requests/s" if plan.capacity else "answers whatever comes"
    yield f"{plan.gates:,} gates, {outcome.reports:,} reports wait; {what}, and {bears}"
    yield f"{'second':>12}  reports/s  statuses/s  turned away/s"
    step_s = max(10, int(outcome.ends_s / ROWS / 10) * 10)
    spans = [(at, at + step_s) for at in range(0, int(outcome.ends_s), step_s)]
    if not plan.power:
        spans.insert(0, (-SHOWN_BEFORE_S, 0))
    means = [[outcome.mean(kind, *span) for kind in city.arrived] for span in spans]
    scale = BAR_CHARACTERS / max(reports + statuses for reports, statuses, _ in means)
    for (from_s, to_s), (reports, statuses, away) in zip(spans, means, strict=True):
        bar = "█" * round(reports * scale) + "░" * round(statuses * scale)
        yield f"{from_s:5d} … {to_s:4d}  {reports:9.1f}  {statuses:10.1f}  {away:13.1f}  {bar}"
    most, second = outcome.peak
    yield (
        f"peak {most} requests in second {-second};"
        f" the last report is in after {city.last_stored_s:.0f} s"
    )
    yield (
        f"{outcome.waiting} reports left on gates, {len(city.stored):,} in the city,"
        f" {city.copies} came again and were known;"
        f" no gate waited longer than {outcome.longest_s:.0f} s"
    )


DEFAULTS = Plan()


@click.command(epilog="Example: python -m tests.simulation.stampede --capacity 150")
@click.option("--gates", default=DEFAULTS.gates, show_default=True, type=click.IntRange(1))
@click.option(
    "--hours", default=DEFAULTS.hours, show_default=True, help="How long the server was away."
)
@click.option(
    "--denials-per-hour", default=DEFAULTS.denials_per_hour, show_default=True, help="At each gate."
)
@click.option(
    "--capacity", default=0, help="Requests a second that the server bears; 0: any number."
)
@click.option("--power", is_flag=True, help="It was the gates that were without power.")
@click.option("--seed", default=DEFAULTS.seed, show_default=True)
def main(**options: Any) -> None:
    """Simulate gates that all come back at once, and print what arrives at the city's server."""
    for line in show(run(Plan(**options))):
        click.echo(line)


if __name__ == "__main__":
    main()
