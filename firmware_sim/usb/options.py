"""The options of a simulated USB device's command that say where it is plugged in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from firmware_sim.usb.port import Carrier
from firmware_sim.usb.redir import RedirCarrier
from firmware_sim.usb.usbfs.bus import PORTS_MAX
from firmware_sim.usb.usbfs.carrier import UsbfsCarrier

__all__ = ["carrier_options", "make_carrier"]

Command = TypeVar("Command", bound=Callable[..., Any])


def carrier_options(command: Command) -> Command:
    """Add --port and --redir; `make_carrier` takes their values."""
    port = click.option(
        "--port", type=click.IntRange(1, PORTS_MAX), help="The hub's port; the first free without."
    )
    redir = click.option(
        "--redir",
        type=click.Path(path_type=Path),
        metavar="SOCKET",
        help="Plug it into qemu instead: into the usb-redir that listens at this unix socket.",
    )
    return port(redir(command))


def make_carrier(port: int | None, redir: Path | None) -> Carrier:
    """Return the carrier that the options name."""
    return UsbfsCarrier(port) if redir is None else RedirCarrier(redir)
