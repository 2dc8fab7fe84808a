"""A run through faults: no network in the first half of the taps, SIGKILLs in the second.

`make demo TAPS=2000 CHAOS=1` runs it instead of `suspensions`. No verdict and no report may differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from turnike_demo.scenarios.controls import Controls, Steps

KILLS = 4
TAPS_MIN = 40


class ChaosControls(Controls, Protocol):
    """What chaos can do to the demo, and see of it."""

    @property
    def judged(self) -> int:
        """How many taps the crowd has judged."""

    def kill(self, name: str) -> None:
        """Send SIGKILL to a program, which the demo starts again at once."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """Chaos for `taps` taps."""

    demo: ChaosControls
    taps: int

    def steps(self) -> Steps:
        """Cut the network for the first half, then kill lane and courier four times."""
        half = self.taps // 2
        self.demo.cut()
        self.demo.announce("the network is cut")
        yield from self._until(lambda: self.demo.judged >= half)
        self.demo.restore()
        self.demo.announce(f"the network is back after {self.demo.judged} taps")
        for number in range(1, KILLS + 1):
            yield from self._until_judged(half + number * (self.taps - half) // (KILLS + 1))
            self.demo.kill("lane")
            self.demo.kill("courier")
            self.demo.announce(f"kill -9 for lane and courier after {self.demo.judged} taps")
            yield from self._until_judged(self.demo.judged + 1)
        self.demo.announce("no more kills")

    def _until_judged(self, taps: int) -> Steps:
        yield from self._until(lambda: self.demo.judged >= taps)

    def _until(self, wanted: Callable[[], bool]) -> Steps:
        while not wanted():
            yield
