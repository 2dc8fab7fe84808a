"""The command `firmware-sim ccid`."""

import re
from random import Random
from typing import Unpack

import click

from firmware_sim.cards import Card
from firmware_sim.ccid.faults import CCID_FAULTS
from firmware_sim.ccid.models import MODELS
from firmware_sim.ccid.reader import IDEAL, REAL, Ccid
from firmware_sim.cli_errors import OneLineCommand
from firmware_sim.cli_types import card_option, fault_help, fault_option, seed_option, timing_option
from firmware_sim.usb.device_command import Options, carrier_options, serve_device
from firmware_sim.usb.faults import USB_FAULTS

__all__ = ["ccid"]

HELP = f"""A contactless CCID card reader on the simulated USB bus of `firmware-sim usb-rig`.

The first line of output names the device. Then one JSON object a line for each event. pcscd and
libccid find the reader when they run in the same rig.

\b
Verbs on standard input:
  present UID [number=DIGITS] [leaves=STAGE]
  remove [UID]
  clash UID UID
  swap UID        another card takes the place of the one that lies there, and no event says so
  unplug, replug, brownout
  fault NAME[=VALUE][/WHEN], fault none
  status, quit

Cards are those of `firmware-sim pn532`.

{fault_help(CCID_FAULTS, USB_FAULTS)}
"""

_ID = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE)


class _IdType(click.ParamType[tuple[int, int]]):
    name = "vvvv:pppp"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = _ID.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no USB id: write it in hex, such as 072f:2200", param, ctx)
        return int(found[1], 16), int(found[2], 16)


class _BcdType(click.ParamType[int]):
    name = "bcd"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if re.fullmatch(r"[0-9]{4}", str(value)) is None:
            self.fail(f"{value!r} is no release: write four digits, such as 0214", param, ctx)
        return int(str(value), 16)


@click.command("ccid", cls=OneLineCommand, help=HELP)
@click.option(
    "--model",
    type=click.Choice(sorted(MODELS)),
    default="acr122u",
    show_default=True,
    help="acr1252u has two slots: for cards in its field, and for a SAM.",
)
@click.option("--id", "ids", type=_IdType(), help="Other ids: vendor and product.")
@click.option("--release", type=_BcdType(), help="bcdDevice, the firmware's version: 0214 is 2.14.")
@click.option("--serial", default="", help="The serial number; most have none.")
@carrier_options
@card_option
@timing_option("the reader")
@fault_option
@seed_option
def ccid(
    *,
    model: str,
    ids: tuple[int, int] | None,
    release: int | None,
    serial: str,
    cards: tuple[Card, ...],
    timing: str,
    **options: Unpack[Options],
) -> None:
    """Start the reader."""
    chosen = MODELS[model]
    chosen = chosen.with_id(*ids) if ids is not None else chosen
    chosen = chosen.with_release(release) if release is not None else chosen

    def make(random: Random) -> Ccid:
        return Ccid(random, chosen, REAL if timing == "real" else IDEAL, serial)

    serve_device("ccid", make, cards=cards, **options)
