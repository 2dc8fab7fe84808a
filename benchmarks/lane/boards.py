"""Measure from a card's event to the relay's line, through the lane's loop and the board gpio.

Serves the budget "decision → line set". The chip is simulated in this process, so that the numbers
are the lane's and the driver's; a real chip adds its own time (a memory-mapped one microseconds, a
USB expander a transfer). Every card is admitted, by the operator's choice for a missing list.
"""

import time

from benchmarks.context import Bench, quiet_memory
from benchmarks.rows import Limit, Row, timed
from firmware_sim.gpio.chips import Chip, Chips
from validator.domain.cards import Card, CardUid
from validator.domain.decision import ListPolicy, WhenMissing, WhenStale
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent
from validator.domain.outcomes import Direction
from validator.domain.passage import PassagePolicy, SameCardAfterPassing
from validator.host.clock import Clock
from validator.lane.boards.gpio.board import GpioBoard
from validator.lane.boards.gpio.wiring import Output, Wiring
from validator.lane.loop import Lane
from validator.lane.ports import ListInForce

BUDGET = Limit("p99", 2.0, "decision → line set")
RELAY, GREEN, RED, BUZZER = range(4)
WIRING = Wiring(
    chip="bench",
    release=Output(RELAY),
    green=Output(GREEN),
    red=Output(RED),
    buzzer=Output(BUZZER),
)
HOLD_MS = 1  # the next card comes when the arms have locked
WARM_UP = 50


class Cards:
    """A reader whose next event the benchmark sets."""

    def __init__(self) -> None:
        self.next: ReaderEvent | None = ReaderBack(time.monotonic_ns())

    def fileno(self) -> int:
        """See ports.Reader."""
        return -1

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        return 0 if self.next is not None else time.monotonic_ns() + 1_000_000

    def take(self) -> ReaderEvent | None:
        """See ports.Reader."""
        event, self.next = self.next, None
        return event

    def arm(self) -> None:
        """See ports.Reader."""

    def forget(self) -> None:
        """See ports.Reader."""

    def close(self) -> None:
        """See ports.Reader."""


def run(bench: Bench) -> list[Row]:
    """Tap cards one after the other, each once the arms have locked."""
    chip, cards = Chip("bench"), Cards()
    board = GpioBoard(WIRING, Chips(chip).open_lines)
    clock = Clock()
    lane = Lane(
        reader=cards,
        board=board,
        file=lambda _: True,
        note=lambda _: None,
        lists=ListInForce(),
        now=clock.now,
        passage_policy=PassagePolicy(
            Direction.ENTRY, HOLD_MS, 1_500, 1, SameCardAfterPassing.ADMIT
        ),
        list_policy=ListPolicy(WhenStale.DECIDE, WhenMissing.ADMIT),
        token_key=bytes(32),
    )
    took_ns: list[int] = []
    with quiet_memory():
        while not lane.passage.serves:
            lane.turn()
        for number in range(WARM_UP + bench.scale.taps):
            card = Card(CardUid(b"\x04" + number.to_bytes(6, "big")), 0x0344, 0x20)
            chip.history.clear()
            seen_ns = time.monotonic_ns()
            cards.next = CardSeen(card, seen_ns)
            while not any(line == RELAY and high for _, line, high in chip.history):
                lane.turn()
            took_ns.append(chip.history[0].at_ns - seen_ns)
            while lane.passage.deadline_ns is not None:
                lane.turn()
    board.close()
    return [timed("card's event → relay line, simulated chip", "ms", took_ns[WARM_UP:], BUDGET)]
