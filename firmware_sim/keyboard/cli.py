"""The commands `firmware-sim keyboard` and `firmware-sim input-rig`."""

import time
from pathlib import Path
from random import Random

import click

from firmware_sim.cards import Card
from firmware_sim.cli_errors import OneLineCommand, OneLineError, serve_port
from firmware_sim.cli_types import card_option, fault_help, fault_option, seed_option
from firmware_sim.faults import parse
from firmware_sim.keyboard import rig
from firmware_sim.keyboard.node import Node
from firmware_sim.keyboard.reader import FAULTS, MS, TypingReader
from firmware_sim.keyboard.typed import BASES, ENDS, LONG_UIDS, ORDERS, Way

__all__ = ["input_rig", "keyboard"]

HELP = f"""A card reader that types the UID, as an input device.

The first line of output is the device's path, for programs in `firmware-sim input-rig`. Then one
JSON object a line for each event.

\b
Verbs on standard input:
  present UID [leaves=STAGE]
  remove [UID]
  clash UID UID
  unplug, replug, brownout
  fault NAME[=VALUE][/WHEN], fault none
  status, quit

Cards are those of `firmware-sim pn532`. The status counts the keys that went to the console, since
no program had taken the device.

{fault_help(FAULTS)}
"""
RIG_HELP = """Run COMMAND where simulated input devices can be opened.

\b
  $ firmware-sim keyboard --link /tmp/reader --card 04a1b2c3d4e5f6 &
  $ firmware-sim input-rig -- turnike lane --config lane.toml

Needs gcc.
"""


@click.command("keyboard", cls=OneLineCommand, help=HELP)
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help="Keep a symlink to the device at this path, across unplug and replug.",
)
@card_option
@click.option("--base", type=click.Choice(BASES), default="hex", show_default=True)
@click.option(
    "--order",
    type=click.Choice(ORDERS),
    default="printed",
    show_default=True,
    help="The order of the bytes.",
)
@click.option("--separator", default="", help="What stands between two bytes in hex.")
@click.option("--upper", is_flag=True, help="Type letters with Shift.")
@click.option("--unpadded", is_flag=True, help="Leave zeros out at the start of a decimal number.")
@click.option(
    "--end", type=click.Choice(list(ENDS)), default="enter", show_default=True, help="After a UID."
)
@click.option(
    "--long-uids",
    type=click.Choice(LONG_UIDS),
    default="whole",
    show_default=True,
    help="What is typed for a UID of more than 4 bytes.",
)
@click.option(
    "--key-ms",
    type=click.IntRange(2, 1_000),
    default=16,
    show_default=True,
    help="Milliseconds from one key to the next.",
)
@click.option(
    "--patience-ms",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    help="Wait so long for a program that has not read the keys; for busy machines.",
)
@fault_option
@seed_option
def keyboard(
    *,
    link: Path | None,
    cards: tuple[Card, ...],
    base: str,
    order: str,
    separator: str,
    upper: bool,
    unpadded: bool,
    end: str,
    long_uids: str,
    key_ms: int,
    patience_ms: int,
    faults: tuple[str, ...],
    seed: int,
) -> None:
    """Start the reader."""
    random = Random(seed)  # noqa: S311  (a simulation that can be repeated, not a secret)
    if separator not in {"", ":", "-", " "}:
        raise OneLineError("keyboard: --separator is a colon, a dash, a blank or nothing")
    way = Way(base, order, separator, upper, not unpadded, end, long_uids)
    now_ns = time.monotonic_ns()
    node = Node(link)
    reader = TypingReader(node, way, random, key_ms * MS, patience_ms * MS)
    try:
        for text in faults:
            reader.set_fault(parse(text, FAULTS), now_ns)
        for card in cards:
            reader.obey(["present", card.uid.hex()], now_ns)
        reader.start(now_ns)
    except (OSError, ValueError) as error:
        node.close()
        raise OneLineError(f"keyboard: {error}") from error
    serve_port("keyboard", reader)


@click.command("input-rig", cls=OneLineCommand, help=RIG_HELP)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def input_rig(*, command: tuple[str, ...]) -> None:
    """Start the command."""
    try:
        rig.enter(command)
    except rig.InputRigError as error:
        raise OneLineError(f"input-rig: {error}") from error
