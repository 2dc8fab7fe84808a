"""The click group of `turnike` and `turnike-backoffice`: each error is one line and an exit code.

| what happens | standard error | exit code |
|---|---|---|
| a wrong argument (click.UsageError) | `PROGRAM COMMAND: what is wrong` | 2 |
| OperatorError | `PROGRAM: ` and each of its lines | 2 |
| a package of an extra is not installed | `PROGRAM: NAME is not installed; pip install …` | 2 |
| standard output cannot be written | `PROGRAM: standard output: why` | 1 |
| the reader of standard output has gone | nothing | 141 |
| Ctrl-C | `PROGRAM: interrupted` | 130 |

The simulated hardware has a group of its own: docs/decisions/0024-two-click-groups.md.
"""

import sys
from collections.abc import Mapping
from typing import Any

import click

from validator.command_line.output import PIPE_CLOSED, OutputError, flush, give_up, guard
from validator.errors import OperatorError
from validator.formats.shown import shown

WRONG = 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class OneLineGroup(click.Group):
    """The commands of one program, whose errors are one line each.

    Args:
        program: the name to print before an error.
        extras: by the name of a package, the extra that installs it.
        escapes: whether control characters are escaped in what the commands print.
    """

    def __init__(
        self,
        *args: Any,
        program: str,
        extras: Mapping[str, str],
        escapes: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._program = program
        self._extras = extras
        self._escapes = escapes

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command of these arguments; an error ends the process as in the table above."""
        guard(escapes=self._escapes)
        try:
            try:
                return self._run(*args, **kwargs)
            finally:
                flush()
        except OutputError as error:
            give_up()
            if error.is_closed:
                sys.exit(PIPE_CLOSED)
            self._say(f"standard output: {error}")
            sys.exit(1)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(
                *args, **(kwargs | {"prog_name": self._program, "standalone_mode": False})
            )
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            self._say(_message(error), context.command_path if context else self._program)
            sys.exit(error.exit_code)
        except OperatorError as error:
            for line in error.lines:
                self._say(line)
            sys.exit(WRONG)
        except (_InterruptedError, click.Abort):
            if sys.stderr is not None and sys.stderr.isatty():
                click.echo(err=True)  # after the ^C that the terminal shows
            self._say("interrupted")
            sys.exit(INTERRUPTED)
        except ModuleNotFoundError as error:
            extra = self._extras.get(str(error.name).partition(".")[0])
            if extra is None:
                raise
            self._say(f"{error.name} is not installed; pip install 'turnike[{extra}]'")
            sys.exit(WRONG)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. click would print an empty line on Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _InterruptedError from None

    def _say(self, text: str, name: str = "") -> None:
        click.echo(f"{name or self._program}: {shown(text)}", err=True)


class _InterruptedError(Exception):
    """Ctrl-C."""


def _message(error: click.ClickException) -> str:
    """The error's text; for a missing option, also the environment variable that can give it."""
    text = error.format_message()
    parameter = error.param if isinstance(error, click.MissingParameter) else None
    if isinstance(parameter, click.Option) and isinstance(parameter.envvar, str):
        return f"{text.rstrip('.')}, or set {parameter.envvar} in the environment"
    return text
