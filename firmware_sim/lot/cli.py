"""`firmware-sim lot`: makes a `Turnstile` and a `Wire` of its arguments, and serves them."""

import time
from pathlib import Path
from random import Random

import click

from firmware_sim.cli_errors import OneLineCommand, OneLineError, serve
from firmware_sim.cli_types import timing_option
from firmware_sim.lot.turnstile import BAUD, LOT_FAULTS, VERBS, Turnstile
from firmware_sim.wires import Wire

_EPILOG = """
\b
Verbs on standard input, one a line:
  {verbs}

\b
Output after the first line, one JSON object a line with event and at_ns (monotonic):
  open, lamps, timed_out                 what the lane asked for, and a permission nobody used
  passed, held, forced, walked_free      what passengers did
  emergency, blocked, started, fault_set, error

\b
{faults}

Example: firmware-sim lot --link /tmp/turnstile
""".format(
    verbs=VERBS,
    faults="\n".join(f"  {name:<13} {kind.help}" for name, kind in LOT_FAULTS.items()),
)


@click.command(cls=OneLineCommand, epilog=_EPILOG)
@click.option(
    "--link", type=click.Path(path_type=Path), help="Keep a symlink to the port at this path."
)
@click.option(
    "--address", type=click.IntRange(1, 32), default=1, show_default=True, help="On the line."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The seed of noise.")
@timing_option("the line")
def lot(*, link: Path | None, address: int, seed: int, timing: str) -> None:
    """Simulate a LOT turnstile; the first line of output is the path of its port."""
    random = Random(seed)  # noqa: S311  (a run must repeat; nothing here is a secret)
    device = Turnstile(address, random, time.monotonic_ns())
    try:
        wire = Wire(link, real=timing == "real", random=random, baud=BAUD)
    except OSError as error:
        raise OneLineError(f"lot: --link: {error}") from error
    serve("lot", device, wire)
