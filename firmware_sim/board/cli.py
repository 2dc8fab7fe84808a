"""`firmware-sim board`: makes a `Board` and a `Wire` of its arguments, and serves them."""

import time
from pathlib import Path
from random import Random

import click

from firmware_sim.board.board import BAUD, Board
from firmware_sim.board.faults import BOARD_FAULTS, BoardFaults, parse_board_fault
from firmware_sim.board.setup import Setup
from firmware_sim.cli_errors import OneLineCommand, OneLineError, serve
from firmware_sim.cli_types import timing_option
from firmware_sim.wires import Wire

# Assumptions, not measurements: how long a solenoid frees the arms, and a reader reads a card.
REAL_RELEASE_MS = 8
REAL_READ_MS = 12
WALK_MAX_MS = 60_000

_EPILOG = """
\b
Verbs on standard input, one a line:
  pass, push               a passenger walks through; a passenger turns locked arms
  emergency on|off         the hardware's release of the arms
  tamper on|off            the housing is opened, or closed
  present UID, remove      a card on its own reader (--reader)
  clash UID UID            two cards at once (--reader)
  restart, brownout        the board forgets its passage and its session
  fault NAME[=VALUE][/WHEN]
  fault none               ends all faults
  unplug, replug, status, quit

\b
Output after the first line, one JSON object a line with event and at_ns (monotonic):
  session, lane_lost, lane_back           the lane's session
  open, duplicate_open, show              commands of the lane; open_in_emergency opens nothing
  passed, not_passed, forced, walked_free what passengers did
  emergency, tamper, present, clash, removed, started, brownout, fault, error

A fault strikes every time; one that ends in on-open strikes only the next time. WHEN changes that:
dropped=1 is the next frame, dropped=0.1 one in ten; with a value, delayed=200/3 is the next three.

\b
{faults}

Example: firmware-sim board --link /tmp/board --passenger manual
""".format(faults="\n".join(f"  {name:<17} {kind.help}" for name, kind in BOARD_FAULTS.items()))


@click.command(cls=OneLineCommand, epilog=_EPILOG)
@click.option(
    "--link", type=click.Path(path_type=Path), help="Keep a symlink to the port at this path."
)
@timing_option("line, arms and reader")
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The seed of sessions, noise and phones' UIDs.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=VALUE][/WHEN]",
    help="A fault from the start; may be repeated.",
)
@click.option("--reader", is_flag=True, help="This board reads cards by itself.")
@click.option(
    "--passenger",
    type=click.Choice(["auto", "manual"]),
    default="auto",
    show_default=True,
    help="auto: a passenger walks through after OPEN; manual: only at the verb pass.",
)
@click.option(
    "--walk-ms",
    type=click.IntRange(0, WALK_MAX_MS),
    default=300,
    show_default=True,
    help="From the release of the arms until a passenger walks through (auto).",
)
def board(
    *,
    link: Path | None,
    timing: str,
    seed: int,
    faults: tuple[str, ...],
    reader: bool,
    passenger: str,
    walk_ms: int,
) -> None:
    """Simulate a turnstile board; the first line of output is the path of its port."""
    random = Random(seed)  # noqa: S311  (a run must repeat; nothing here is a secret)
    real = timing == "real"
    setup = Setup(
        reader=reader,
        walk_ms=walk_ms if passenger == "auto" else None,
        release_ms=REAL_RELEASE_MS if real else 0,
        read_ms=REAL_READ_MS if real else 0,
    )
    device = Board(setup, random, _faults(faults, random), time.monotonic_ns())
    try:
        wire = Wire(link, real=real, random=random, baud=BAUD)
    except OSError as error:
        raise OneLineError(f"board: --link: {error}") from error
    serve("board", device, wire)


def _faults(specs: tuple[str, ...], random: Random) -> BoardFaults:
    faults = BoardFaults(random)
    for spec in specs:
        try:
            faults.set(parse_board_fault(spec))
        except ValueError as error:
            raise OneLineError(f"board: --fault: {error}") from error
    return faults
