"""What happens in the city while the crowd taps: a card is suspended and lifted, another's suspension ends by itself, the network is cut.

    story = Story(city, commuters)
    next(events := story.told())
    events.send(heard)          # each line of each child, and "clock" now and then; StopIteration when all has happened

Each chapter waits for what it has caused to be seen, at the gate and nowhere else, and says how long that took. The crowd is told what is right
for the card that comes, and judges.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from turnike_demo.children import Heard
from turnike_demo.city.people import SUSPENDED_UNIT_S

TAPS_MIN = 60  # fewer taps are over before the city has done anything
TAPS_BEFORE = 5  # so many without the story, so that one sees what is usual
TAPS_CUT = 5  # so many are tapped while the network is cut
LASTS_S = 12  # the suspension that ends by itself, longer if the way to the gate takes so long
SEEN_S = 5  # so much of it must be left when the card comes

Telling = Generator[None, Heard, None]


class StoryError(Exception):
    """The story took a turn that it must not take; the message says which."""


class World(Protocol):
    """What the story can do, and see, of the demo."""

    @property
    def list_version(self) -> int:
        """What the lane decides by."""

    def city(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; its end is heard under this name."""

    def ask(self, uid: bytes, outcome: str, *, report: bool) -> None:
        """Let somebody come with this card, who must see this outcome."""

    def let_come(self) -> None:
        """Let the next of the crowd come, if it waits for the story."""

    def cut(self) -> None:
        """Cut the network."""

    def mend(self) -> None:
        """Mend it."""

    def say(self, what: str) -> None:
        """Tell a person."""


@dataclass
class Story:
    """The story, told once."""

    world: World
    commuters: Sequence[bytes]
    _newest: int = 0  # list that the publisher told of
    _adopted_version: int = 0

    def told(self) -> Telling:
        """Tell it. Raises StoryError."""
        for _ in range(TAPS_BEFORE):
            yield from self._until(lambda heard: heard.is_("crowd", "tap"))
        first, second = self.commuters[:2]
        until_s = yield from self._suspend_for_a_while(second)
        yield from self._suspend(first)
        yield from self._lift(first)
        yield from self._cut()
        yield from self._until(lambda _heard: time.time() > until_s)
        yield from self._comes(second, "admitted", report=False)
        self.world.say("the first suspension has ended by itself: admitted again")

    def _suspend_for_a_while(self, uid: bytes) -> Generator[None, Heard, float]:
        """Suspend it with an end; when it is over at the latest."""
        lasts_s = LASTS_S
        while True:
            began_s = time.time()
            self.world.city("suspend", "suspend", uid.hex(), "--for", f"{lasts_s}s")
            done_s = yield from self._done("suspend")
            until_s = time.time() + lasts_s + SUSPENDED_UNIT_S + 1  # ends are rounded up
            yield from self._adopted()
            if time.time() < began_s + lasts_s - SEEN_S:
                break
            lasts_s *= 2
        yield from self._comes(uid, "denied", report=True)
        self._say_after(done_s, f"a card was suspended for {lasts_s} s: refused at the gate")
        return until_s

    def _suspend(self, uid: bytes) -> Telling:
        self.world.city("suspend", "suspend", uid.hex())
        done_s = yield from self._done("suspend")
        yield from self._adopted()
        yield from self._comes(uid, "denied", report=True)
        self._say_after(done_s, "another was suspended without an end: refused as well")

    def _lift(self, uid: bytes) -> Telling:
        self.world.city("lift", "lift", uid.hex())
        done_s = yield from self._done("lift")
        yield from self._adopted()
        yield from self._comes(uid, "admitted", report=False)
        self._say_after(done_s, "that one was lifted: admitted at the gate")

    def _cut(self) -> Telling:
        before, cut_s = self.world.list_version, time.monotonic()
        self.world.cut()
        yield from self._until(
            lambda heard: heard.is_("courier", "courier") and heard.line["state"] == "unreachable"
        )
        right = 0
        for _ in range(TAPS_CUT):
            self.world.let_come()
            heard = yield from self._until(lambda heard: heard.is_("crowd", "tap"))
            right += bool(heard.line["right"])
        if self.world.list_version != before:
            raise StoryError("the list changed while the network was cut")
        self.world.say(
            f"the network was cut, and the courier says so: {_noticed(right)}, list {before} grew"
            f" {time.monotonic() - cut_s:.1f} s older"
        )
        self.world.mend()
        yield from self._until(
            lambda heard: heard.is_("courier", "courier") and heard.line["state"] == "fresh"
        )
        self.world.say("the network is back, and the courier has asked")

    def _comes(self, uid: bytes, outcome: str, *, report: bool) -> Telling:
        self.world.ask(uid, outcome, report=report)
        heard = yield from self._until(
            lambda heard: heard.is_("crowd", "tap") and heard.line.get("kind") == "asked"
        )
        if not heard.line["right"]:
            raise StoryError(f"a card that had to be {outcome} was {heard.line.get('saw')}")

    def _done(self, name: str) -> Generator[None, Heard, float]:
        """When the command had ended; the publisher may have been quicker to tell of what it did."""
        heard = yield from self._until(lambda heard: heard.is_(name, "ended"))
        if heard.line.get("code"):
            raise StoryError(f"turnike-backoffice {name} failed")
        return time.monotonic()

    def _adopted(self) -> Telling:
        """Until the lane decides by a list that was published since the last time."""
        before = self._adopted_version
        yield from self._until(lambda _heard: self._newest > before)
        self._adopted_version = self._newest
        yield from self._until(lambda _heard: self.world.list_version >= self._adopted_version)

    def _until(self, wanted: Callable[[Heard], bool]) -> Generator[None, Heard, Heard]:
        while True:
            heard = yield
            if heard.is_("publisher", "published"):
                self._newest = heard.line["list_version"]
            if wanted(heard):
                return heard

    def _say_after(self, done_s: float, what: str) -> None:
        self.world.say(f"{what} {time.monotonic() - done_s:.1f} s later")


def _noticed(right: int) -> str:
    """What so many of TAPS_CUT passengers who saw what they had to make of it."""
    if right == TAPS_CUT:
        return f"{right} passengers noticed nothing"
    return f"{TAPS_CUT - right} of {TAPS_CUT} passengers saw something else than they had to"
