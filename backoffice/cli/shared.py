"""What the commands of the back office have in common: where its home is, who may write there, and errors in one line."""

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
    help="The home folder of the back office; TURNIKE_HOME in the environment says it too.",
)
passphrase_option = click.option(
    "--passphrase-file",
    type=file_argument,
    metavar="FILE",
    help="Its first line is the passphrase; otherwise it is asked for.",
)

PASSPHRASE_CHARACTERS_MIN = (
    20  # the file format slows a guess down by little, and whoever finds the stick has years
)
PASSPHRASE_FILE_BYTES_MAX = 4_096
YEAR_10000_UNIX_S = 253_402_300_800


def a_number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A click callback: click takes nan for a number in any range."""
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
    """Let an OSError that names no file, such as one of reading, name this."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(what)
        raise


@contextmanager
def held(home_folder: Path) -> "Iterator[Home]":
    """The back office of this home, held: one command at a time writes."""
    with os_errors_on_one_line():
        home = home_of(home_folder)
        with home.hold(lambda: click.echo("waiting for another command to finish …", err=True)):
            yield home


def home_of(home_folder: Path) -> "Home":
    """The back office of this home, as its configuration says. Raises ConfigError."""
    from backoffice.home.config import load

    return load(home_folder).home


def now_unix_s() -> int:
    """The time to sign with. Raises OperatorError for a clock that nobody has set: what it dates would be deleted when it is right."""
    from backoffice.home.folder import CLOCK_UNIX_S_MIN

    now = int(time.time())
    if now < CLOCK_UNIX_S_MIN:
        raise OperatorError(f"this machine's clock says {moment(now)}: set it")
    return now


def moment(unix_s: int) -> str:
    """A time as people read it. A gate may say any."""
    if not 0 <= unix_s < YEAR_10000_UNIX_S:
        return f"{unix_s} s"
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def passphrase(file: Path | None, *, confirm: bool = False, of: str = "") -> Callable[[], str]:
    """Something that gives the passphrase when it is needed; `of` names the key to whoever is asked."""

    def ask() -> str:
        if file is None and not (sys.stdin and sys.stdin.isatty()):
            raise OperatorError(
                "nobody is here to give the passphrase; --passphrase-file says it too"
            )
        if file is None:
            text = f"Passphrase of {of}" if of else "Passphrase"
            answer: str = click.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True)
            return answer
        return _first_line(file)

    return ask


def _first_line(file: Path) -> str:
    """The passphrase in a file, whatever editor wrote it. Raises OperatorError."""
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
        raise OperatorError(f"{file}: its first line is empty, and is to be the passphrase")
    return lines[0]


def new_passphrase(file: Path | None, *, none: bool) -> str | None:
    """The passphrase of a key that is to be made; None if it is to have none. Raises OperatorError for one that protects little."""
    if none and file:
        raise OperatorError("give a passphrase or say --no-passphrase, not both")
    if none:
        return None
    given = passphrase(file, confirm=True)()
    if len(given) < PASSPHRASE_CHARACTERS_MIN:
        raise OperatorError(
            f"a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters: six words drawn by dice will do"
        )
    return given


class Telling:
    """Tells what is being done: what, how much of it, and of how much (0: not known). Bars on a terminal, else nothing."""

    def __init__(self, bars: "Progress | None") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell it."""
        if self._bars is None:
            return
        self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=None)
        self._bars.update(self._tasks[what], completed=done, total=total or None)

    def pause(self) -> None:
        """Take the bars away until more is told: they would be drawn over a question."""
        if self._bars is not None:
            self._bars.stop()


@contextmanager
def progress() -> Iterator[Telling]:
    """What to tell of work that lasts; its bars are gone when the block ends."""
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
        yield Telling(None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bars = Progress(*columns, console=console, transient=True)
    try:
        yield Telling(bars)
    finally:
        bars.stop()
