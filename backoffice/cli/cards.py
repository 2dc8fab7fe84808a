"""The commands about single cards: suspend, lift, add, remove, show.

What they change is published with the next list. cli/program.py has the group.
"""

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.shared import home_option, moment, now_unix_s, os_errors_on_one_line, progress
from validator.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backoffice.home.config import Config, RuleConfig
    from backoffice.registry.registry import Registry

SUSPENDED = "suspended"
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FOR = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")
NEXT = "it goes out with the next publish"

until_option = click.option(
    "--until",
    metavar="TIME",
    help="When it ends: ISO 8601 with its offset from UTC, or Unix seconds.",
)
for_option = click.option(
    "--for", "lasting", metavar="SPAN", help="How long it lasts: 90s, 30m, 12h or 10d."
)
cards_argument = click.argument("cards", nargs=-1, required=True, metavar="UID|NUMBER...")
rule_option = click.option(
    "--rule",
    default=SUSPENDED,
    show_default=True,
    metavar="RULE",
    help="The rule that refuses suspended cards.",
)
shorten_option = click.option(
    "--shorten", is_flag=True, help="Take an end that is earlier than the one in force."
)


@click.command(epilog="Example: turnike-backoffice suspend 04:11:22:33:44:55:66 --for 10d")
@home_option
@cards_argument
@until_option
@for_option
@shorten_option
@rule_option
def suspend(
    home_folder: Path,
    cards: tuple[str, ...],
    until: str | None,
    lasting: str | None,
    shorten: bool,
    rule: str,
) -> None:
    """Suspend cards, until they are lifted or the suspension ends: all of them, or none.

    A card that is suspended for longer keeps its end unless --shorten is given.
    """
    _put_in(home_folder, rule, cards, until, lasting, shorten=shorten, refuses=True)


@click.command(epilog="Example: turnike-backoffice lift 04:11:22:33:44:55:66")
@home_option
@cards_argument
@rule_option
def lift(home_folder: Path, cards: tuple[str, ...], rule: str) -> None:
    """End the suspension of cards: of all of them, or of none."""
    _take_out(home_folder, rule, cards)


@click.command(epilog="Example: turnike-backoffice add matched 0123456789012345")
@home_option
@click.argument("rule")
@cards_argument
@until_option
@for_option
@shorten_option
def add(
    home_folder: Path,
    rule: str,
    cards: tuple[str, ...],
    until: str | None,
    lasting: str | None,
    shorten: bool,
) -> None:
    """Put cards under a rule: all of them, or none."""
    _put_in(home_folder, rule, cards, until, lasting, shorten=shorten)


@click.command(epilog="Example: turnike-backoffice remove staff 04:11:22:33:44:55:66")
@home_option
@click.argument("rule")
@cards_argument
def remove(home_folder: Path, rule: str, cards: tuple[str, ...]) -> None:
    """Take cards out of a rule: all of them, or none."""
    _take_out(home_folder, rule, cards)


@click.command(epilog="Example: turnike-backoffice show 04:11:22:33:44:55:66")
@home_option
@click.argument("card", metavar="[UID|NUMBER]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(home_folder: Path, card: str | None, as_json: bool) -> None:
    """Show how many cards are under each rule, or the state of one card."""
    with _registry(home_folder) as (config, registry):
        if card is None:
            _show_counts(config, registry, as_json=as_json)
        else:
            _show_card(registry, _issued(registry, card), as_json=as_json)


@contextmanager
def _registry(home_folder: Path) -> "Iterator[tuple[Config, Registry]]":
    from backoffice.home.config import load
    from backoffice.registry.registry import Registry

    with os_errors_on_one_line():
        config = load(home_folder)
        with Registry.open(config.database_url) as registry:
            yield config, registry


def _put_in(
    home_folder: Path,
    rule: str,
    cards: "Sequence[str]",
    until: str | None,
    lasting: str | None,
    *,
    shorten: bool,
    refuses: bool = False,
) -> None:
    from backoffice.registry.registry import State
    from backoffice.signing.clock import check_clock

    with _registry(home_folder) as (config, registry):
        is_refusing = config.rule(rule).effect.value == "refuse"
        if refuses and not is_refusing:
            raise OperatorError(
                f"--rule: {rule} refuses no card; to put one there:"
                f" turnike-backoffice add {rule} CARD"
            )
        now = now_unix_s()
        if until or lasting:
            check_clock(config.home, now)
        ends_unix_s = _end(config.rule(rule), until, lasting, now)
        uids = _issued_all(registry, cards)
        states = [State(uid, is_in=True, ends_unix_s=ends_unix_s) for uid in sorted(uids)]
        # An earlier end lets a card in only under a rule that refuses.
        guarded = now if is_refusing else None
        outcome = registry.set_states(
            rule, states, now_unix_s=guarded, shorten=shorten, is_whole=True
        )
        if outcome.shorter and not shorten:
            places = sorted(uids[uid] for uid in outcome.shorter)
            raise OperatorError(
                _longer(registry, rule, places, min(outcome.shorter, key=uids.__getitem__))
            )
    what = f"{rule} until {moment(ends_unix_s)}" if ends_unix_s else f"{rule}, without an end"
    _tell_changed(what, len(states), outcome.changed)


def _take_out(home_folder: Path, rule: str, cards: "Sequence[str]") -> None:
    from backoffice.registry.registry import State

    with _registry(home_folder) as (config, registry):
        config.rule(rule)
        states = [State(uid, is_in=False) for uid in sorted(_issued_all(registry, cards))]
        outcome = registry.set_states(rule, states, is_whole=True)
    _tell_changed(
        f"not {rule}{' any more' if outcome.changed else ''}", len(states), outcome.changed
    )


def _longer(registry: "Registry", rule: str, places: "Sequence[int]", first: bytes) -> str:
    """The message about cards whose end in force is later than the new one.

    It gives the end of the first card.
    """
    ends_unix_s = next(each.ends_unix_s for each in registry.standings(first) if each.rule == rule)
    until = f"until {moment(ends_unix_s)}" if ends_unix_s else "without an end"
    of = f", as are {len(places) - 1} more of those named" if len(places) > 1 else ""
    return (
        f"card {places[0]} is {rule} {until}, which is longer{of}; nothing was changed."
        " To end it earlier: --shorten"
    )


def _tell_changed(what: str, count: int, changed: int) -> None:
    if not changed:
        click.echo(f"{what}: {'it is' if count == 1 else f'all {count:,} cards are'} so already")
    elif count == 1:
        click.echo(f"{what}: {NEXT}")
    else:
        same = f", and {count - changed:,} were so already" if changed < count else ""
        click.echo(f"{what}: {changed:,} cards{same}; {NEXT}")


def _end(rule: "RuleConfig", until: str | None, lasting: str | None, now: int) -> int | None:
    """The requested end in Unix seconds; None for no end. Raises OperatorError."""
    from backoffice.imports.card_rows import Limits, Reason, Refused, read_end
    from backoffice.imports.ends import latest_end_unix_s

    if until and lasting:
        raise OperatorError("give --until or --for, not both")
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


def _issued_all(registry: "Registry", cards: "Sequence[str]") -> dict[bytes, int]:
    """The UIDs of these issued cards, and their places on the command line, from 1.

    Raises OperatorError for the first that is not issued.
    """
    found: dict[bytes, int] = {}
    for place, card in enumerate(cards, start=1):
        try:
            found.setdefault(_issued(registry, card), place)
        except OperatorError as error:
            if len(cards) == 1:
                raise
            raise OperatorError(
                f"card {place} of {len(cards)}: {error!s}; nothing was changed"
            ) from error
    return found


def _issued(registry: "Registry", text: str) -> bytes:
    """The UID of the issued card with this UID or printed number. Raises OperatorError."""
    from backoffice.imports.card_rows import NUMBER_DIGITS, Refused, read_number, read_uid

    text = text.strip()
    digits = text.replace(" ", "").replace("-", "")
    try:
        if len(digits) == NUMBER_DIGITS and digits.isdecimal():
            card = registry.card_by_number(read_number(text))
        else:
            card = registry.card(read_uid(text))
    except Refused as error:
        raise OperatorError(
            f"the card is given by its UID in hex, or by its printed number: {error.reason}"
        ) from error
    if card is None:
        raise OperatorError("no such card is issued: import it, or check what you typed")
    return card.uid


def _show_counts(config: "Config", registry: "Registry", *, as_json: bool) -> None:
    from backoffice.registry.registry import Counts

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
        waiting = (
            f"; changes that wait for the next publish: {each.pending:,}" if each.pending else ""
        )
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
