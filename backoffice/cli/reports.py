"""The commands report-key and reports. docs/runbook.md walks through them.

`report-key` and `reports open` need no home and no network. Only `reports open`, which is the
authority's, prints UIDs.
"""

import json
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.shared import (
    file_argument,
    home_option,
    key_out_option,
    moment,
    naming,
    new_passphrase,
    now_unix_s,
    os_errors_on_one_line,
    passphrase,
    passphrase_option,
    progress,
)
from validator.errors import OperatorError
from validator.formats.shown import json_shown, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backoffice.home.config import Config
    from backoffice.reports.outboxes import OutboxView
    from backoffice.reports.store import ReportStore

GAPS_SHOWN_MAX = 8
WHO_CHARACTERS_MAX = 128
UNIX_S_DIGITS_MAX = 11


@click.group(name="report-key")
def report_key() -> None:
    """Make the keys that reports are sealed to, and the keys that sign exports."""


@report_key.command(
    name="make", epilog="Example: turnike-backoffice report-key make report-2026 --out /media/stick"
)
@click.argument("name")
@key_out_option
@click.option("--signing", is_flag=True, help="Make a key that signs exports, not one to seal to.")
@passphrase_option
@click.option(
    "--no-passphrase",
    is_flag=True,
    help="Leave the key unprotected; then only the safe protects it.",
)
def report_key_make(
    name: str, out: Path, signing: bool, passphrase_file: Path | None, no_passphrase: bool
) -> None:
    """Make a key at the exporter or the authority: NAME.pem stays there.

    NAME.pub goes to the gates' back office that seals to it, or to the authority that checks with
    it.
    """
    from backoffice.reports.keys import make_sealing_key, make_signing_key

    make = make_signing_key if signing else make_sealing_key
    with os_errors_on_one_line():
        key_id = make(out, name, new_passphrase(passphrase_file, none=no_passphrase))
    use = "signs exports" if signing else "opens what is sealed"
    click.echo(
        f"{out / name}.pem: the private key, which {use}; it stays here, and never on the back"
        " office"
    )
    click.echo(f"{out / name}.pub: the public part")
    click.echo(f"id {key_id}")


@click.group()
def reports() -> None:
    """Show the reports that came, and export them for the authority."""


@reports.command(name="list", epilog="Example: turnike-backoffice reports list --home city")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def reports_list(home_folder: Path, as_json: bool) -> None:
    """Show the reports of each gate by outbox, and what is missing.

    Missing are numbers that never came, reports that a gate refused, and outboxes that began again.
    """
    with _store(home_folder) as (_config, store):
        seen, gaps = _numbered(store.outboxes()), _gaps(store)
    if as_json:
        rows = [
            {
                **view._asdict(),
                "is_new": is_new,
                "gaps": gaps.get((view.gate_id, view.outbox_id), []),
            }
            for view, is_new in seen
        ]
        click.echo(json.dumps(rows))
        return
    for view, is_new in seen:
        newest = moment(view.newest_unix_s)
        click.echo(
            f"{shown(view.gate_id)}  lane {view.lane}, outbox {shown(view.outbox_id[:8])}:"
            f" {view.received:,} reports, the newest of {newest}"
        )
        if view.missing:
            numbers = _ranges(gaps.get((view.gate_id, view.outbox_id), []))
            click.echo(
                f"    MISSING {view.missing:,} of {view.newest_seq:,}, they never came: {numbers}"
            )
        if view.refused:
            click.echo(f"    REFUSED {view.refused:,}: the gate could not keep them")
        if is_new:
            click.echo(
                "    NEW OUTBOX: the one before ended; reports of it that had not come are lost"
            )
    received, missing, refused = (
        sum(column)
        for column in zip(
            (0, 0, 0), *((v.received, v.missing, v.refused) for v, _ in seen), strict=True
        )
    )
    click.echo(
        f"{received:,} reports came, {missing:,} are missing, {refused:,} were refused by gates"
    )


@reports.command(
    name="export",
    epilog="Example: turnike-backoffice reports export --key report-2026.pem --to ministry.pub"
    " --sign exporter.pem --who 'Ayşe Kaya' march.export",
)
@home_option
@click.argument("out", type=file_argument)
@click.option(
    "--key",
    "key_files",
    type=file_argument,
    multiple=True,
    required=True,
    metavar="PEM",
    help="A private sealing key; several after a rotation.",
)
@click.option(
    "--to",
    "to_file",
    type=file_argument,
    required=True,
    metavar="PUB",
    help="The authority's public key.",
)
@click.option(
    "--sign",
    "sign_file",
    type=file_argument,
    required=True,
    metavar="PEM",
    help="The exporter's key.",
)
@click.option(
    "--who",
    required=True,
    metavar="NAME",
    help="Who exports; the file and the log have the name.",
)
@click.option(
    "--from",
    "from_",
    default="0",
    metavar="TIME",
    help="Received from then on; left out: all that are stored.",
)
@click.option("--up-to", metavar="TIME", help="Received before then; left out: five minutes ago.")
@passphrase_option
def reports_export(
    home_folder: Path,
    out: Path,
    key_files: tuple[Path, ...],
    to_file: Path,
    sign_file: Path,
    who: str,
    from_: str,
    up_to: str | None,
    passphrase_file: Path | None,
) -> None:
    """Write the reports of a period into a signed file that only the authority can read.

    The log keeps who exported what.

    Times are when a report came to the city: ISO 8601 with an offset from UTC, or Unix seconds. A
    UID whose key is not given is left out, and counted.
    """
    from backoffice.reports.exports import SETTLED_S, Order, export
    from backoffice.reports.keys import Opener, read_opening_key, read_sealing_key, read_signing_key

    now = now_unix_s()
    if not 0 < len(who) <= WHO_CHARACTERS_MAX or not who.isprintable():
        raise OperatorError(f"--who: a name has 1 to {WHO_CHARACTERS_MAX} characters, in one line")
    with _store(home_folder) as (_config, store), progress() as say:
        opener = Opener(
            [read_opening_key(each, _asking(passphrase_file, each)) for each in key_files]
        )
        signing = read_signing_key(sign_file, _asking(passphrase_file, sign_file))
        to_unix_s = _time("--up-to", up_to) if up_to else now - SETTLED_S
        period = (_time("--from", from_), to_unix_s)
        order = Order(*period, now, who, signing, to_file.stem, read_sealing_key(to_file))
        done = export(store, opener, order, out, say)
    logged = done.logged
    click.echo(
        f"{out}: {logged.reports:,} reports, received until {moment(logged.up_to_unix_s)},"
        f" for {logged.to}"
    )
    for reason, count in sorted(done.without.items()):
        click.echo(f"    WITHOUT A UID {count:,}: {reason}")
    click.echo(f"logged as export {logged.number}, sha256 {logged.sha256}")


@reports.command(
    name="open",
    epilog="Example: turnike-backoffice reports open march.export"
    " --key ministry.pem --signer exporter.pub",
)
@click.argument("file", type=file_argument)
@click.option(
    "--key",
    "key_file",
    type=file_argument,
    required=True,
    metavar="PEM",
    help="The authority's private key.",
)
@click.option(
    "--signer",
    "signer_file",
    type=file_argument,
    required=True,
    metavar="PUB",
    help="The exporter's public key.",
)
@passphrase_option
def reports_open(
    file: Path, key_file: Path, signer_file: Path, passphrase_file: Path | None
) -> None:
    """For the authority: check an export and print its reports with UIDs, one JSON object a line.

    It needs no back office.
    """
    from backoffice.reports.export_file import ExportError, read_export, read_header
    from backoffice.reports.keys import read_opening_key, read_signer

    with os_errors_on_one_line():
        signer, opening = (
            read_signer(signer_file),
            read_opening_key(key_file, _asking(passphrase_file, key_file)),
        )
        with file.open("rb") as source, naming(file):
            try:
                lines = read_export(source, opening, signer)
                header = read_header(next(lines))
                for line in lines:
                    text = line.decode("utf-8", "backslashreplace").removesuffix("\n")
                    click.echo(json_shown(text))
            except ExportError as error:
                raise OperatorError(f"{file}: {error}") from error
    period = f"{moment(header.from_unix_s)} to {moment(header.up_to_unix_s)}"
    click.echo(
        f"{header.reports:,} reports, received {period};"
        f" exported {moment(header.made_unix_s)} by {header.who!r}",
        err=True,
    )


@reports.command(name="log", epilog="Example: turnike-backoffice reports log --home city")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def reports_log(home_folder: Path, as_json: bool) -> None:
    """Show every export: who exported what, when, for whom."""
    with _store(home_folder) as (_config, store):
        rows = store.export_log()
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows]))
        return
    for row in rows:
        period = f"{moment(row.from_unix_s)} to {moment(row.up_to_unix_s)}"
        click.echo(
            f"{row.number}  {moment(row.at_unix_s)}  {shown(row.who)} for {shown(row.to)}:"
            f" {row.reports:,} reports, {period}"
        )
        click.echo(f"    sha256 {shown(row.sha256)}")
    click.echo(f"{len(rows):,} exports")


@reports.command(name="move", epilog="Example: turnike-backoffice reports move --home city")
@home_option
def reports_move(home_folder: Path) -> None:
    """Move reports and gates from the registry's database to that of [receiver] database.

    The receiver must not run meanwhile. After a kill, run it again.
    """
    from backoffice.home.config import load
    from backoffice.reports.moving import move

    with os_errors_on_one_line():
        config = load(home_folder)
        count = move(config.database_url, config.reports_url)
    click.echo(f"{count:,} reports moved, and the gates with them; start turnike-receiver again")


@reports.command(name="forget", epilog="Example: turnike-backoffice reports forget --home city")
@home_option
@click.option("--clock-is-right", is_flag=True, help="Though no gate has sent a status for a day.")
def reports_forget(home_folder: Path, *, clock_is_right: bool) -> None:
    """Delete reports at the end of retention, exported or not, as publish does each hour."""
    from backoffice.home.config import load
    from backoffice.reports.retention import ends_unix_s, forget_due

    with os_errors_on_one_line():
        config, now = load(home_folder), now_unix_s()
        count = forget_due(config, now, is_clock_right=clock_is_right)
    before, days = ends_unix_s(config, now), config.reports.retention_days
    click.echo(f"{count:,} reports deleted: received before {moment(before)}, {days} days ago")


@contextmanager
def _store(home_folder: Path) -> "Iterator[tuple[Config, ReportStore]]":
    from backoffice.home.config import load
    from backoffice.reports.store import ReportStore

    with os_errors_on_one_line():
        config = load(home_folder)
        with ReportStore.open(config.reports_url) as store:
            yield config, store


def _numbered(views: "Sequence[OutboxView]") -> "list[tuple[OutboxView, bool]]":
    """Each outbox, and whether its lane had another before."""
    seen: set[tuple[str, int]] = set()
    numbered = []
    for view in views:
        lane = (view.gate_id, view.lane)
        numbered.append((view, lane in seen))
        seen.add(lane)
    return numbered


def _gaps(store: "ReportStore") -> dict[tuple[str, str], list[tuple[int, int]]]:
    """The gaps by gate and outbox: the first and last number of each."""
    gaps: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for gap in store.gaps():
        gaps.setdefault((gap.gate_id, gap.outbox_id), []).append((gap.first_seq, gap.last_seq))
    return gaps


def _ranges(gaps: "Sequence[tuple[int, int]]") -> str:
    """The first gaps as text."""
    ranges = [
        f"{first}" if first == last else f"{first} to {last}"
        for first, last in gaps[:GAPS_SHOWN_MAX]
    ]
    more = " …" if len(gaps) > GAPS_SHOWN_MAX else ""
    return ", ".join(ranges) + more or "before what was deleted"


def _asking(passphrase_file: Path | None, key_file: Path) -> "Callable[[], str]":
    return passphrase(passphrase_file, of=key_file.name)


def _time(option: str, text: str) -> int:
    """A time that the operator typed, in Unix seconds. Raises OperatorError."""
    try:
        if text.isascii() and text.isdecimal() and len(text) <= UNIX_S_DIGITS_MAX:
            return int(text)
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and at.timestamp() >= 0:
            return int(at.timestamp())
    except ValueError:
        pass
    raise OperatorError(
        f"{option} {text[:40]!r}: give a time such as 2021-01-15T00:00:00+03:00, or Unix seconds"
    )
