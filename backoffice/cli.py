"""The `turnike-backoffice` command. Each of its commands stands in a module of its own, read when it is asked for.

Wrong input ends in one clear line on standard error and exit 2.
"""

import errno
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

# Where each command is. In the order in which a city needs them.
COMMANDS = {
    "init": "cli_keys",
    "root-key": "cli_keys",
    "root": "cli_keys",
    "import": "cli_import",
    "publish": "cli_publish",
    "serve": "cli_publish",
    "suspend": "cli_cards",
    "lift": "cli_cards",
    "add": "cli_cards",
    "remove": "cli_cards",
    "show": "cli_cards",
    "rotate": "cli_keys",
    "enroll": "cli_gates",
    "strike-off": "cli_gates",
    "gates": "cli_gates",
    "report-key": "cli_reports",
    "reports": "cli_reports",
    "batch": "cli_batch",
}


class _LazyGroup(click.Group):
    """Commands that are imported when they are named. Its complaints about arguments are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        del ctx
        return [name for name, module in COMMANDS.items() if find_spec(f"backoffice.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name: in its module it is called so, or so with an underscore."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"backoffice.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name, None) or getattr(module, f"{name}_")
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; exit 2 on a wrong argument."""
        try:
            return super().main(
                *args, **(kwargs | {"prog_name": "turnike-backoffice", "standalone_mode": False})
            )
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            name = context.command_path if context else "turnike-backoffice"
            for line in error.format_message().splitlines():
                click.echo(f"{name}: {line}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(130)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EPIPE}:
                raise
            # Whoever read what is printed has gone, or has no room; Python would try once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            if error.errno == errno.ENOSPC:
                click.echo(f"turnike-backoffice: {error.strerror}", err=True)
            sys.exit(1)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turnike")
def main() -> None:
    """The city's side of Turnike: which cards are issued, who is suspended, matched or staff, and what the gates are told."""
