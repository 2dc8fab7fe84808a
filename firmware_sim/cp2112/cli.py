"""The command `firmware-sim cp2112`."""

import time
from pathlib import Path
from random import Random

import click

from firmware_sim.cli_errors import OneLineCommand, OneLineError, serve_port
from firmware_sim.cli_types import fault_help
from firmware_sim.cp2112.chip import Cp2112
from firmware_sim.cp2112.lines import COUNT
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.faults import USB_FAULTS
from firmware_sim.usb.options import carrier_options, make_carrier
from firmware_sim.usb.port import UsbPort

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
@click.option("--fault", "faults", multiple=True, help="A fault from the start; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is by chance.")
def cp2112(
    *,
    serial: str,
    pull_down: tuple[int, ...],
    port: int | None,
    redir: Path | None,
    faults: tuple[str, ...],
    seed: int,
) -> None:
    """Start the expander."""
    random = Random(seed)  # noqa: S311  (a simulation that can be repeated, not a secret)
    device = UsbDevice(Cp2112(random, serial, sum({1 << line for line in pull_down})))
    plug = UsbPort(device, make_carrier(port, redir), f"usb:{device.name}")
    now_ns = time.monotonic_ns()
    try:
        for text in faults:
            device.set_fault(device.parse_fault(text), now_ns)
        plug.plug(now_ns)
    except (OSError, ValueError) as error:
        raise OneLineError(f"cp2112: {error}") from error
    serve_port("cp2112", plug)
