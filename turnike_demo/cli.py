"""The command `turnike demo`. pyproject.toml adds it to the `turnike` command where the demo is installed."""

import sys

import click

from validator.errors import OperatorError


@click.command(epilog="Example: turnike demo --taps 200")
@click.option(
    "--cards",
    type=click.IntRange(1_000, 40_000_000),
    default=1_000_000,
    show_default=True,
    help="Cards issued.",
)
@click.option(
    "--taps",
    type=click.IntRange(1, 1_000_000),
    default=None,
    help="Stop after so many; else at Ctrl-C.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another crowd.")
@click.option(
    "--timing",
    type=click.Choice(["ideal", "real"]),
    default="real",
    show_default=True,
    help="Of the simulated chip.",
)
@click.option(
    "--chaos",
    is_flag=True,
    help="With --taps: no network in the first half, and SIGKILL for lane and courier in the second.",
)
@click.option(
    "--page-port",
    type=click.IntRange(0, 65_535),
    default=8020,
    show_default=True,
    help="Of the turnstile to play with, in a browser; without --taps. Another if it is taken; 0 is any.",
)
def demo(cards: int, taps: int | None, seed: int, timing: str, chaos: bool, page_port: int) -> None:
    """Run a city and one gate with simulated hardware and a crowd that taps, and watch it; without --taps, play with it in a browser."""
    if chaos and taps is None:
        raise OperatorError("--chaos is for a run of so many --taps")
    from turnike_demo.run import Demo

    played = Demo(
        cards=cards, taps=taps, seed=seed, timing=timing, chaos=chaos, page_port=page_port
    )
    sys.exit(played.run())
