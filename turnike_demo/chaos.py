"""What must not matter: no network for the first half of the taps, and SIGKILL for lane and courier again and again in the second.

Told like the story, and instead of it: `make demo TAPS=2000 CHAOS=1`.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from turnike_demo.children import Heard

KILLS = 4
TAPS_MIN = 40


class World(Protocol):
    """What chaos can do, and see, of the demo."""

    @property
    def judged(self) -> int:
        """How many taps the crowd has judged."""

    def cut(self) -> None:
        """Cut the network."""

    def mend(self) -> None:
        """Mend it."""

    def kill(self, name: str) -> None:
        """SIGKILL for this process, which is started again at once."""

    def say(self, what: str) -> None:
        """Tell a person."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """Chaos for so many taps."""

    world: World
    taps: int

    def told(self) -> Generator[None, Heard, None]:
        """Make it."""
        half = self.taps // 2
        self.world.cut()
        self.world.say("the network is cut")
        yield from self._until(lambda: self.world.judged >= half)
        self.world.mend()
        self.world.say(f"the network is back after {self.world.judged} taps")
        for number in range(1, KILLS + 1):
            at = half + number * (self.taps - half) // (KILLS + 1)
            yield from self._until(lambda at=at: self.world.judged >= at)  # type: ignore[misc]  # mypy sees no default
            self.world.kill("lane")
            self.world.kill("courier")
            self.world.say(f"kill -9 for lane and courier after {self.world.judged} taps")
            before = self.world.judged
            yield from self._until(lambda before=before: self.world.judged > before)  # type: ignore[misc]  # likewise
        self.world.say("no more kills")

    def _until(self, wanted: Callable[[], bool]) -> Generator[None, Heard, None]:
        while not wanted():
            yield
