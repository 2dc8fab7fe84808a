"""A board on a simulated device, a real process on a pty, with a hand that walks, pushes and pulls plugs; and a loop that listens like the lane."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from tests.contracts.loop import Loop, closing
from tests.contracts.simulator import Simulator
from validator.domain.events import BoardBack, BoardEvent, BoardLost, Emergency, Tamper
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.serial.board import SerialBoard
from validator.lane.ports import Board

Kind = TypeVar("Kind", bound=BoardEvent)


def open_board(path: str) -> SerialBoard:
    """The lane's end of the line to the board at `path`."""
    return SerialBoard(path, b"test\0\0\0\0", "test")


class BoardRig:
    """One `firmware-sim board`. Nobody walks through by himself unless `--passenger auto` is among the options. Times are monotonic, in ns."""

    def __init__(self, link: Path, *options: str) -> None:
        self.path = str(link)
        self.simulator = Simulator("board", "--link", self.path, "--passenger", "manual", *options)

    def board(self) -> Board:
        """A new board on this device; the caller closes it."""
        return open_board(self.path)

    def say(self, verb: str, answer: str) -> int:
        """Say a verb and wait for the event called `answer`. Returns when that happened."""
        return int(self.simulator.say(verb, answer)["at_ns"])

    def unplug(self) -> int:
        """Pull the plug. Returns when."""
        return self.say("unplug", "unplugged")

    def replug(self) -> int:
        """Put it back, behind the same path. Returns when."""
        return self.say("replug", "replugged")

    def brown_out(self) -> int:
        """Let the device's supply dip: it restarts, the port stays. Returns when."""
        return self.say("brownout", "brownout")

    def fault(self, text: str) -> None:
        """Switch a named fault on; `none` switches all off."""
        self.simulator.call(f"fault {text}")
        self.status()  # a board does not say that a fault is on

    def status(self) -> dict[str, Any]:
        """What the device says of itself."""
        return self.simulator.say("status", "status")

    def shown(self) -> dict[str, Any]:
        """The next thing that is shown because the lane has asked for it."""
        while (event := self.simulator.wait_for("show"))["by"] != "lane":
            pass
        return event

    def history(self, *names: str) -> list[dict[str, Any]]:
        """Everything of these names that has happened so far, oldest first; of what is shown, only what the lane has asked for."""
        self.status()
        return [
            event
            for event in self.simulator.heard
            if event["event"] in names and event.get("by", "lane") == "lane"
        ]

    def close(self) -> None:
        """End the device."""
        self.simulator.close()


class BoardListener(Loop[BoardEvent]):
    """Drives a board as the lane's loop does."""

    def __init__(self, board: Board) -> None:
        super().__init__(board)
        self.board = board

    def open(self, tap: int, hold_ms: int = 5_000, direction: Direction = Direction.ENTRY) -> None:
        """Release the arms."""
        self.timed(lambda: self.board.open(tap, direction, hold_ms))

    def show(self, outcome: Outcome, hold_ms: int = 0, date: int = 0) -> None:
        """Show an outcome."""
        self.timed(lambda: self.board.show(outcome, hold_ms, date))

    def next(self, kind: type[Kind], wait_s: float = 5.0) -> Kind:
        """The next event, which is of that kind."""
        event = self.event(wait_s)
        assert isinstance(event, kind), event
        return event

    def serve_until(self, happened: Callable[[], bool], wait_s: float = 5.0) -> list[BoardEvent]:
        """Listen until `happened`; everything that was told meanwhile."""
        deadline = time.monotonic() + wait_s
        heard: list[BoardEvent] = []
        while not happened():
            assert time.monotonic() < deadline, f"it did not happen; told was {heard}"
            heard += self.events(0.02)
        return heard

    def back(self, wait_s: float = 5.0) -> BoardBack:
        """The next BoardBack, and the state of a board at rest behind it; only BoardLost may come before."""
        event = self.event(wait_s)
        while isinstance(event, BoardLost):
            event = self.event(wait_s)
        assert isinstance(event, BoardBack), event
        assert not self.next(Emergency).on
        assert not self.next(Tamper).on
        return event


def hearing(board: Board) -> AbstractContextManager[BoardListener]:
    """A listener whose board is closed at the end; no call may have held the loop."""
    return closing(BoardListener(board))
