"""A gate of real processes to measure: both simulated devices and a lane, started as a user does.

Times are the devices' own, both on CLOCK_MONOTONIC: the chip stamps a card when it comes into the
field, the board stamps an OPEN when it has received it. The benchmark's own work between taps is in
no number.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from benchmarks.town import Town
from firmware_sim.usb.usbfs.rig import Rig
from tests.support.machine.programs import Line, Program, lane_config, program

START_S = 60.0  # a lane with 26 M cards on a cold disk


@dataclass(frozen=True, slots=True)
class Gate:
    """Two simulated devices and a lane."""

    town: Town
    reader: Program
    board: Program
    lane: Program

    def tap(self, uid: bytes, rest: Random, *, opens: bool) -> tuple[int, Line]:
        """Present a card, wait for the outcome, remove the card, rest for a random time.

        Returns:
            Ns from card to OPEN (0 if it does not open), and the lane's log line.
        """
        self.reader.say(f"present {uid.hex()}")
        presented_ns = self.reader.event("present", uid=uid.hex())["at_ns"]
        taken_ns = 0
        if opens:
            taken_ns = self.board.event("open")["at_ns"] - presented_ns
        line = self.lane.event("tap")
        if opens:
            self.lane.event("passage", tap=line["tap"])
        self.reader.say("remove")
        self.reader.event("removed")
        # So that the next card meets any moment of the chip's search.
        time.sleep(rest.uniform(0.005, 0.015))
        return taken_ns, line


@contextmanager
def devices(
    town: Town, timing: str, *reader_options: str, rig: Rig | None = None
) -> Iterator[tuple[Program, Program]]:
    """The simulated reader and board, at the links of `start_lane`; passengers walk at once.

    The reader is a PN532, or with a rig the RC-S380 on its USB bus.
    """
    options = ("--timing", timing)
    board_link = ("--link", str(town.folder / "board"), "--walk-ms", "0")
    kind = ("rcs380",) if rig is not None else ("pn532", "--link", str(town.folder / "reader"))
    before = rig.command() if rig is not None else ()
    with (
        program("firmware_sim", "board", *board_link, *options) as board,
        program("firmware_sim", *kind, *options, *reader_options, before=before) as reader,
    ):
        board.first_line()
        reader.first_line()
        yield reader, board


def start_lane(town: Town, rig: Rig | None = None) -> Program:
    """`turnike lane` on those devices and this list."""
    config = lane_config(town.folder, driver="pn532" if rig is None else "rcs380")
    before = rig.command() if rig is not None else ()
    return Program("validator", "lane", "--config", str(config), before=before)


@contextmanager
def gate(town: Town, timing: str, rig: Rig | None = None) -> Iterator[Gate]:
    """A gate that shows "ready"."""
    with devices(town, timing, rig=rig) as (reader, board):
        lane = start_lane(town, rig)
        try:
            board.event("show", START_S, outcome="ready", by="lane")
            yield Gate(town, reader, board, lane)
        finally:
            lane.close()
