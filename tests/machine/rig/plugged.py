"""Simulated USB devices beside a guest, plugged into it."""

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
