"""A gate of real processes: both simulated devices, a lane, and a list that knows a few cards."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.city.built_city import build
from tests.support.machine.programs import WAIT_S, Line, Program, lane_config, program

NOW_UNIX_S = 1_780_000_000


class Gate:
    """One gate. `cards` gives a fresh card of a kind; `tap` presents one and returns its line."""

    def __init__(
        self, folder: Path, reader: Program, board: Program, *, reads_on_board: bool
    ) -> None:
        self.folder = folder
        self.reader = reader
        self.board = board
        self.card_source = board if reads_on_board else reader
        self._cards: dict[str, list[str]] = {}
        for line in (folder / "deck.jsonl").read_text().splitlines():
            card = json.loads(line)
            self._cards.setdefault(card["kind"], []).append(card["uid"])
        self.config = lane_config(folder, driver="serial" if reads_on_board else "pn532")

    def card(self, kind: str) -> str:
        """A UID that no tap has used yet."""
        return self._cards[kind].pop()

    def lane(self) -> Program:
        """Start a lane on this gate's devices."""
        return Program("validator", "lane", "--config", str(self.config))

    def take_away(self) -> None:
        """Take every card off the reader."""
        self.card_source.say("remove")
        self.card_source.wait_for(lambda line: line.get("event") in ("removed", "remove"))

    def tap(self, lane: Program, uid: str, more: str = "") -> Line:
        """Present a card, wait for the lane's line, take the card away."""
        self.card_source.say(f"present {uid} {more}".strip())
        line = lane.event("tap")
        self.take_away()
        return line

    def serves(self, lane: Program, wait_s: float = WAIT_S) -> Line:
        """Show a good card until the gate admits it, as a passenger would, for `wait_s` at most."""
        uid = self.card("matched")
        self.card_source.say(f"present {uid}")
        line = lane.event("tap", wait_s, outcome="admitted")
        self.board.event("open", tap=line["tap"])
        lane.event("passage", tap=line["tap"])
        self.take_away()
        return line


@contextmanager
def gate(
    folder: Path, *, reads_on_board: bool = False, timing: str = "ideal", walks: bool = True
) -> Iterator[Gate]:
    """Devices and a list in `folder`; no lane yet. With `walks` each passenger walks through."""
    build(folder, NOW_UNIX_S)
    with ExitStack() as stack:
        board_options = ["--reader"] if reads_on_board else []
        options = [*(("--walk-ms", "5") if walks else ("--passenger", "manual")), *board_options]
        board = stack.enter_context(
            program("firmware_sim", "board", "--link", str(folder / "board"), *options)
        )
        reader = board
        if not reads_on_board:
            command = [
                "firmware_sim",
                "pn532",
                "--link",
                str(folder / "reader"),
                "--timing",
                timing,
            ]
            reader = stack.enter_context(program(*command))
            reader.first_line()
        board.first_line()
        yield Gate(folder, reader, board, reads_on_board=reads_on_board)


@contextmanager
def serving(of: Gate) -> Iterator[Program]:
    """A lane that shows "ready"."""
    lane = of.lane()
    try:
        of.board.event("show", outcome="ready", by="lane")
        yield lane
    finally:
        lane.close()


__all__ = ["WAIT_S", "Gate", "gate", "serving"]
