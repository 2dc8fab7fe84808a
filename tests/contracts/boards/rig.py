"""The rig of the serial board, and the loop that drives every board of the contract.

The device is a process of its own on a pty. The rig's methods are the passenger who walks through
or pushes, and the technician who pulls plugs.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from tests.contracts.loop import Loop, closing
from tests.contracts.simulator import Simulator
from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    Closed,
    Emergency,
    NotPassed,
    Passed,
    Tamper,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.serial import ABILITIES
from validator.lane.boards.serial.board import SerialBoard
from validator.lane.ports import Board, BoardAbilities

Kind = TypeVar("Kind", bound=BoardEvent)


def ends(events: list[BoardEvent]) -> list[tuple[type, int]]:
    """Return the kind and the tap of each end of a passage."""
    return [
        (type(event), event.tap)
        for event in events
        if isinstance(event, Passed | NotPassed | Closed)
    ]


def open_board(path: str) -> SerialBoard:
    """Return a board that is not open yet, for the device at `path`."""
    return SerialBoard(path, b"test\0\0\0\0", "test")


class BoardRig:
    """One `firmware-sim board`. Times are monotonic, in ns.

    Passengers walk through by themselves only with the option `--passenger auto`.
    """

    def __init__(self, link: Path, *options: str) -> None:
        self.path = str(link)
        self.simulator = Simulator("board", "--link", self.path, "--passenger", "manual", *options)

    def board(self) -> Board:
        """Return a new board on this device; the caller closes it."""
        return open_board(self.path)

    def say(self, verb: str, answer: str) -> int:
        """Send a verb and wait for the event `answer`. Returns the time of that event."""
        return int(self.simulator.say(verb, answer)["at_ns"])

    def unplug(self) -> int:
        """Unplug the device. Returns the time."""
        return self.say("unplug", "unplugged")

    def replug(self) -> int:
        """Plug the device in, behind the same path. Returns the time."""
        return self.say("replug", "replugged")

    def pass_through(self) -> int:
        """Let a passenger walk through the released arms. Returns the time."""
        return self.say("pass", "passed")

    def push(self) -> int:
        """Let a person turn the locked arms. Returns the time."""
        return self.say("push", "forced")

    def emergency(self, *, on: bool) -> int:
        """Switch the hardware's release. Returns the time."""
        return self.say(f"emergency {'on' if on else 'off'}", "emergency")

    def tamper(self, *, on: bool) -> int:
        """Open or close the housing. Returns the time."""
        return self.say(f"tamper {'on' if on else 'off'}", "tamper")

    def releases(self) -> int:
        """Return how often the arms were released so far."""
        return len(self.history("open"))

    def brown_out(self) -> int:
        """Let the device's supply dip: it restarts, the port stays. Returns the time."""
        return self.say("brownout", "brownout")

    def fault(self, text: str) -> None:
        """Switch a named fault on, such as `dropped=1`; `none` switches all off."""
        self.simulator.call(f"fault {text}")
        self.status()  # a board does not report that a fault is on

    def status(self) -> dict[str, Any]:
        """Return the status of the device."""
        return self.simulator.say("status", "status")

    def shown(self) -> dict[str, Any]:
        """Return the next event of a picture that the lane has asked for."""
        while (event := self.simulator.wait_for("show"))["by"] != "lane":
            pass
        return event

    def history(self, *names: str) -> list[dict[str, Any]]:
        """Return all events of these names so far, oldest first; pictures only of the lane."""
        self.status()
        return [
            event
            for event in self.simulator.events
            if event["event"] in names and event.get("by", "lane") == "lane"
        ]

    def close(self) -> None:
        """End the device's process."""
        self.simulator.close()


class BoardListener(Loop[BoardEvent]):
    """Drives a board as the lane's loop does."""

    def __init__(self, board: Board, abilities: BoardAbilities = ABILITIES) -> None:
        super().__init__(board)
        self.board = board
        self._abilities = abilities

    def open(self, tap: int, hold_ms: int = 5_000, direction: Direction = Direction.ENTRY) -> None:
        """Call the board's `open`."""
        self.timed(lambda: self.board.open(tap, direction, hold_ms))

    def show(self, outcome: Outcome, hold_ms: int = 0, date: int = 0) -> None:
        """Call the board's `show`."""
        self.timed(lambda: self.board.show(outcome, hold_ms, date))

    def next(self, kind: type[Kind], wait_s: float = 60.0) -> Kind:
        """Return the next event, which must be of that kind."""
        event = self.event(wait_s)
        assert isinstance(event, kind), event
        return event

    def serve_until(self, happened: Callable[[], bool], wait_s: float = 60.0) -> list[BoardEvent]:
        """Serve the board until `happened`. Returns its events meanwhile."""
        deadline = time.monotonic() + wait_s
        events: list[BoardEvent] = []
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen; the events were {events}"
            events += self.events(0.02)
        return events

    def back(self, wait_s: float = 60.0) -> BoardBack:
        """Return the next BoardBack. A board at rest reports its state after it.

        Only BoardLost may come before.
        """
        event = self.event(wait_s)
        while isinstance(event, BoardLost):
            event = self.event(wait_s)
        assert isinstance(event, BoardBack), event
        if self._abilities.emergency:
            assert not self.next(Emergency).on
        if self._abilities.tamper:
            assert not self.next(Tamper).on
        return event


def hearing(
    board: Board, abilities: BoardAbilities = ABILITIES
) -> AbstractContextManager[BoardListener]:
    """Serve a board, close it at the end, and check that no call has held the loop."""
    return closing(BoardListener(board, abilities))
