"""`turnike check --readers`: lists what is plugged in, with the lines to write, and tries a reader.

Nothing is opened until the person chooses a reader to try.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
import msgspec

from validator.check.readers.found import FoundReader
from validator.check.readers.learning import Learnt, learn_reader
from validator.check.readers.listing import found_readers
from validator.check.readers.override import Override
from validator.check.readers.trial import config_of, try_reader
from validator.config.devices import PASSES_APDUS, ReaderConfig
from validator.errors import OperatorError
from validator.formats.shown import shown
from validator.lane.ports import Reader
from validator.lane.readers.keyboard.input_device import NoKeysError
from validator.programs.devices import open_reader

__all__ = ["FoundReader", "Override", "check_readers", "found_readers", "show_readers", "try_one"]

NOTHING = "no reader is plugged in that Turnike knows; docs/readers.md lists them"
NOTHING_NAMED = Override()
LOCKS = Path("/run/turnike")  # where a gate's lanes have their sockets


def check_readers(
    tried: int | None, wait_s: float, override: Override, *, as_json: bool, identify: bool
) -> bool:
    """List the readers; try one that was named, or that a person at a terminal chooses.

    Returns:
        False if one was tried and read no card.

    Raises:
        OperatorError: see `try_one`; or `override` names something, and nothing is tried.
    """
    found = found_readers()
    if tried is None and override.elsewhere() is not None:
        tried = 0
    if tried is None or not as_json:
        show_readers(found, as_json=as_json)
    if tried is None and found and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        chosen = click.prompt("which one to try (Enter: none)", default="", show_default=False)
        tried = int(chosen) if chosen.isdecimal() else None
    elif tried is None and override:
        raise OperatorError("--driver and --key need a reader: --try NUMBER, or --key device=PATH")
    if tried is None:
        return True
    return try_one(found, tried, wait_s, identify=identify, override=override)


def show_readers(found: Sequence[FoundReader], *, as_json: bool) -> None:
    """Print what was found, numbered from 1."""
    if as_json:
        click.echo(json.dumps({"readers": [asdict(each) for each in found]}))
        return
    if not found:
        click.echo(NOTHING)
    for number, each in enumerate(found, start=1):
        click.echo(f"{number}  {click.style(shown(each.what), bold=True)}, {shown(each.where)}")
        _show_lines(each.lines)
        for note in each.notes:
            click.echo(f"   - {shown(note)}")


def try_one(
    found: Sequence[FoundReader],
    number: int,
    wait_s: float,
    *,
    identify: bool,
    override: Override = NOTHING_NAMED,
    open_: Callable[[ReaderConfig, Path], Reader] = open_reader,
) -> bool:
    """Try the reader with this number, and print its events within `wait_s` for a card.

    Args:
        found: the list.
        number: in the list, from 1; 0 for the reader that only `override` names.
        wait_s: for a card.
        identify: show UID and printed number.
        override: another driver, or other keys, than the list has.
        open_: opens the reader.

    Returns:
        Whether a card was read.

    Raises:
        OperatorError: there is no such reader, no driver serves it, or `override` is wrong.
    """
    chosen = override.elsewhere() if number == 0 else None
    if chosen is None:
        chosen = _chosen(found, number)
        if override:
            chosen = replace(chosen, lines=override.lines_for(chosen))
    if override:
        _show_lines(chosen.lines)
    config = config_of(chosen.lines)
    if config.driver in PASSES_APDUS:
        config = msgspec.structs.replace(config, read_number=identify)
    if config.driver == "keyboard" and config.keyboard is None:
        return _learn(config.device, wait_s)
    line = ""
    for line in try_reader(open_(config, _locks()), wait_s, identify=identify):
        click.echo(shown(line))
    return line.startswith("read:")


def _chosen(found: Sequence[FoundReader], number: int) -> FoundReader:
    if not 1 <= number <= len(found):
        raise OperatorError(f"there is no reader {number}; the list has {len(found)}")
    chosen = found[number - 1]
    if not chosen.lines:
        raise OperatorError(f"reader {number} cannot be tried: {'; '.join(chosen.notes)}")
    return chosen


def _show_lines(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(f"     {click.style(shown(line), fg='green')}")


def _locks() -> Path:
    """Return the folder of the lanes' locks, so that a reader that a lane has is refused here."""
    return LOCKS if os.access(LOCKS, os.W_OK) else Path(tempfile.gettempdir())


def _learn(device: str, wait_s: float) -> bool:
    def ask(prompt: str) -> str:
        return str(click.prompt(prompt))

    try:
        finding = learn_reader(device, wait_s, ask, click.echo)
    except (OSError, NoKeysError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OperatorError(f"keyboard at {device}: {reason}") from error
    if isinstance(finding, Learnt):
        for line in finding.lines:
            click.echo(click.style(line, fg="green"))
        return True
    click.echo(finding.reason)
    return False
