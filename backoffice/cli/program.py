"""The `turnike-backoffice` command. Each of its commands stands in a module of its own, read when it is asked for.

Wrong input ends in one clear line on standard error and exit 2.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from backoffice.cli.output import PIPE_CLOSED, OutputError, flush, give_up, guard
from validator.errors import OperatorError
from validator.formats.shown import shown

PROGRAM = "turnike-backoffice"
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
EXTRA = {"sqlalchemy", "psycopg", "starlette", "uvicorn"}  # what the extra `backoffice` brings

# Where each command is. In the order in which a city needs them.
COMMANDS = {
    "init": "keys",
    "root-key": "keys",
    "root": "keys",
    "import": "imports",
    "publish": "publish",
    "serve": "publish",
    "suspend": "cards",
    "lift": "cards",
    "add": "cards",
    "remove": "cards",
    "show": "cards",
    "rotate": "keys",
    "enroll": "gates",
    "strike-off": "gates",
    "gates": "gates",
    "report-key": "reports",
    "reports": "reports",
    "batch": "batch",
}


class _LazyGroup(click.Group):
    """Commands that are imported when they are named. Its complaints about arguments are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        del ctx
        return [name for name, module in COMMANDS.items() if find_spec(f"backoffice.cli.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name: in its module it is called so, or so with an underscore."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"backoffice.cli.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name, None) or getattr(module, f"{name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which knows no names to suggest of commands that it has not loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            (meant,) = get_close_matches(args[0], self.list_commands(ctx), 1) or [""]
            raise click.UsageError(
                f"No such command {args[0]!r}.{f' Did you mean {meant!r}?' if meant else ''}", ctx
            ) from error

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; exit 2 on a wrong argument, 130 on Ctrl-C, 141 when the reader of what is printed has gone, 1 when there is no room for it."""
        guard()
        try:
            try:
                return self._run(*args, **kwargs)
            finally:
                flush()
        except OutputError as error:
            give_up()
            if error.is_closed:
                sys.exit(PIPE_CLOSED)
            click.echo(f"{PROGRAM}: standard output: {error}", err=True)
            sys.exit(1)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(
                *args, **(kwargs | {"prog_name": PROGRAM, "standalone_mode": False})
            )
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            name = context.command_path if context else PROGRAM
            click.echo(f"{name}: {shown(_message(error))}", err=True)
            sys.exit(error.exit_code)
        except OperatorError as error:
            for line in error.lines:
                click.echo(f"{PROGRAM}: {shown(line)}", err=True)
            sys.exit(2)
        except (_InterruptedError, click.Abort):
            if sys.stderr is not None and sys.stderr.isatty():
                click.echo(err=True)  # after the ^C that the terminal shows
            click.echo(f"{PROGRAM}: interrupted", err=True)
            sys.exit(INTERRUPTED)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in EXTRA:
                raise
            click.echo(
                f"{PROGRAM}: {error.name} is not installed; pip install 'turnike[backoffice]'",
                err=True,
            )
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, which would print an empty line on Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None


class _InterruptedError(Exception):
    """Ctrl-C."""


def _message(error: click.ClickException) -> str:
    """What is wrong with the arguments; an option that the environment may give too is told so."""
    told = error.format_message()
    parameter = error.param if isinstance(error, click.MissingParameter) else None
    if isinstance(parameter, click.Option) and isinstance(parameter.envvar, str):
        return f"{told.rstrip('.')}; {parameter.envvar} in the environment says it too"
    return told


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turnike")
def main() -> None:
    """The city's side of Turnike: which cards are issued, who is suspended, matched or staff, and what the gates are told."""
