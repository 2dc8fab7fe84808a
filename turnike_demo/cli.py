"""The command `turnike demo`: pyproject.toml adds it to `turnike` where the demo is installed."""

import sys
from typing import TYPE_CHECKING

import click

from validator.errors import OperatorError

if TYPE_CHECKING:
    from turnike_demo.gate.visitors_reader import ReaderKind


@click.command(epilog="Example: turnike demo --taps 200")
@click.option(
    "--cards",
    type=click.IntRange(1_000, 40_000_000),
    default=1_000_000,
    show_default=True,
    help="How many cards the city has issued.",
)
@click.option(
    "--taps",
    type=click.IntRange(1, 1_000_000),
    default=None,
    help="End after this many taps; without it, run until Ctrl-C.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="The seed of the crowd; another seed draws another crowd.",
)
@click.option(
    "--timing",
    type=click.Choice(["ideal", "real"]),
    default="real",
    show_default=True,
    help="The timing of the simulated chip.",
)
@click.option(
    "--chaos",
    is_flag=True,
    help="With --taps: no network in the first half, SIGKILL for lane and courier in the second.",
)
@click.option(
    "--page-port",
    type=click.IntRange(0, 65_535),
    default=8020,
    show_default=True,
    help="Without --taps: the port of the turnstile's page; another if it is taken; 0 for any.",
)
@click.option(
    "--reader",
    type=click.Choice(["pn532", "rcs380", "pcsc"]),
    default="pn532",
    show_default=True,
    help="Without --taps: the turnstile's reader; the last two are simulated USB devices.",
)
def demo(
    *,
    cards: int,
    taps: int | None,
    seed: int,
    timing: str,
    chaos: bool,
    page_port: int,
    reader: "ReaderKind",
) -> None:
    """Run a city and a gate with simulated hardware, and a crowd that taps.

    Shows them in the terminal; without --taps, a browser has a turnstile to play with.
    """
    if chaos and taps is None:
        raise OperatorError("--chaos is for a run of so many --taps")
    if reader != "pn532" and taps is not None:
        raise OperatorError("--reader is for the turnstile; leave out --taps")
    from turnike_demo.run import Demo

    run = Demo(
        cards=cards,
        taps=taps,
        seed=seed,
        timing=timing,
        chaos=chaos,
        page_port=page_port,
        reader=reader,
    )
    sys.exit(run.run())
