"""The input rig: starts programs that find simulated input devices where Linux has real ones.

It needs no rights and no namespaces: the device is a socket, at any path.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from firmware_sim.preload import ShimError, compiled

__all__ = ["InputRigError", "enter", "environment"]

SOURCE = Path(__file__).with_name("shim.c")


class InputRigError(Exception):
    """This machine cannot have the rig, or there is no such command; the text is one line."""


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a program opens simulated input devices.

    Raises:
        InputRigError: the library cannot be compiled here.
    """
    try:
        library = str(compiled("evdev", "a simulated input device", (SOURCE,)))
    except ShimError as error:
        raise InputRigError(str(error)) from error
    before = [each for each in inherited.get("LD_PRELOAD", "").split() if each != library]
    return {**inherited, "LD_PRELOAD": " ".join([library, *before])}


def enter(command: Sequence[str]) -> None:
    """Become `command` in the rig; return never.

    Raises:
        InputRigError: see the class.
    """
    inside = environment(os.environ)
    try:
        os.execvpe(command[0], list(command), inside)  # noqa: S606  (there is no shell to escape)
    except OSError as error:
        raise InputRigError(f"{command[0]}: {error.strerror}") from error
