"""The USB rig: starts programs in a view of the machine where simulated USB devices are.

firmware-sim usb-rig -- COMMAND...             in a rig of its own, which ends with it
firmware-sim usb-rig --hold                    keeps a rig, until its standard input ends
firmware-sim usb-rig --join PROCESS -- ...     in the rig that process keeps
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from firmware_sim.usb.usbfs import namespaces
from firmware_sim.usb.usbfs.namespaces import NamespaceError
from firmware_sim.usb.usbfs.shim import ShimError, compiled

__all__ = ["Rig", "RigError", "enter", "environment", "hold"]

END_S = 30.0  # within which a keeper ends; far above what it needs


class RigError(Exception):
    """This machine cannot have a rig, or the rig has ended; the text is one line."""


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a program's libusb uses the rig.

    Raises:
        RigError: the library cannot be compiled here.
    """
    try:
        library = str(compiled())
    except ShimError as error:
        raise RigError(str(error)) from error
    before = [each for each in inherited.get("LD_PRELOAD", "").split() if each != library]
    return {
        **inherited,
        "LD_PRELOAD": " ".join([library, *before]),
        "SYSTEMD_DEVICE_VERIFY_SYSFS": "0",  # else libudev refuses a /sys that is no sysfs
    }


def enter(command: Sequence[str], process: int | None = None) -> None:
    """Become `command` in a new rig, or in the one that `process` keeps; return never.

    Raises:
        RigError: this machine cannot have a rig, that rig has ended, or there is no such command.
    """
    inside = environment(os.environ)
    try:
        if process is None:
            namespaces.make()
        else:
            namespaces.join(process)
        os.execvpe(command[0], list(command), inside)  # noqa: S606  (there is no shell to escape)
    except NamespaceError as error:
        raise RigError(str(error)) from error
    except OSError as error:
        raise RigError(f"cannot start {command[0]}: {error.strerror}") from error


def hold() -> None:
    """Keep a rig: print this process's number, and wait for the end of standard input.

    Raises:
        RigError: this machine cannot have a rig.
    """
    environment({})  # compiles, so that those who join only start
    try:
        namespaces.make()
    except NamespaceError as error:
        raise RigError(str(error)) from error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: its owner ends the rig
    print(os.getpid(), flush=True)  # noqa: T201  (what the caller waits for)
    while os.read(0, 4096):
        pass


class Rig:
    """A rig that one process keeps, for a program that starts several others in it.

    Use it as a context; at its end, programs that are in the rig stay in it.

    Raises:
        RigError: at the start: this machine cannot have a rig.
    """

    def __enter__(self) -> Self:
        """Start the keeper, and wait until the rig is there."""
        self._keeper = subprocess.Popen(
            [*_ITSELF, "--hold"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout is not None  # noqa: S101  (a pipe was asked for)
        line = self._keeper.stdout.readline()
        if not line:
            _, error = self._keeper.communicate()
            raise RigError(error.strip().removeprefix("firmware-sim: usb-rig: "))
        self.process = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        """End the keeper."""
        with suppress(BrokenPipeError):
            self._keeper.communicate(timeout=END_S)

    def command(self, *command: str) -> list[str]:
        """Return the command that runs `command` in this rig."""
        return [*_ITSELF, "--join", str(self.process), "--", *command]


_ITSELF = (sys.executable, "-m", "firmware_sim", "usb-rig")
