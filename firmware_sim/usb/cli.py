"""The command `firmware-sim usb-rig`."""

import click

from firmware_sim.cli_errors import OneLineCommand, OneLineError
from firmware_sim.usb.usbfs import rig

__all__ = ["usb_rig"]

HELP = """Run COMMAND where simulated USB devices are.

The command sees the files, terminals and processes of this machine, but a USB bus, and a network,
of its own. Its libusb finds the simulated devices that run in the same rig:

\b
  $ firmware-sim usb-rig -- sh -c 'firmware-sim rcs380 & exec python -m nfc'

Needs gcc and libusb, and namespaces: root, or user namespaces that the machine permits.
"""


@click.command("usb-rig", cls=OneLineCommand, help=HELP)
@click.option("--hold", is_flag=True, help="Keep a rig until standard input ends.")
@click.option("--join", type=int, metavar="NUMBER", help="Use the rig of that --hold.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def usb_rig(*, hold: bool, join: int | None, command: tuple[str, ...]) -> None:
    """Start the command, or keep a rig."""
    if hold and (command or join is not None):
        raise OneLineError("usb-rig: --hold takes no command and no --join")
    if not hold and not command:
        raise OneLineError("usb-rig: name the command to run: firmware-sim usb-rig -- COMMAND")
    try:
        if hold:
            rig.hold()
        else:
            rig.enter(command, join)
    except rig.RigError as error:
        raise OneLineError(f"usb-rig: {error}") from error
