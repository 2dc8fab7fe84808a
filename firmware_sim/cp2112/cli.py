"""The command `firmware-sim cp2112`."""

from random import Random
from typing import Unpack

import click

from firmware_sim.cli_errors import OneLineCommand
from firmware_sim.cli_types import fault_help, fault_option, seed_option
from firmware_sim.cp2112.chip import Cp2112
from firmware_sim.cp2112.lines import COUNT
from firmware_sim.usb.device_command import Options, carrier_options, serve_device
from firmware_sim.usb.faults import USB_FAULTS

__all__ = ["cp2112"]

HELP = f"""A CP2112 USB GPIO expander, for a real kernel: plug it into qemu with --redir.

The first line of output names the device. Then one JSON object a line for each event; `line` is a
line whose level has changed, by the computer or by a verb.

\b
Verbs on standard input:
  drive LINE 0|1      as a contact outside does
  let-go LINE         the resistor at the line pulls it up, or down
  unplug, replug, brownout
  fault NAME[=VALUE][/WHEN], fault none
  status, quit

{fault_help(USB_FAULTS)}
"""


@click.command("cp2112", cls=OneLineCommand, help=HELP)
@click.option("--serial", default="0001", show_default=True, help="The serial number.")
@click.option(
    "--pull-down",
    type=click.IntRange(0, COUNT - 1),
    multiple=True,
    help="A line with a resistor to ground instead of power; repeatable.",
)
@carrier_options
@fault_option
@seed_option
def cp2112(*, serial: str, pull_down: tuple[int, ...], **options: Unpack[Options]) -> None:
    """Start the expander."""

    def make(random: Random) -> Cp2112:
        return Cp2112(random, serial, sum({1 << line for line in pull_down}))

    serve_device("cp2112", make, **options)
