"""Arguments and options that several simulated devices have, and the help of faults."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from firmware_sim.cards import Card, card_of, parse_uid
from firmware_sim.faults import Kind

__all__ = [
    "CardType",
    "card_option",
    "fault_help",
    "fault_option",
    "seed_option",
    "timing_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])


class CardType(click.ParamType[Card]):
    """A UID on the command line."""

    name = "uid"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Card:
        """Convert; click's usage error for anything that is no UID."""
        try:
            return card_of(parse_uid(str(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)


card_option = click.option(
    "--card", "cards", type=CardType(), multiple=True, help="A card from the start; repeatable."
)
fault_option = click.option(
    "--fault", "faults", multiple=True, help="A fault from the start; repeatable."
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of all that is by chance."
)


def timing_option(of_what: str) -> Callable[[Command], Command]:
    """Return the option --timing, `ideal` or `real`, of these parts of the device."""
    return click.option(
        "--timing",
        type=click.Choice(["ideal", "real"]),
        default="ideal",
        show_default=True,
        help=f"The timing of {of_what}; ideal takes no time.",
    )


def fault_help(*kinds: Mapping[str, Kind]) -> str:
    """Return the faults with a line of help each."""
    lines = [f"  {name:<13} {kind.help}" for each in kinds for name, kind in each.items()]
    return "\b\nFaults:\n" + "\n".join(lines)
