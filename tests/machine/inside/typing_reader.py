"""A reader that types, as an input device of the kernel that runs this (linux/uinput.h).

    python -m tests.machine.inside.typing_reader /run/work/reader

It keeps a link to the device, prints it, and takes verbs on its input:

    present UID    types the UID in hex and Enter, with no time between the keys
    present UID codes    with scan codes too: more events than the kernel keeps for a program
    remove         nothing: no such reader notices it
    unplug, replug

Each verb prints the event that a simulated reader has for it. To type at once is the hardest for
who listens, and nothing depends on how fast the emulated processor is.
"""

import json
import os
import struct
import sys
from fcntl import ioctl
from pathlib import Path

from firmware_sim.keyboard.keys import EV_KEY, EV_MSC, EV_SYN, KEYS, LEFT_SHIFT, MSC_SCAN, strokes
from firmware_sim.keyboard.typed import ENDS, Way

UI_DEV_CREATE, UI_DEV_SETUP = 0x5501, 0x405C_5503
UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_MSCBIT = 0x4004_5564, 0x4004_5565, 0x4004_5568
NAME_BYTES = 80
UI_GET_SYSNAME = 0x8000_552C | NAME_BYTES << 16
BUS_USB = 3
EVENT = struct.Struct("@llHHi")
INPUTS = Path("/sys/devices/virtual/input")


class TypingReader:
    """The device and its link; `plug` makes a new one, as a plug does."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._device = -1

    def plug(self) -> None:
        """Make the device. Its node is there when this returns: the kernel makes it itself."""
        self._device = os.open("/dev/uinput", os.O_WRONLY | os.O_CLOEXEC)
        for kind in (EV_KEY, EV_MSC):
            ioctl(self._device, UI_SET_EVBIT, kind)
        for code in (LEFT_SHIFT, *(code for code, _, _ in KEYS.values())):
            ioctl(self._device, UI_SET_KEYBIT, code)
        ioctl(self._device, UI_SET_MSCBIT, MSC_SCAN)
        about = struct.pack("@4H80sI", BUS_USB, 0xFFFF, 0x0035, 0x0100, b"types a UID", 0)
        ioctl(self._device, UI_DEV_SETUP, about)
        ioctl(self._device, UI_DEV_CREATE)
        told = ioctl(self._device, UI_GET_SYSNAME, bytes(NAME_BYTES))
        (node,) = (INPUTS / told.rstrip(b"\0").decode()).glob("event*")
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(Path("/dev/input") / node.name)

    def unplug(self) -> None:
        """Take the device away."""
        self._link.unlink()
        os.close(self._device)

    def present(self, uid: str, *codes: str) -> None:
        """Type a UID, in one write."""
        kinds = {EV_SYN, EV_KEY, EV_MSC} if codes else {EV_SYN, EV_KEY}
        way = Way()
        packets = strokes(way.digits(bytes.fromhex(uid)) + ENDS[way.end])
        events = [event for packet in packets for event in packet if event.kind in kinds]
        os.write(self._device, b"".join(EVENT.pack(0, 0, *event) for event in events))


def main() -> None:
    """Serve until the input ends."""
    link = Path(sys.argv[1])
    reader = TypingReader(link)
    reader.plug()
    _tell(str(link))
    for line in sys.stdin:
        match line.split():
            case ["present", uid, *codes]:
                reader.present(uid, *codes)
                _tell(json.dumps({"event": "present", "uid": uid}))
            case ["remove"]:
                _tell(json.dumps({"event": "removed"}))
            case ["unplug"]:
                reader.unplug()
                _tell(json.dumps({"event": "unplugged"}))
            case ["replug"]:
                reader.plug()
                _tell(json.dumps({"event": "replugged"}))
            case verb:
                raise ValueError(f"no verb: {verb}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
