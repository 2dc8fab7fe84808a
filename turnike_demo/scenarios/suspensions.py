"""What happens in the city while the crowd taps: suspensions, a lift, and a cut network.

    scenario = Suspensions(demo, commuters)
    next(steps := scenario.steps())
    steps.send(event)           # each event, and the source `clock` now and then

Each step waits until the gate shows its effect, and announces how long that took. The crowd gets
the outcome that is right for the commuter's card, and judges what it sees.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from turnike_demo.city.people import SUSPENDED_UNIT_S
from turnike_demo.errors import ScenarioError
from turnike_demo.processes.events import Event
from turnike_demo.scenarios.controls import Controls, Steps

TAPS_MIN = 60  # fewer taps are over before the city has done anything
TAPS_BEFORE = 5  # taps before the first step, so that an operator sees what is usual
TAPS_CUT = 5  # taps while the network is cut
LASTS_S = 12  # the suspension that ends by itself; longer if the list takes long to the gate
LEFT_MIN_S = 5  # how much of it must be left when the card comes


class CityControls(Controls, Protocol):
    """What the scenario can do to the demo, and see of it."""

    @property
    def list_version(self) -> int:
        """The version of the list by which the lane decides."""

    def start_command(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; its events have the source `name`."""

    def send_commuter(self, uid: bytes, outcome: str, *, report: bool) -> None:
        """Let a passenger come with this card, who must see `outcome`."""

    def let_one_come(self) -> None:
        """Let the next passenger of a paused crowd come."""


@dataclass
class Suspensions:
    """The scenario of a run without chaos; runs once."""

    demo: CityControls
    commuters: Sequence[bytes]
    _published_version: int = 0  # the newest list that the publisher has published
    _adopted_version: int = 0

    def steps(self) -> Steps:
        """Run the scenario.

        Raises:
            ScenarioError: the gate showed what it must not show, or a command failed.
        """
        for _ in range(TAPS_BEFORE):
            yield from self._until(lambda event: event.is_("crowd", "tap"))
        first, second = self.commuters[:2]
        until_s = yield from self._suspend_for_a_while(second)
        yield from self._suspend(first)
        yield from self._lift(first)
        yield from self._cut()
        yield from self._until(lambda _event: time.time() > until_s)
        yield from self._comes(second, "admitted", report=False)
        self.demo.announce("the first suspension has ended by itself: admitted again")

    def _suspend_for_a_while(self, uid: bytes) -> Generator[None, Event, float]:
        """Suspend a card with an end; return the Unix time by which the suspension is over."""
        lasts_s = LASTS_S
        while True:
            began_s = time.time()
            self.demo.start_command("suspend", "suspend", uid.hex(), "--for", f"{lasts_s}s")
            done_s = yield from self._done("suspend")
            until_s = time.time() + lasts_s + SUSPENDED_UNIT_S + 1  # ends are rounded up
            yield from self._adopted()
            if time.time() < began_s + lasts_s - LEFT_MIN_S:
                break
            lasts_s *= 2
        yield from self._comes(uid, "denied", report=True)
        self._announce_after(done_s, f"a card was suspended for {lasts_s} s: refused at the gate")
        return until_s

    def _suspend(self, uid: bytes) -> Steps:
        self.demo.start_command("suspend", "suspend", uid.hex())
        done_s = yield from self._done("suspend")
        yield from self._adopted()
        yield from self._comes(uid, "denied", report=True)
        self._announce_after(done_s, "another was suspended without an end: refused as well")

    def _lift(self, uid: bytes) -> Steps:
        self.demo.start_command("lift", "lift", uid.hex())
        done_s = yield from self._done("lift")
        yield from self._adopted()
        yield from self._comes(uid, "admitted", report=False)
        self._announce_after(done_s, "that one was lifted: admitted at the gate")

    def _cut(self) -> Steps:
        before, cut_s = self.demo.list_version, time.monotonic()
        self.demo.cut()
        yield from self._until(
            lambda event: event.is_("courier", "courier") and event.line["state"] == "unreachable"
        )
        right = 0
        for _ in range(TAPS_CUT):
            self.demo.let_one_come()
            event = yield from self._until(lambda event: event.is_("crowd", "tap"))
            right += bool(event.line["right"])
        if self.demo.list_version != before:
            raise ScenarioError("the list changed while the network was cut")
        self.demo.announce(
            f"the network was cut, and the courier logged it: {_noticed(right)}, list {before}"
            f" grew {time.monotonic() - cut_s:.1f} s older"
        )
        self.demo.restore()
        yield from self._until(
            lambda event: event.is_("courier", "courier") and event.line["state"] == "fresh"
        )
        self.demo.announce("the network is back, and the courier has asked the city")

    def _comes(self, uid: bytes, outcome: str, *, report: bool) -> Steps:
        self.demo.send_commuter(uid, outcome, report=report)
        event = yield from self._until(
            lambda event: event.is_("crowd", "tap") and event.line.get("kind") == "asked"
        )
        if not event.line["right"]:
            raise ScenarioError(f"a card that had to be {outcome} was {event.line.get('saw')}")

    def _done(self, name: str) -> Generator[None, Event, float]:
        """Wait for the command's end; return when it was, on the monotonic clock.

        The publisher may have published its change before that.
        """
        event = yield from self._until(lambda event: event.is_(name, "ended"))
        if event.line.get("code"):
            raise ScenarioError(f"turnike-backoffice {name} failed")
        return time.monotonic()

    def _adopted(self) -> Steps:
        """Wait until the lane decides by a list published since the last call."""
        before = self._adopted_version
        yield from self._until(lambda _event: self._published_version > before)
        self._adopted_version = self._published_version
        yield from self._until(lambda _event: self.demo.list_version >= self._adopted_version)

    def _until(self, wanted: Callable[[Event], bool]) -> Generator[None, Event, Event]:
        while True:
            event = yield
            if event.is_("publisher", "published"):
                self._published_version = event.line["list_version"]
            if wanted(event):
                return event

    def _announce_after(self, done_s: float, text: str) -> None:
        self.demo.announce(f"{text} {time.monotonic() - done_s:.1f} s later")


def _noticed(right: int) -> str:
    """Describe TAPS_CUT passengers, of whom `right` saw the outcome that is right."""
    if right == TAPS_CUT:
        return f"{right} passengers noticed nothing"
    return f"{TAPS_CUT - right} of {TAPS_CUT} passengers saw a wrong outcome"
