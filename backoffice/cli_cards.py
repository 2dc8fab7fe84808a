"""The commands about one card: suspend, lift, add, remove, show. The group they belong to is in cli.py. What they change goes out with the next list."""

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli_shared import OperatorError, home_option, moment, now_unix_s, one_line, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backoffice.config import Config, RuleConfig
    from backoffice.registry import Registry

SUSPENDED = "suspended"
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FOR = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")
NEXT = "it goes out with the next publish"

until_option = click.option(
    "--until", metavar="TIME", help="When it ends: ISO 8601 with its offset from UTC, or Unix seconds."
)
for_option = click.option("--for", "lasting", metavar="SPAN", help="How long it lasts: 90s, 30m, 12h or 10d.")
card_argument = click.argument("card", metavar="UID|NUMBER")
rule_option = click.option(
    "--rule",
    default=SUSPENDED,
    show_default=True,
    metavar="RULE",
    help="The rule that refuses suspended cards.",
)


@click.command(epilog="Example: turnike-backoffice suspend 04:11:22:33:44:55:66 --for 10d")
@home_option
@card_argument
@until_option
@for_option
@rule_option
def suspend(home: Path, card: str, until: str | None, lasting: str | None, rule: str) -> None:
    """Suspend a card, until it is lifted or ends."""
    _put_in(home, rule, card, until, lasting, refuses=True)


@click.command(epilog="Example: turnike-backoffice lift 04:11:22:33:44:55:66")
@home_option
@card_argument
@rule_option
def lift(home: Path, card: str, rule: str) -> None:
    """End the suspension of a card."""
    _take_out(home, rule, card)


@click.command(epilog="Example: turnike-backoffice add matched 0123456789012345")
@home_option
@click.argument("rule")
@card_argument
@until_option
@for_option
def add(home: Path, rule: str, card: str, until: str | None, lasting: str | None) -> None:
    """Put a card under a rule."""
    _put_in(home, rule, card, until, lasting)


@click.command(epilog="Example: turnike-backoffice remove staff 04:11:22:33:44:55:66")
@home_option
@click.argument("rule")
@card_argument
def remove(home: Path, rule: str, card: str) -> None:
    """Take a card out of a rule."""
    _take_out(home, rule, card)


@click.command(epilog="Example: turnike-backoffice show 04:11:22:33:44:55:66")
@home_option
@click.argument("card", metavar="[UID|NUMBER]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(home: Path, card: str | None, as_json: bool) -> None:
    """Show how many cards stand under each rule, or how one card stands."""
    with _registry(home) as (config, registry):
        if card is None:
            _show_counts(config, registry, as_json=as_json)
        else:
            _show_card(registry, _issued(registry, card), as_json=as_json)


@contextmanager
def _registry(home: Path) -> "Iterator[tuple[Config, Registry]]":
    from backoffice.config import load
    from backoffice.registry import Registry

    with one_line():
        config = load(home)
        with Registry.open(config.database_url) as registry:
            yield config, registry


def _put_in(
    home: Path, rule: str, card: str, until: str | None, lasting: str | None, *, refuses: bool = False
) -> None:
    with _registry(home) as (config, registry):
        if refuses and config.rule(rule).effect.value != "refuse":
            raise OperatorError(
                f"--rule: {rule} refuses no card; to put one there: turnike-backoffice add {rule} CARD"
            )
        ends_unix_s = _end(config.rule(rule), until, lasting)
        changed = registry.set_state(rule, _issued(registry, card), ends_unix_s)
    what = f"{rule} until {moment(ends_unix_s)}" if ends_unix_s else f"{rule}, without an end"
    click.echo(f"{what}: {NEXT}" if changed else f"{what}: it is so already")


def _take_out(home: Path, rule: str, card: str) -> None:
    with _registry(home) as (config, registry):
        config.rule(rule)
        changed = registry.remove_state(rule, _issued(registry, card))
    click.echo(f"not {rule} any more: {NEXT}" if changed else f"not {rule}: it is so already")


def _end(rule: "RuleConfig", until: str | None, lasting: str | None) -> int | None:
    """The end that was asked for. Raises OperatorError."""
    from backoffice.card_rows import Limits, Reason, Refused, read_end
    from backoffice.cards_ends import latest_end_unix_s

    if until and lasting:
        raise OperatorError("give --until or --for, not both")
    now = now_unix_s()
    if lasting:
        match = _FOR.match(lasting)
        if match is None:
            raise OperatorError(f"--for {lasting}: give a span such as 90s, 30m, 12h or 10d")
        until = str(now + int(match[1]) * _UNITS_S[match[2]])
    if not until:
        return None
    latest = latest_end_unix_s(rule, now)
    try:
        return read_end(until, Limits(now, latest))
    except Refused as error:
        reach = f"; its steps reach to {moment(latest)}" if error.reason is Reason.TOO_FAR else ""
        raise OperatorError(f"the end of {rule.name}: {error.reason}{reach}") from error


def _issued(registry: "Registry", text: str) -> bytes:
    """The UID of the issued card that is named by its UID or by its number. Raises OperatorError."""
    from backoffice.card_rows import NUMBER_DIGITS, Refused, read_number, read_uid

    digits = text.replace(" ", "").replace("-", "")
    try:
        if len(digits) == NUMBER_DIGITS and digits.isdecimal():
            card = registry.card_by_number(read_number(digits))
        else:
            card = registry.card(read_uid(text))
    except Refused as error:
        raise OperatorError(
            f"the card is given by its UID in hex, or by its printed number: {error.reason}"
        ) from error
    if card is None:
        raise OperatorError("no such card is issued: import it, or look at what was typed")
    return card.uid


def _show_counts(config: "Config", registry: "Registry", *, as_json: bool) -> None:
    from backoffice.registry import Counts

    with progress() as say:
        say("counting", 0, 0)
        cards, counted = registry.card_count(), {each.rule: each for each in registry.counts()}
    names = dict.fromkeys([*(rule.name for rule in config.rules), *counted])
    counts = [counted.get(name, Counts(name, 0, 0)) for name in names]
    if as_json:
        rules = {each.rule: {"in": each.in_, "pending": each.pending} for each in counts}
        click.echo(json.dumps({"cards": cards, "rules": rules}))
        return
    click.echo(f"cards issued: {cards:,}")
    for each in counts:
        waiting = f"; changes that wait for the next publish: {each.pending:,}" if each.pending else ""
        click.echo(f"  {each.rule}: {each.in_:,}{waiting}")


def _show_card(registry: "Registry", uid: bytes, *, as_json: bool) -> None:
    standings = registry.standings(uid)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "rule": each.rule,
                        "in": each.is_in,
                        "ends_unix_s": each.ends_unix_s,
                        "list_version": each.version,
                    }
                    for each in standings
                ]
            )
        )
        return
    if not standings:
        click.echo("issued, and under no rule")
    for each in standings:
        end = f" until {moment(each.ends_unix_s)}" if each.ends_unix_s and each.is_in else ""
        since = f"since list {each.version}" if each.version else NEXT
        click.echo(f"{'' if each.is_in else 'not '}{each.rule}{end}: {since}")
