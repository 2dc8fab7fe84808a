"""The visitor's reader: which simulated device, and the programs in whose view it is.

A PN532 is a serial line that every program can open. The others are USB devices, simulated at the
level of their USB bytes: a rig (`firmware-sim usb-rig`) has a USB bus of its own, and the device,
the lane, and for PC/SC the daemon pcscd run in it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from turnike_demo.errors import DemoError
from turnike_demo.processes.child import Child

ReaderKind = Literal["pn532", "rcs380", "pcsc"]
RIG = "visitor-rig"
PCSC_DAEMON = "visitor-pcscd"
PCSCD = "/usr/sbin/pcscd"  # where Debian has it, which is not in every PATH


class _Usb(NamedTuple):
    """A kind of USB reader: the device of firmware-sim, and what `[reader] device` names it."""

    simulator: str
    device: str
    needs_daemon: bool = False


_USB: dict[ReaderKind, _Usb] = {
    "rcs380": _Usb("rcs380", "usb"),
    "pcsc": _Usb("ccid", "*", needs_daemon=True),
}


class VisitorsReader:
    """One reader of a kind. `prefix` is empty until `start` has set up what it needs."""

    def __init__(self, kind: ReaderKind, link: Path) -> None:
        """Prepare a reader.

        Args:
            kind: the driver of its lane.
            link: the path of its serial line, if it has one.
        """
        self.kind = kind
        self._link = link
        self.prefix: tuple[str, ...] = ()
        """What stands before `MODULE ...` in the commands of the device and of its lane."""

    def table(self) -> str:
        """Return the lines of [reader] in the lane's configuration."""
        device = _USB[self.kind].device if self.kind in _USB else str(self._link)
        return f'driver = "{self.kind}"\ndevice = "{device}"\n'

    def command(self) -> tuple[str, ...]:
        """Return the arguments that start the device with `firmware-sim`."""
        if self.kind in _USB:
            return (_USB[self.kind].simulator,)
        return ("pn532", "--link", str(self._link))

    def start(self, add: Callable[[Child], Child], first_line: Callable[[str], str]) -> None:
        """Set up what the device needs before it starts; nothing for a PN532.

        Args:
            add: takes a child into the demo, which ends it.
            first_line: waits for the first line of this child, and returns it.

        Raises:
            DemoError: this machine does not permit it; the reason was printed.
        """
        if self.kind not in _USB:
            return
        add(Child(RIG, "firmware_sim", "usb-rig", "--hold"))
        try:
            number = first_line(RIG)
        except DemoError as error:
            told = f"the reader {self.kind} needs a USB rig, which this machine does not permit"
            raise DemoError(f"{told}; the reason is above") from error
        join = ("firmware_sim", "usb-rig", "--join", number, "--")
        self.prefix = (*join, sys.executable, "-m")
        if _USB[self.kind].needs_daemon:
            others = self._link.with_name("pcscd")  # no serial readers of this machine
            others.mkdir()
            add(
                Child(PCSC_DAEMON, *join, PCSCD, "--foreground", "--error", "--config", str(others))
            )
