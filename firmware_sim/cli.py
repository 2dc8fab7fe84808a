"""The command `firmware-sim`: parses arguments and starts one simulated device on a pty."""

import sys
import time
from pathlib import Path
from random import Random

import click

from firmware_sim.board.cli import board
from firmware_sim.cards import Card
from firmware_sim.ccid.cli import ccid
from firmware_sim.cli_errors import OneLineCommand, OneLineError, OneLineGroup, serve
from firmware_sim.cli_types import CardType, fault_help, timing_option
from firmware_sim.cp2112.cli import cp2112
from firmware_sim.crowd.cli import crowd
from firmware_sim.faults import Fault
from firmware_sim.keyboard.cli import input_rig, keyboard
from firmware_sim.lot.cli import lot
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.device import Pn532
from firmware_sim.pn532.faults import READER_FAULTS, parse_reader_fault
from firmware_sim.pn532.radio import IDEAL, REAL
from firmware_sim.radio.field import Stage
from firmware_sim.rcs380.cli import rcs380
from firmware_sim.usb.cli import usb_rig
from firmware_sim.wires import Wire

__all__ = ["main"]


class FaultType(click.ParamType[Fault]):
    """A fault on the command line."""

    name = "name[=value]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fault:
        """Convert; click's usage error for anything that is no fault."""
        try:
            return parse_reader_fault(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


PN532_HELP = f"""A PN532 card reader on a pty.

The first line of output is the device's path. Then one JSON object a line for each event.

\b
  $ firmware-sim pn532 --link /tmp/reader
  present 04a1b2c3d4e5f6
  remove

\b
Verbs on standard input:
  present UID [number=DIGITS] [leaves=STAGE]
  remove [UID]
  clash UID UID
  unplug, replug, brownout
  fault NAME[=VALUE][/WHEN], fault none
  status, quit

A UID of 7 or 10 bytes is a DESFire EV1; of 4 bytes, a MIFARE Classic; of 4 bytes that begin with
08, a phone that shows another UID each time. number= is the number printed on the card.

\b
Stages: {", ".join(stage.value for stage in list(Stage)[:3])},
        {", ".join(stage.value for stage in list(Stage)[3:])}

{fault_help(READER_FAULTS)}

A fault strikes every time; brownout and unplug strike only the next time. WHEN changes that:
dropped=1 is the next reply, dropped=0.1 one in ten; with a value, delayed=200/3 is the next three,
leaves=before-reply/0.05 one in twenty.

Ends on quit, SIGTERM, SIGINT, or when the reader of its output has gone; goes on at the end of
standard input.
"""


@click.group(
    cls=OneLineGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
def main() -> None:
    """Simulate the hardware of a transit gate on ptys, for tests and laptops without a gate."""


@main.command(cls=OneLineCommand, help=PN532_HELP)
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help="Keep a symlink to the port at this path, across unplug and replug.",
)
@click.option(
    "--card",
    "cards",
    type=CardType(),
    multiple=True,
    help="A card on the reader at start; may be repeated.",
)
@timing_option("chip and line")
@click.option(
    "--fault",
    "faults",
    type=FaultType(),
    multiple=True,
    help="A fault from the start; may be repeated.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of everything that is left to chance.",
)
def pn532(
    link: Path | None, cards: tuple[Card, ...], timing: str, faults: tuple[Fault, ...], seed: int
) -> None:
    """Start the reader."""
    random = Random(seed)  # noqa: S311  (a simulation that can be repeated, not a secret)
    real = timing == "real"
    chip = Chip(random, REAL if real else IDEAL)
    device = Pn532(chip, random)
    now_ns = time.monotonic_ns()
    for fault in faults:
        device.set_fault(fault, now_ns)
    try:
        for card in cards:
            device.obey(["present", card.uid.hex()], now_ns)
        wire = Wire(link, real=real, random=random, baud=chip.baud)
    except (OSError, ValueError) as error:
        raise OneLineError(f"pn532: {error}") from error
    serve("pn532", device, wire)


main.add_command(board)
main.add_command(ccid)
main.add_command(crowd)
main.add_command(lot)
main.add_command(cp2112)
main.add_command(keyboard)
main.add_command(input_rig)
main.add_command(rcs380)
main.add_command(usb_rig)

if __name__ == "__main__":
    sys.exit(main())
