"""Simulated devices beside a guest, plugged into it."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.machine.rig.guest import Guest
from tests.support.machine.programs import Program, program


@contextmanager
def plugged(into: Guest, *command: str, port: int = 0) -> Iterator[Program]:
    """A `firmware-sim COMMAND` on one of the guest's USB ports; `say` gives it verbs.

    "unplug" and "replug" are real to the guest: its kernel loses the device, and enumerates it.
    """
    socket = str(into.usb_port(port))
    with program("firmware_sim", *command, "--redir", socket) as device:
        device.first_line()
        yield device


@contextmanager
def plugged_alone(into: Guest, vendor: str, *command: str) -> Iterator[Program]:
    """As `plugged`; at the end wait until the guest has no device of this vendor (hex) left.

    Else the next test would meet the one that is going.
    """
    with plugged(into, *command) as device:
        yield device
    into.wait_for(f"! grep -qs {vendor} /sys/bus/usb/devices/*/idVendor")
