"""A gate on one simulated GPIO chip, in simulated time."""

from firmware_sim.gpio.chips import Chip, Chips
from validator.domain.events import BoardEvent
from validator.domain.outcomes import Direction
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Input, Output, Wiring

MS = 1_000_000
RELAY, GREEN, RED, AMBER, BUZZER = range(5)
SENSOR, EMERGENCY, TAMPER, FORCED = 5, 6, 7, 8
WIRED = Wiring(
    chip="sim",
    release=Output(RELAY),
    passage=Input(SENSOR),
    emergency=Input(EMERGENCY),
    tamper=Input(TAMPER),
    green=Output(GREEN),
    red=Output(RED),
    amber=Output(AMBER),
    buzzer=Output(BUZZER),
)
ALONE = Wiring(chip="sim", release=Output(RELAY))


class Gate:
    """A board on one simulated chip, and a clock that the test moves."""

    def __init__(self, wiring: Wiring) -> None:
        self.now_ns = 1_000_000 * MS
        self.chip = Chip("sim", lines=12, clock=lambda: self.now_ns)
        self.chips = Chips(self.chip)
        self.board = GpioBoard(wiring, self.chips.open_lines, lambda: self.now_ns)

    def run(self, ms: float = 0) -> list[BoardEvent]:
        """Let time go by as the lane's loop does, and return the events."""
        end_ns = self.now_ns + int(ms * MS)
        events: list[BoardEvent] = []
        while True:
            while self.board.deadline_ns() <= self.now_ns:
                event = self.board.take()
                if event is None:
                    break
                events.append(event)
            while (event := self.board.take()) is not None:  # its descriptor may be readable
                events.append(event)
            if self.now_ns >= end_ns:
                return events
            due = [end_ns, self.board.deadline_ns()]
            due += [at_ns for request in self.chip.requests if (at_ns := request.due_ns())]
            self.now_ns = max(self.now_ns + 1, min(due))

    def open(self, tap: int, hold_ms: int = 3_000) -> None:
        self.board.open(tap, Direction.ENTRY, hold_ms)

    def press(self, line: int, ms: float = 60) -> list[BoardEvent]:
        """Close a contact for a moment."""
        self.chip.press(line, closed=True)
        events = self.run(ms)
        self.chip.press(line, closed=False)
        return events + self.run(ms)

    def on(self, line: int) -> bool:
        return self.chip.high[line]

    def changes(self, line: int) -> list[tuple[int, bool]]:
        """When an output changed, in ms since the start."""
        return [(at // MS - 1_000_000, high) for at, of, high in self.chip.history if of == line]
