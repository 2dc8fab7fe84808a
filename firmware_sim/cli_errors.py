"""Commands whose errors take one line and exit 2, in place of click's three lines."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from firmware_sim.runner import OutputError, Port, run
from firmware_sim.serial_port import SerialDevice, SerialPort
from firmware_sim.wires import Wire


class OneLineError(click.ClickException):
    """What is wrong and what to do, in one line."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the line."""
        del file
        text = self.format_message()
        line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
        click.echo(f"firmware-sim: {line}", err=True)


class OneLineCommand(click.Command):
    """A command whose usage errors take one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click's, with its usage errors shortened."""
        with _one_line(self.name):
            return super().make_context(*args, **kwargs)


class OneLineGroup(click.Group):
    """A group whose usage errors take one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click's, with its usage errors shortened."""
        with _one_line():
            return super().make_context(*args, **kwargs)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with its usage errors shortened."""
        with _one_line():
            return super().resolve_command(ctx, args)


@contextmanager
def _one_line(name: str | None = None) -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise OneLineError(
            f"{name}: {error.format_message()}" if name else error.format_message()
        ) from error


def serve(name: str, device: SerialDevice, wire: Wire) -> None:
    """Run a serial device to its end; exit 1 with one line if its output cannot be written."""
    serve_port(name, SerialPort(device, wire))


def serve_port(name: str, port: Port) -> None:
    """Run the device on its port to its end; exit 1 with one line if output cannot be written."""
    try:
        run(port)
    except OutputError as error:
        click.echo(f"firmware-sim: {name}: {error}", err=True)
        sys.exit(1)


def a_number(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A click callback: click takes nan for a number in any range."""
    if math.isnan(value):
        raise click.BadParameter("nan is not a number", context, parameter)
    return value
