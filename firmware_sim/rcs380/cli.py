"""The command `firmware-sim rcs380`."""

import time
from pathlib import Path
from random import Random

import click

from firmware_sim.cards import Card
from firmware_sim.cli_errors import OneLineCommand, OneLineError, serve_port
from firmware_sim.cli_types import CardType, fault_help
from firmware_sim.rcs380.commands import IDEAL, REAL
from firmware_sim.rcs380.faults import RCS380_FAULTS
from firmware_sim.rcs380.identity import KERNEL_DRIVER, MODELS
from firmware_sim.rcs380.reader import Rcs380
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.faults import USB_FAULTS
from firmware_sim.usb.options import carrier_options, make_carrier
from firmware_sim.usb.port import UsbPort

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
@click.option(
    "--card", "cards", type=CardType(), multiple=True, help="A card from the start; repeatable."
)
@click.option(
    "--timing",
    type=click.Choice(["ideal", "real"]),
    default="ideal",
    show_default=True,
    help="The timing of the chip; ideal takes no time.",
)
@click.option("--fault", "faults", multiple=True, help="A fault from the start; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is by chance.")
def rcs380(
    *,
    model: str,
    serial: str,
    port: int | None,
    redir: Path | None,
    cards: tuple[Card, ...],
    timing: str,
    faults: tuple[str, ...],
    seed: int,
) -> None:
    """Start the reader."""
    random = Random(seed)  # noqa: S311  (a simulation that can be repeated, not a secret)
    now_ns = time.monotonic_ns()
    try:
        function = Rcs380(random, REAL if timing == "real" else IDEAL, model, serial)
        device = UsbDevice(function)
        plug = UsbPort(device, make_carrier(port, redir), f"usb:{device.name}", KERNEL_DRIVER)
        for text in faults:
            device.set_fault(device.parse_fault(text), now_ns)
        for card in cards:
            device.obey(["present", card.uid.hex()], now_ns)
        plug.plug(now_ns)
    except (OSError, ValueError) as error:
        raise OneLineError(f"rcs380: {error}") from error
    serve_port("rcs380", plug)
