"""The commands about gates: enroll, strike-off, gates. docs/runbook.md walks through them."""

import json
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.shared import home_option, moment, now_unix_s, os_errors_on_one_line
from validator.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backoffice.reports.gate_views import GateView
    from backoffice.reports.store import ReportStore

GATE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")  # as validator.toml has it

NAMED_MAX = 20  # gates in a line; --json has them all


@click.command(epilog="Example: turnike-backoffice enroll kadikoy-03 --home city")
@click.argument("gate_id")
@home_option
def enroll(gate_id: str, home_folder: Path) -> None:
    """Print a token for this gate, which enrols once with it, within seven days: turnike enroll.

    A gate that is enrolled already keeps its key until the token is used; an older token is void.
    """
    if not GATE_ID.match(gate_id):
        raise OperatorError(
            f"{gate_id[:64]!r} is no gate's name: at most 32 letters, digits, '.', '_' and '-',"
            " as gate_id in its validator.toml"
        )
    with _store(home_folder) as store:
        click.echo(store.invite(gate_id, now_unix_s()))


@click.command(
    name="strike-off", epilog="Example: turnike-backoffice strike-off kadikoy-03 --home city"
)
@click.argument("gate_id")
@home_option
def strike_off(gate_id: str, home_folder: Path) -> None:
    """Refuse a gate from this moment on, and void its token; for a stolen gate.

    Enrol it to undo that.
    """
    with _store(home_folder) as store:
        if store.strike_off(gate_id, now_unix_s()):
            click.echo(
                f"{gate_id}: struck off. Next, if it was stolen: rotate fingerprint-key --start"
            )
        elif any(row["gate_id"] == gate_id for row in store.gate_rows()):
            click.echo(f"{gate_id}: was struck off already")
        else:
            raise OperatorError(
                f"{gate_id[:64]!r}: no such gate is enrolled, and no token enrols it now;"
                " turnike-backoffice gates lists them"
            )


@click.command(epilog="Example: turnike-backoffice gates --home city")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def gates(home_folder: Path, as_json: bool) -> None:
    """Show each gate: its last status, list, reader, board, waiting reports, and what is wrong.

    While there is a next fingerprint key, it also shows which gates do not hold it yet.
    """
    from backoffice.reports.gate_views import views

    now = now_unix_s()
    with _store(home_folder) as store:
        seen = list(views(store.gate_rows(), now))
    if as_json:
        click.echo(json.dumps([each._asdict() for each in seen]))
        return
    for each in seen:
        click.echo(_line(each, now))
        for trouble in each.troubles:
            click.echo(f"    TROUBLE {trouble}")
    heard = [each for each in seen if each.struck_off_unix_s is None]
    troubled = sum(1 for each in heard if each.troubles)
    click.echo(
        f"{len(heard):,} gates, {troubled:,} in trouble, {len(seen) - len(heard):,} struck off"
    )
    if heard and (coming := _next_key(home_folder)) is not None:
        click.echo(_holding(coming, heard))


@contextmanager
def _store(home_folder: Path) -> "Iterator[ReportStore]":
    from backoffice.home.config import load
    from backoffice.reports.store import ReportStore

    with os_errors_on_one_line(), ReportStore.open(load(home_folder).reports_url) as store:
        yield store


def _next_key(home_folder: Path) -> str | None:
    """The id of the next fingerprint key; None if there is none, or the keys may not be read."""
    from backoffice.home.config import load
    from backoffice.signing.keys import KeyFileError, next_fingerprint_key

    with os_errors_on_one_line(), suppress(KeyFileError, PermissionError):
        return next_fingerprint_key(load(home_folder).home)
    return None


def _holding(key_id: str, heard: "Sequence[GateView]") -> str:
    lacking = [each.gate_id for each in heard if key_id not in (each.fingerprint_keys or ())]
    if not lacking:
        return (
            f"next fingerprint key {key_id}: every gate holds it; rotate fingerprint-key --switch"
        )
    more = f" and {len(lacking) - NAMED_MAX:,} more" if len(lacking) > NAMED_MAX else ""
    named = ", ".join(lacking[:NAMED_MAX])
    return (
        f"next fingerprint key {key_id}: {len(heard) - len(lacking):,} of {len(heard):,} gates hold"
        f" it, not yet {named}{more}"
    )


def _line(view: "GateView", now: int) -> str:
    from backoffice.reports.gate_views import span

    if view.struck_off_unix_s is not None:
        return f"{view.gate_id}  STRUCK OFF {moment(view.struck_off_unix_s)}"
    if view.heard_unix_s is None:
        return f"{view.gate_id}  enrolled {moment(view.enrolled_unix_s)}, no status yet"
    parts = [f"status {span(now - view.heard_unix_s)} ago"]
    if view.list_version is not None:
        age = f" ({span(now - view.list_issued_unix_s)} old)" if view.list_issued_unix_s else ""
        parts.append(f"list {view.list_version}{age}")
    parts += [f"{name} {state}" for lane in view.devices for name, state in sorted(lane.items())]
    unknown = "it is not known how many reports wait"
    parts.append(
        unknown if view.reports_waiting is None else f"{view.reports_waiting:,} reports wait"
    )
    return f"{view.gate_id}  {', '.join(parts)}"
