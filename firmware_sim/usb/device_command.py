"""What the commands of simulated USB devices share: where one is plugged in, and its start."""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypedDict, TypeVar, Unpack

import click

from firmware_sim.cards import Card
from firmware_sim.cli_errors import OneLineError, serve_port
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.function import Function
from firmware_sim.usb.port import UsbPort
from firmware_sim.usb.redir import RedirCarrier
from firmware_sim.usb.usbfs.bus import PORTS_MAX
from firmware_sim.usb.usbfs.carrier import UsbfsCarrier

__all__ = ["Options", "carrier_options", "serve_device"]

Command = TypeVar("Command", bound=Callable[..., Any])


class Options(TypedDict):
    """What `carrier_options`, fault_option and seed_option pass to a command."""

    port: int | None
    redir: Path | None
    faults: tuple[str, ...]
    seed: int


def carrier_options(command: Command) -> Command:
    """Add --port and --redir."""
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


def serve_device(
    name: str,
    make: Callable[[Random], Function],
    *,
    cards: tuple[Card, ...] = (),
    kernel_driver: str = "usb-driver",
    **options: Unpack[Options],
) -> None:
    """Make the device, plug it in with the faults and cards of its options, and run it to its end.

    Args:
        name: of the command, for errors.
        make: makes the device; ValueError for an identity that no device has.
        cards: in its field from the start.
        kernel_driver: see UsbPort.
        options: of the command.

    Raises:
        OneLineError: it cannot start so.
    """
    random = Random(options["seed"])  # noqa: S311  (a simulation that can be repeated, no secret)
    redir = options["redir"]
    now_ns = time.monotonic_ns()
    try:
        carrier = UsbfsCarrier(options["port"]) if redir is None else RedirCarrier(redir)
        device = UsbDevice(make(random))
        plug = UsbPort(device, carrier, f"usb:{device.name}", kernel_driver)
        for text in options["faults"]:
            device.set_fault(device.parse_fault(text), now_ns)
        for card in cards:
            device.obey(["present", card.uid.hex()], now_ns)
        plug.plug(now_ns)
    except (OSError, ValueError) as error:
        raise OneLineError(f"{name}: {error}") from error
    serve_port(name, plug)
