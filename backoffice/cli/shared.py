"""What the commands share: options, the home and its lock, passphrases, progress."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from validator.errors import OperatorError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from backoffice.home.folder import Home

file_argument = click.Path(path_type=Path, dir_okay=False)
# Not "readable": the receiver may pass through its home to some files, and not list it.
folder_argument = click.Path(path_type=Path, file_okay=False, readable=False)
home_option = click.option(
    "--home",
    "home_folder",
    type=folder_argument,
    envvar="TURNIKE_HOME",
    required=True,
    metavar="DIR",
    help="The home folder of the back office; or set TURNIKE_HOME in the environment.",
)
key_out_option = click.option(
    "--out",
    type=folder_argument,
    required=True,
    metavar="DIR",
    help="Where NAME.pem and NAME.pub go.",
)
passphrase_option = click.option(
    "--passphrase-file",
    type=file_argument,
    metavar="FILE",
    help="Its first line is the passphrase; without it, the terminal asks.",
)

# The file format slows a guess down by little, and a thief of the memory stick has years.
PASSPHRASE_CHARACTERS_MIN = 20
PASSPHRASE_FILE_BYTES_MAX = 4_096
YEAR_10000_UNIX_S = 253_402_300_800


def a_number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A click callback that refuses nan, which click accepts in any range."""
    if math.isnan(value):
        raise click.BadParameter("nan is not a number", context, parameter)
    return value


@contextmanager
def os_errors_on_one_line() -> Iterator[None]:
    """Raise an OSError as an OperatorError that names the file."""
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{error.filename or 'this machine'}: {error.strerror or error}"
        ) from error


@contextmanager
def naming(what: Path | str) -> Iterator[None]:
    """Name a file in an OSError that names none, such as one of reading."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(what)
        raise


@contextmanager
def held(home_folder: Path) -> "Iterator[Home]":
    """Hold the home's lock for a block: one command at a time writes."""
    with os_errors_on_one_line():
        home = home_of(home_folder)
        with home.hold(lambda: click.echo("waiting for another command to finish …", err=True)):
            yield home


def home_of(home_folder: Path) -> "Home":
    """The home in this folder, as its configuration describes it. Raises ConfigError."""
    from backoffice.home.config import load

    return load(home_folder).home


def now_unix_s() -> int:
    """The time to sign with, in Unix seconds.

    Raises OperatorError for a clock that was never set: what it dates would be deleted once it is
    right.
    """
    from backoffice.home.folder import CLOCK_UNIX_S_MIN

    now = int(time.time())
    if now < CLOCK_UNIX_S_MIN:
        raise OperatorError(f"this machine's clock shows {moment(now)}: set it")
    return now


def moment(unix_s: int) -> str:
    """A time for people. Any number is valid, since gates send any."""
    if not 0 <= unix_s < YEAR_10000_UNIX_S:
        return f"{unix_s} s"
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def passphrase(file: Path | None, *, confirm: bool = False, of: str = "") -> Callable[[], str]:
    """A function that reads the passphrase when it is needed.

    Args:
        file: The passphrase is its first line; None: ask on the terminal.
        confirm: Ask twice.
        of: The key's name, for the question.
    """

    def ask() -> str:
        if file is None and not (sys.stdin and sys.stdin.isatty()):
            raise OperatorError("no terminal to ask for the passphrase; use --passphrase-file")
        if file is None:
            text = f"Passphrase of {of}" if of else "Passphrase"
            answer: str = click.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True)
            return answer
        return _first_line(file)

    return ask


def _first_line(file: Path) -> str:
    """Read the passphrase in a file that any editor wrote. Raises OperatorError."""
    from validator.formats.text_files import text_of

    with os_errors_on_one_line(), naming(file), file.open("rb") as source:
        content = source.read(PASSPHRASE_FILE_BYTES_MAX + 1)
    if len(content) > PASSPHRASE_FILE_BYTES_MAX:
        raise OperatorError(
            f"{file}: has more than {PASSPHRASE_FILE_BYTES_MAX} bytes; is it the right file?"
        )
    try:
        lines = text_of(content).splitlines()
    except ValueError as error:
        raise OperatorError(f"{file}: {error}") from error
    if not lines or not lines[0]:
        raise OperatorError(f"{file}: its first line is empty; write the passphrase there")
    return lines[0]


def new_passphrase(file: Path | None, *, none: bool) -> str | None:
    """The passphrase of a new key; None if it is to have none.

    Raises OperatorError for a short one.
    """
    if none and file:
        raise OperatorError("use --passphrase-file or --no-passphrase, not both")
    if none:
        return None
    given = passphrase(file, confirm=True)()
    if len(given) < PASSPHRASE_CHARACTERS_MIN:
        raise OperatorError(
            f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters:"
            " six words drawn by dice are enough"
        )
    return given


class ProgressBars:
    """Displays progress: what is done, how much of it, and of how much (0: unknown).

    It draws bars on a terminal, else nothing.
    """

    def __init__(self, bars: "Progress | None") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Display it."""
        if self._bars is None:
            return
        self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=None)
        self._bars.update(self._tasks[what], completed=done, total=total or None)

    def pause(self) -> None:
        """Remove the bars until the next progress: they would be drawn over a question."""
        if self._bars is not None:
            self._bars.stop()


@contextmanager
def progress() -> Iterator[ProgressBars]:
    """Display the progress of a block; the bars are removed at its end."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressBars(None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=console, transient=True)
    try:
        yield ProgressBars(bars)
    finally:
        bars.stop()
