"""The command `firmware-sim rcs380`."""

from random import Random
from typing import Unpack

import click

from firmware_sim.cards import Card
from firmware_sim.cli_errors import OneLineCommand
from firmware_sim.cli_types import card_option, fault_help, fault_option, seed_option, timing_option
from firmware_sim.rcs380.commands import IDEAL, REAL
from firmware_sim.rcs380.faults import RCS380_FAULTS
from firmware_sim.rcs380.identity import KERNEL_DRIVER, MODELS
from firmware_sim.rcs380.reader import Rcs380
from firmware_sim.usb.device_command import Options, carrier_options, serve_device
from firmware_sim.usb.faults import USB_FAULTS

__all__ = ["rcs380"]

HELP = f"""A Sony RC-S380 card reader on the simulated USB bus of `firmware-sim usb-rig`.

The first line of output names the device, as nfcpy does. Then one JSON object a line for each
event.

\b
Verbs on standard input:
  present UID [number=DIGITS] [leaves=STAGE]
  remove [UID]
  clash UID UID
  unplug, replug, brownout
  fault NAME[=VALUE][/WHEN], fault none
  status, quit

Cards are those of `firmware-sim pn532`.

{fault_help(RCS380_FAULTS, USB_FAULTS)}
"""


@click.command("rcs380", cls=OneLineCommand, help=HELP)
@click.option(
    "--model",
    type=click.Choice(sorted(MODELS)),
    default="P",
    show_default=True,
    help="RC-S380/S is 054c:06c1, RC-S380/P 054c:06c3.",
)
@click.option("--serial", default="0000001", show_default=True, help="The serial number.")
@carrier_options
@card_option
@timing_option("the chip")
@fault_option
@seed_option
def rcs380(
    *,
    model: str,
    serial: str,
    cards: tuple[Card, ...],
    timing: str,
    **options: Unpack[Options],
) -> None:
    """Start the reader."""

    def make(random: Random) -> Rcs380:
        return Rcs380(random, REAL if timing == "real" else IDEAL, model, serial)

    serve_device("rcs380", make, cards=cards, kernel_driver=KERNEL_DRIVER, **options)
