"""The rigs of the board contract: each board with its simulated device.

A new board joins the contract in three steps:

1. a simulated device in firmware_sim/, written from the maker's page;
2. a class with the methods of `Rig`, which moves that device's passengers and plugs;
3. a line in `RIGS`: the abilities of the board, and the faults of its device.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firmware_sim.gpio.chips import Chip, Chips
from tests.contracts.boards.rig import BoardRig
from tests.contracts.simulator import Simulator
from validator.domain.outcomes import Direction
from validator.lane.boards import gpio, lot, serial
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Input, Output, Wiring
from validator.lane.boards.lot.board import LotBoard
from validator.lane.ports import Board, BoardAbilities


class Rig(Protocol):
    """One device, and the people in front of it. Times are monotonic, in ns."""

    @property
    def path(self) -> str:
        """What the reason of a loss names."""

    def board(self) -> Board:
        """Return a new board on this device; the caller closes it."""

    def pass_through(self) -> int:
        """Let a passenger walk through the released arms. Returns the time."""

    def push(self) -> int:
        """Let a person turn the locked arms. Returns the time."""

    def emergency(self, *, on: bool) -> int:
        """Switch the hardware's release. Returns the time."""

    def tamper(self, *, on: bool) -> int:
        """Open or close the housing. Returns the time."""

    def releases(self) -> int:
        """Return how often the arms were released so far."""

    def unplug(self) -> int:
        """Unplug the device. Returns the time."""

    def replug(self) -> int:
        """Plug the device in. Returns the time."""

    def fault(self, text: str) -> None:
        """Switch a named fault on; `none` switches all off."""

    def close(self) -> None:
        """End the device."""


def released(rig: Rig, times: int) -> bool:
    """Return whether the arms were released so often."""
    return rig.releases() == times


CONTACT_S = 0.015  # how long a contact is closed: longer than the debounce below
DEBOUNCE_MS = 5
RELAY, GREEN, RED, BUZZER, SENSOR, EMERGENCY, TAMPER = range(7)
WIRED = Wiring(
    chip="simulated",
    release=Output(RELAY),
    settle_ms=100,
    passage=Input(SENSOR, debounce_ms=DEBOUNCE_MS),
    emergency=Input(EMERGENCY, debounce_ms=DEBOUNCE_MS),
    tamper=Input(TAMPER, debounce_ms=DEBOUNCE_MS),
    green=Output(GREEN),
    red=Output(RED),
    buzzer=Output(BUZZER),
)
RELAY_ALONE = Wiring(chip="simulated", release=Output(RELAY))
EIO = 5


class GpioRig:
    """Simulated GPIO lines and GpioBoard."""

    def __init__(self, wiring: Wiring) -> None:
        self.path = wiring.chip
        self._wiring = wiring
        self._chip = Chip(wiring.chip)
        self._chips = Chips(self._chip)
        self._bounces = 0

    def board(self) -> Board:
        return GpioBoard(self._wiring, self._chips.open_lines)

    def pass_through(self) -> int:
        return self._press(SENSOR)

    def push(self) -> int:
        return self._press(SENSOR)

    def emergency(self, *, on: bool) -> int:
        return self._switch(EMERGENCY, on=on)

    def tamper(self, *, on: bool) -> int:
        return self._switch(TAMPER, on=on)

    def releases(self) -> int:
        return sum(high for _, line, high in self._chip.history if line == RELAY)

    def unplug(self) -> int:
        self._chips.unplug(self._chip)
        return time.monotonic_ns()

    def replug(self) -> int:
        self._chips.plug(self._chip)
        return time.monotonic_ns()

    def fault(self, text: str) -> None:
        self._bounces = 6 if text == "bounce" else 0
        self._chip.failing = EIO if text == "refusing" else 0

    def close(self) -> None:
        for request in tuple(self._chip.requests):
            request.close()

    def _press(self, line: int) -> int:
        """Close a contact for as long as an arm needs to turn past it."""
        at_ns = self._switch(line, on=True)
        time.sleep(CONTACT_S)
        self._switch(line, on=False)
        time.sleep(CONTACT_S)
        return at_ns

    def _switch(self, line: int, *, on: bool) -> int:
        at_ns = self._chip.press(line, closed=on)
        for number in range(self._bounces):
            self._chip.press(line, closed=on is not (number % 2 == 0))
        return at_ns


class LotRig:
    """`firmware-sim lot` and LotBoard."""

    def __init__(self, link: Path) -> None:
        self.path = str(link)
        self.simulator = Simulator("lot", "--link", self.path)

    def board(self) -> Board:
        return LotBoard(self.path, 1, Direction.ENTRY, 5_000)

    def pass_through(self) -> int:
        return self._say("pass", "passed")

    def push(self) -> int:
        return self._say("push", "forced")

    def emergency(self, *, on: bool) -> int:
        return self._say(f"emergency {'on' if on else 'off'}", "emergency")

    def tamper(self, *, on: bool) -> int:
        raise AssertionError(f"a LOT turnstile does not report its housing, {on}")

    def releases(self) -> int:
        self.simulator.say("status", "status")
        return sum(event["event"] == "open" for event in self.simulator.events)

    def unplug(self) -> int:
        return self._say("unplug", "unplugged")

    def replug(self) -> int:
        return self._say("replug", "replugged")

    def fault(self, text: str) -> None:
        self._say(f"fault {text}", "fault_set")

    def close(self) -> None:
        self.simulator.close()

    def _say(self, verb: str, answer: str) -> int:
        return int(self.simulator.say(verb, answer)["at_ns"])


@dataclass(frozen=True)
class RigKind:
    """One board: how to start its device, what it can do, and its faults.

    Attributes:
        start: makes the rig, with its files in a folder.
        abilities: of the board. A test that needs another is skipped.
        bearable: names for `Rig.fault`; with them nothing is lost, and nothing happens twice.
        lasting: names of faults that last until `none`, and the words in the reason of the loss.
    """

    start: Callable[[Path], Rig]
    abilities: BoardAbilities
    bearable: tuple[str, ...]
    lasting: tuple[tuple[str, str], ...]


RIGS = {
    "serial": RigKind(
        lambda folder: BoardRig(folder / "board"),
        serial.ABILITIES,
        bearable=(
            "noise=3",
            "dropped=1",
            "dropped=2",
            "truncated=1",
            "bad-checksum=1",
            "duplicate",
            "delayed=20",
            "delayed=120/1",
            "silent=2",
            "deaf=1",
            "echo=0/3",
        ),
        lasting=(("silent", "is silent"), ("deaf", "did not acknowledge")),
    ),
    "gpio": RigKind(
        lambda _: GpioRig(WIRED),
        gpio.abilities(WIRED),
        bearable=("bounce",),
        lasting=(("refusing", "Input/output error"),),
    ),
    "gpio, relay alone": RigKind(
        lambda _: GpioRig(RELAY_ALONE),
        gpio.abilities(RELAY_ALONE),
        bearable=(),
        lasting=(("refusing", "Input/output error"),),
    ),
    "lot": RigKind(
        lambda folder: LotRig(folder / "turnstile"),
        lot.ABILITIES,
        bearable=(
            "noise=3",
            "dropped=1",
            "dropped=3",
            "deaf=1",
            "deaf=3",
            "bad-checksum=2",
            "truncated=2",
            "delayed=40/3",
            "delayed=150/1",
            "delayed=150/4",
            "busy=2",
            "echo=0/5",
        ),
        lasting=(
            ("deaf", "is silent"),
            ("dropped", "is silent"),
            ("bad-checksum", "is silent"),
            ("busy", "is busy"),
        ),
    ),
}
