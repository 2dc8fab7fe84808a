"""Arguments that several simulated devices have on the command line, and the help of faults."""

from collections.abc import Mapping

import click

from firmware_sim.cards import Card, card_of, parse_uid
from firmware_sim.faults import Kind

__all__ = ["CardType", "fault_help"]


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


def fault_help(*kinds: Mapping[str, Kind]) -> str:
    """Return the faults with a line of help each."""
    lines = [f"  {name:<13} {kind.help}" for each in kinds for name, kind in each.items()]
    return "\b\nFaults:\n" + "\n".join(lines)
