"""The command `import`: a file of cards, or of their states under a rule, into the registry."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from backoffice.cli.shared import (
    file_argument,
    home_option,
    naming,
    now_unix_s,
    os_errors_on_one_line,
    progress,
)
from validator.errors import OperatorError
from validator.host.durable import replacing
from validator.host.plain_files import SECRET_MODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from backoffice.home.config import Config
    from backoffice.imports.csv_and_jsonl import Format
    from backoffice.imports.importer import Imported
    from backoffice.imports.scratch import Scratch

CARDS = "cards"
STDIN = Path("-")
SHARE_ASKED = 100
"""An import that changes more than a hundredth of all cards asks first.

A day of the scheme changes 0.4 % of them, half of it additions, and at most 3 % were ever
suspended. A hundredth is more than two days at once: a first import, a holiday, or a mistake.
"""
# The mistakes of backoffice.imports.plausibility that a file may be meant to show.
MEANT = ("decimal", "rounded", "reversed", "cut", "padded", "twice")
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@click.command(
    name="import",
    epilog="Example: turnike-backoffice import suspended today.csv --home city",
)
@home_option
@click.argument("what", metavar="cards|RULE")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "jsonl"]),
    help="The format of the file, if neither its name nor its first byte shows it.",
)
@click.option(
    "--refused",
    "report",
    type=file_argument,
    metavar="PATH",
    help="The report of refused rows: line, field and reason; else FILE.refused.jsonl.",
)
@click.option(
    "--meant",
    "meant_kinds",
    type=click.Choice(MEANT),
    multiple=True,
    help="Take a file that looks like this mistake; the refusal of a file names it.",
)
@click.option(
    "--shorten",
    is_flag=True,
    help="Take ends that are earlier than those in force under a rule that refuses.",
)
@click.option("--yes", is_flag=True, help="Do not ask, however many cards it changes: for scripts.")
@click.option(
    "--dry-run", is_flag=True, help="Change nothing; show what would be added, changed, refused."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def import_(
    home_folder: Path,
    what: str,
    file: Path,
    format_name: str | None,
    report: Path | None,
    meant_kinds: tuple[str, ...],
    shorten: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import the issued cards, or the cards under a RULE, from CSV or JSON Lines.

    FILE "-" is standard input.

    Cards have a uid (hex) and, if it is known, a number (the 16 printed digits). Under a rule a
    card is named by either, and has ends (ISO 8601 with its offset from UTC, or Unix seconds; none:
    no end) and state (in or out; none: in). CSV names its columns in the first line, JSON Lines in
    each object. gzip is unpacked. A UID is pairs of hex digits, all apart by the same colon, dash
    or blank, or by nothing.

    A file that looks like a mistake of a spreadsheet or a reader is refused whole; --meant takes
    it. One that changes more than a hundredth of all cards asks first; --yes answers. A suspension
    that is shorter than the one in force is refused; --shorten takes it.

    Exit 0: every row is in effect; 1: every row but the refused ones is; 2: nothing was imported,
    or not all of it: run it again.
    """
    report = report or (
        Path("stdin.refused.jsonl") if file == STDIN else Path(f"{file}.refused.jsonl")
    )
    words = _Words(meant_kinds, shorten, yes, dry_run, is_typed=file != STDIN)
    with os_errors_on_one_line():
        done = _import_file(home_folder, what, file, _format(file, format_name), report, words)
    _tell(done, report, as_json=as_json, dry_run=dry_run)
    if what != CARDS and done.added + done.changed and not dry_run and not as_json:
        click.echo("It goes out with the next publish.")
    sys.exit(1 if done.refused else 0)


class _Words(NamedTuple):
    """What the operator said of the file with options.

    `is_typed`: standard input is not the file, so the terminal can be asked.
    """

    meant: tuple[str, ...]
    shorten: bool
    yes: bool
    dry_run: bool
    is_typed: bool


def _import_file(
    home_folder: Path,
    what: str,
    file: Path,
    format_: "Format | None",
    report: Path,
    words: _Words,
) -> "Imported":
    """Import a file and write the report of its refused rows. Raises OperatorError, OSError."""
    from backoffice.home.config import load
    from backoffice.imports.csv_and_jsonl import RowFileError
    from backoffice.imports.importer import ImprobableError
    from backoffice.imports.scratch import Scratch

    config = load(home_folder)
    if what != CARDS:
        config.rule(what)
    _check_report(report, file)
    try:
        with _opened(file) as raw, Scratch() as scratch:
            done = _imported(config, what, raw, format_, scratch, words)
            _write_report(report, scratch, is_kept=not words.dry_run)
    except (RowFileError, ImprobableError) as error:
        raise OperatorError(f"{'standard input' if file == STDIN else file}: {error}") from error
    except sqlite3.Error as error:
        folder = os.environ.get("TMPDIR", "the folder for temporary files")
        raise OperatorError(f"{folder}: {error}; make room there and import again") from error
    return done


def _imported(
    config: "Config",
    what: str,
    raw: BufferedReader,
    format_: "Format | None",
    scratch: "Scratch",
    words: _Words,
) -> "Imported":
    from backoffice.imports.card_rows import YEAR_2000_UNIX_S, Limits
    from backoffice.imports.csv_and_jsonl import opened
    from backoffice.imports.ends import latest_end_unix_s
    from backoffice.imports.importer import ASKED_ABOVE_MIN, CARD_COLUMNS, STATE_COLUMNS, Import
    from backoffice.imports.plausibility import Mistake
    from backoffice.registry.registry import Registry
    from backoffice.signing.clock import check_clock

    rule = None if what == CARDS else config.rule(what)
    now = now_unix_s()
    if rule:
        check_clock(config.home, now)
    # Ended states are taken: the card is no longer suspended, and the registry may have no end.
    limits = Limits(YEAR_2000_UNIX_S, latest_end_unix_s(rule, now)) if rule else Limits(0)
    with Registry.open(config.database_url) as registry, progress() as say:
        rows = opened(raw, STATE_COLUMNS if rule else CARD_COLUMNS, format_)
        cards = cache(registry.card_count)  # it reads every card
        return Import(
            registry,
            scratch,
            limits,
            rule.name if rule else None,
            now_unix_s=now,
            say=say,
            keep=not words.dry_run,
            meant=[Mistake(each) for each in words.meant],
            refuses=rule is not None and rule.effect.value == "refuse",
            shorten=words.shorten,
            asked_above=lambda: max(cards() // SHARE_ASKED, ASKED_ABOVE_MIN),
            allow=None
            if words.yes or rule is None
            else _asking(what, cards, say.pause, is_typed=words.is_typed),
        ).run(rows)


def _asking(
    rule: str, cards: "Callable[[], int]", pause: "Callable[[], None]", *, is_typed: bool
) -> "Callable[[int, int], None]":
    """A function that asks whether so much is to change, and raises OperatorError if not."""

    def allow(entering: int, leaving: int) -> None:
        changes = [
            f"{count:,} of {cards():,} cards {what} {rule}"
            for count, what in ((entering, "come under"), (leaving, "leave, or end earlier under,"))
            if count
        ]
        summary = f"this changes much: {', and '.join(changes)}"
        if not (is_typed and sys.stdin and sys.stdin.isatty()):
            raise OperatorError(
                f"{summary}; nothing was imported. If it is right: --yes; --dry-run shows more"
            )
        pause()
        if not click.confirm(f"{summary}. Import it?", err=True):
            raise OperatorError("nothing was imported")

    return allow


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    if file == STDIN:
        if sys.stdin is None:
            raise OperatorError("standard input is closed; name a file")
        with (
            open(sys.stdin.fileno(), "rb", closefd=False) as standard_input,
            naming("standard input"),
        ):
            yield standard_input
    else:
        with file.open("rb") as named, naming(file):
            yield named


def _format(file: Path, format_name: str | None) -> "Format | None":
    from backoffice.imports.csv_and_jsonl import Format

    suffixes = [SUFFIXES[suffix] for suffix in file.suffixes if suffix in SUFFIXES]
    name = format_name or (suffixes[-1] if suffixes else None)
    return Format(name) if name else None


def _check_report(report: Path, file: Path) -> None:
    """Check before the import that its report can be written."""
    if report.exists() and (not report.is_file() or (file.exists() and report.samefile(file))):
        raise OperatorError(f"--refused {report}: is no place for a report; name a file of its own")
    if not os.access(report.parent, os.W_OK):
        raise OperatorError(
            f"--refused {report}: its folder cannot be written; name another place with --refused"
        )


def _write_report(report: Path, scratch: "Scratch", *, is_kept: bool) -> None:
    """Replace an earlier report.

    Without a refused row it is deleted: an earlier report would be taken for this import's.
    """
    if not scratch.count("refusals"):
        report.unlink(missing_ok=True)
        return
    try:
        with replacing(report, SECRET_MODE, drawn=True) as new:
            for refusal in scratch.refusals():
                fields = {
                    "line": refusal.line,
                    "field": refusal.field,
                    "reason": str(refusal.reason),
                    "text": refusal.text,
                }
                line = json.dumps({name: value for name, value in fields.items() if value})
                new.file.write(f"{line}\n".encode())
    except OSError as error:
        done = "what could be imported is in effect; " if is_kept else ""
        raise OperatorError(
            f"{report}: {error.strerror}; {done}to see what was refused, run it again with"
            " --refused elsewhere"
        ) from error


def _tell(done: "Imported", report: Path, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        fields = done._asdict() | {
            "report": str(report) if done.refused else None,
            "dry_run": dry_run,
        }
        click.echo(json.dumps(fields))
        return
    begins = "nothing is changed; this would be: " if dry_run else ""
    counts = ("added", "changed", "unchanged", "refused")
    counted = ", ".join(f"{name} {getattr(done, name):,}" for name in counts)
    click.echo(f"{begins}rows {done.rows:,}: {counted}")
    if done.removed or done.shortened:
        click.echo(
            f"  of the changed, taken out {done.removed:,}, ending earlier {done.shortened:,}"
        )
    if done.ended:
        click.echo(f"  in, until a time that has passed: {done.ended:,}")
    for reason, count in done.reasons.items():
        click.echo(f"  refused, {reason}: {count:,}")
    if done.refused:
        click.echo(f"  each of them, by its line: {report}")
