"""The `turnike` command. Each command imports what it runs, so that a lane loads only the lane.

Wrong input ends in one line on standard error and exit 2. The daemons log to standard output.
"""

import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from validator.command_line.group import OneLineGroup
from validator.errors import OperatorError
from validator.formats.shown import shown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from validator.config import Config

EXTRAS = {  # the extra that installs a package
    "prometheus_client": "console",
    "uvicorn": "console",
    "starlette": "backoffice,console",
    "sqlalchemy": "backoffice,console",
}

ADDED_COMMANDS = "turnike.commands"  # the entry points by which a package adds a command

TOKEN_FILE_BYTES_MAX = 4_096
DEFAULT_CONFIG = Path("/etc/turnike/validator.toml")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="The configuration of this lane; config/validator.example.toml explains each key.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object instead of text."
)


def _load(path: Path) -> "Config":
    """The configuration in this file. Raises ConfigError."""
    from validator.config import load

    return load(path)


class _Commands(OneLineGroup):
    """The gate's commands, and those that other installed packages add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        installed = (name for name, entry in _added().items() if _is_installed(entry))
        return sorted({*super().list_commands(ctx), *installed})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None if there is none.

        Raises:
            OperatorError: the package that adds the command is missing.
        """
        command = super().get_command(ctx, cmd_name)
        if command is None and (entry := _added().get(cmd_name)):
            if not _is_installed(entry):
                raise OperatorError(
                    f"{cmd_name}: the package {_package(entry)} is not installed;"
                    " install Turnike from its source tree, where `make demo` does so"
                )
            command = entry.load()
        return command


def _added() -> dict[str, "EntryPoint"]:
    """The commands that other installed packages add: a gate has none, a laptop has `demo`."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ADDED_COMMANDS)}


def _package(entry: "EntryPoint") -> str:
    return entry.module.partition(".")[0]


def _is_installed(entry: "EntryPoint") -> bool:
    """Whether the entry point's package is there; a gate's installation may leave it out."""
    from importlib.util import find_spec

    return find_spec(_package(entry)) is not None


@click.group(
    cls=_Commands,
    program="turnike",
    extras=EXTRAS,
    escapes=False,  # `top` and `demo` draw on the terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="turnike")
def main() -> None:
    """The software of one transit gate: reads a card, decides by its list, opens or stays shut."""


@main.command(epilog="Example: turnike lane --config /etc/turnike/validator.toml")
@config_option
def lane(config_path: Path) -> None:
    """Serve one lane until SIGTERM; SIGHUP makes it scan for a new list at once.

    The log is JSON lines on standard output.
    """
    # Ignored until the lane handles it: the start reads the newest list anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config = _load(config_path)
    from validator.programs.lane import serve

    if sys.stdout is None:
        raise OperatorError("standard output is closed; the log goes there (/dev/null will do)")
    serve(config, sys.stdout.fileno())


@main.command(epilog="Example: turnike courier --config /etc/turnike/validator.toml")
@config_option
def courier(config_path: Path) -> None:
    """Fetch lists from the city and upload reports until SIGTERM; one courier for each gate.

    SIGHUP makes it poll at once. The log is JSON lines on standard output.
    """
    # Ignored until the courier handles it: the courier polls at its start anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config = _load(config_path)
    from validator.programs.courier import serve

    if sys.stdout is None:
        raise OperatorError("standard output is closed; the log goes there (/dev/null will do)")
    serve(config, sys.stdout.fileno())


@main.command(epilog="Example: turnike console --config /etc/turnike/validator.toml")
@config_option
def console(config_path: Path) -> None:
    """Serve this gate's status page and metrics until SIGTERM; one console for each gate.

    The log is JSON lines on standard output.
    """
    config = _load(config_path)
    from validator.programs.console import serve

    if sys.stdout is None:
        raise OperatorError("standard output is closed; the log goes there (/dev/null will do)")
    serve(config, sys.stdout.fileno())


@main.command(epilog="Example: turnike top --config /etc/turnike/validator.toml")
@config_option
@json_option
@click.option("--once", is_flag=True, help="Print one picture and end.")
def top(config_path: Path, as_json: bool, once: bool) -> None:
    """Watch the lanes of this gate in a terminal, until q. It changes nothing.

    With --once, or into a pipe, it prints one picture and exits 0 if every lane answered, else 1.
    """
    config = _load(config_path)
    from validator.console.terminal.top import top as watch

    if not watch(config, once=once, as_json=as_json):
        sys.exit(1)


@main.command(
    epilog="Example: turnike enroll --config /etc/turnike/validator.toml --token-file token.txt"
)
@config_option
@click.option(
    "--token-file",
    type=click.File("rb"),
    default="-",
    show_default=True,
    help="The one-time token of turnike-backoffice enroll; - is standard input, so that no "
    "shell stores it in its history. On a terminal, the command asks for it.",
)
def enroll(config_path: Path, token_file: BinaryIO) -> None:
    """Enrol this gate with the back office: make its key (upload.key) and send the public half."""
    config = _load(config_path)
    if config.upload is None or config.courier is None:
        explained = "config/validator.example.toml explains them"
        raise OperatorError(f"{config_path}: has no [upload] and [courier]; {explained}")
    token = _token(token_file, config.gate_id)
    from validator.courier.web.client import Web
    from validator.programs.enrolment import believed_clock, enrol

    try:
        web = Web(ca_file=config.courier.ca_file or None, proxy=config.courier.proxy or None)
        web.check_dates(believed_clock(Path(config.list.folder)).at_least_unix_s())
        key = Path(config.upload.key)
        folders = [
            *map(Path, (config.list.folder, config.list.keys, config.reports.folder)),
            key.parent,
        ]
        is_new = enrol(config.gate_id, config.upload.url, key, token, web, service_folders=folders)
    except ValueError as error:
        raise OperatorError(str(error)) from error
    before = "was enrolled with this key before; the back office did not need the token"
    click.echo(f"{config.gate_id}: {'enrolled' if is_new else before}")


def _token(file: BinaryIO, gate_id: str) -> str:
    """Read the token from a file, or ask the person at this terminal. Raises OperatorError."""
    from validator.formats.text_files import word_of

    if file.isatty():
        prints = f"turnike-backoffice enroll {gate_id} prints one; it is not shown here"
        return str(
            click.prompt(f"Token for {gate_id} ({prints})", hide_input=True, err=True)
        ).strip()
    try:
        token = word_of(file.read(TOKEN_FILE_BYTES_MAX))
        mode = os.fstat(file.fileno()).st_mode
    except (ValueError, OSError) as error:
        wrong = error.strerror if isinstance(error, OSError) else str(error)
        prints = f"`turnike-backoffice enroll {gate_id}` of the city prints a token"
        raise OperatorError(f"the token file {wrong}; {prints}") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        # Go on: a thief can use the token before this gate does, and no longer after.
        loose = f"mode {stat.S_IMODE(mode):04o}, others than its owner may read or change it"
        click.echo(f"turnike: the token file has {loose}; chmod 600 the next one", err=True)
    return token


@main.command(epilog="Example: turnike check --config validator.toml --json")
@config_option
@json_option
@click.option(
    "--readers",
    is_flag=True,
    help="List the readers that are plugged in, with the lines to write for each, and try one.",
)
@click.option("--try", "tried", type=int, metavar="NUMBER", help="With --readers: try this one.")
@click.option(
    "--driver",
    default="",
    metavar="NAME",
    help="With --readers: try with this driver; a serial line may have a reader of any that is at"
    " one. With --key device=PATH, also a reader that is not in the list.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --readers: a key of [reader] for the try, such as baud=115200; may be repeated.",
)
@click.option(
    "--identify", is_flag=True, help="With --readers: also show UID and printed number of a card."
)
@click.option(
    "--for",
    "wait_s",
    type=click.IntRange(1, 600),
    metavar="SECONDS",
    help="With --readers: how long to wait for a card; 30 without it.",
)
def check(
    *,
    config_path: Path,
    as_json: bool,
    readers: bool,
    tried: int | None,
    driver: str,
    keys: tuple[str, ...],
    identify: bool,
    wait_s: int | None,
) -> None:
    """Check configuration, keys, list, clock, disk and devices; print what is wrong and what to do.

    Exit 1 if the gate could not serve, 2 if the configuration cannot be read. Nothing is changed.
    """
    if readers:
        from validator.check.readers import Override, check_readers

        override = Override(driver, keys)
        if not check_readers(tried, wait_s or 30, override, as_json=as_json, identify=identify):
            sys.exit(1)
        return
    if tried is not None or identify or wait_s is not None or driver or keys:
        raise click.UsageError("--try, --driver, --key, --for and --identify need --readers")
    config = _load(config_path)
    from validator.check import examine, show

    if not show(examine(config), as_json=as_json):
        sys.exit(1)


@main.command(epilog="Example: sudo turnike learn --config /etc/turnike/validator.toml")
@config_option
@click.option(
    "--for",
    "wait_s",
    type=click.IntRange(1, 180),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long the lane waits for the card.",
)
def learn(config_path: Path, wait_s: int) -> None:
    """Show the next card that this lane refuses or does not know: its UID, on this terminal.

    For root, or the user that the lane runs as. turnike-backoffice learn shows it in the city.
    Nothing says why the card was refused. Exit 1 if no card came.
    """
    config = _load(config_path)
    from validator.programs.learning import NoCardError
    from validator.programs.learning import learn as show_next

    try:
        show_next(config, wait_s)
    except NoCardError as error:
        click.echo(shown(str(error)), err=True)
        sys.exit(1)


@main.command(epilog="Example: turnike bench --config validator.toml")
@config_option
@json_option
@click.option(
    "--decisions",
    type=click.IntRange(1_000, 10_000_000),
    default=200_000,
    show_default=True,
    help="How many decisions to measure.",
)
def bench(config_path: Path, as_json: bool, decisions: int) -> None:
    """Measure decisions on this machine, with its configuration, keys and list; opens no device."""
    config = _load(config_path)
    from validator.programs.bench import run

    run(config, decisions, as_json=as_json)


@main.group(name="list")
def list_() -> None:
    """The list that this gate holds."""


@list_.command(name="show", epilog="Example: turnike list show --config validator.toml --json")
@config_option
@json_option
def list_show(config_path: Path, as_json: bool) -> None:
    """Show rules, versions and sizes of the list in force; never a card."""
    config = _load(config_path)
    from validator.check import show_list

    if not show_list(config, as_json=as_json):
        sys.exit(1)


@main.group()
def reports() -> None:
    """The reports on this gate: those that wait, and those that are quarantined."""


@reports.command(name="show", epilog="Example: turnike reports show --config validator.toml --json")
@config_option
@json_option
def reports_show(config_path: Path, as_json: bool) -> None:
    """Show how many reports wait, and the oldest of them; never a card."""
    config = _load(config_path)
    from validator.programs.reports import NoAnswerError, show_reports

    try:
        show_reports(config, as_json=as_json)
    except NoAnswerError as error:
        click.echo(shown(str(error)), err=True)
        sys.exit(1)


@reports.command(name="retry", epilog="Example: turnike reports retry --config validator.toml")
@config_option
def reports_retry(config_path: Path) -> None:
    """Let quarantined reports wait again, once the back office can accept them."""
    config = _load(config_path)
    from validator.programs.reports import NoAnswerError, retry_reports

    try:
        click.echo(f"{retry_reports(config):,} reports wait again")
    except NoAnswerError as error:
        click.echo(shown(str(error)), err=True)
        sys.exit(1)
