"""The `turnike-backoffice` command. Each of its commands is in a module that is imported when used.

Wrong input ends in one line on standard error and exit 2.
"""

from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

import click

from validator.command_line.group import OneLineGroup

EXTRAS = dict.fromkeys(("sqlalchemy", "psycopg", "starlette", "uvicorn"), "backoffice")

# The module of each command, in the order in which a city needs the commands.
COMMANDS = {
    "init": "keys",
    "root-key": "roots",
    "root": "roots",
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
    "learn": "learn",
    "report-key": "reports",
    "reports": "reports",
    "batch": "batch",
}


class _Commands(OneLineGroup):
    """Commands that are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        del ctx
        return [name for name, module in COMMANDS.items() if find_spec(f"backoffice.cli.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name.

        Its function has the name, or the name with an underscore at the end.
        """
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"backoffice.cli.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name, None) or getattr(module, f"{name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, and suggest commands that are not imported yet."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            (meant,) = get_close_matches(args[0], self.list_commands(ctx), 1) or [""]
            raise click.UsageError(
                f"No such command {args[0]!r}.{f' Did you mean {meant!r}?' if meant else ''}", ctx
            ) from error


@click.group(
    cls=_Commands,
    program="turnike-backoffice",
    extras=EXTRAS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="turnike")
def main() -> None:
    """The city's side of Turnike: its cards, its lists, and the reports of its gates."""
