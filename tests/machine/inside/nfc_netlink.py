"""The kernel's own NFC stack, asked over generic netlink: polls a device and tells what it finds.

    python -m tests.machine.inside.nfc_netlink 0

It wakes device 0 (nfc0). For each line "poll" of its input it polls until the kernel has found
cards, and prints one JSON object for each. Numbers are those of Linux' include/uapi/linux/nfc.h,
genetlink.h and netlink.h.

Lay the card before "poll", and let no poll run when the program ends: README.md says why.
"""

import json
import socket
import struct
import sys
from collections.abc import Iterator

NETLINK_GENERIC, SOL_NETLINK, ADD_MEMBERSHIP = 16, 270, 1
ERROR, DONE = 2, 3
REQUEST, ACK, DUMP = 1, 4, 0x300
CONTROLLER, GET_FAMILY = 0x10, 3
FAMILY_ID, FAMILY_NAME, FAMILY_GROUPS, GROUP_ID = 1, 2, 7, 2
GET_DEVICE, DEVICE_UP, START_POLL, GET_TARGET, TARGETS_FOUND = 1, 2, 6, 8, 9
DEVICE_INDEX, DEVICE_NAME, PROTOCOLS, SENS_RES, SEL_RES, NFCID1 = 1, 2, 3, 5, 6, 7
IM_PROTOCOLS = 13
MIFARE, ISO14443 = 1 << 2, 1 << 5
Attributes = dict[int, bytes]


class Nfc:
    """One socket to the family "nfc"."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self._socket.bind((0, 0))
        self._found: list[tuple[int, Attributes]] = []
        named = {FAMILY_NAME: b"nfc\0"}
        (family,) = (found for _, found in self._ask(CONTROLLER, GET_FAMILY, named, ACK))
        (self._family,) = struct.unpack("<H", family[FAMILY_ID])
        for group in _attributes(family[FAMILY_GROUPS]).values():
            (number,) = struct.unpack("<I", _attributes(group)[GROUP_ID])
            self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, number)

    def ask(self, command: int, attributes: Attributes, flags: int = ACK) -> list[Attributes]:
        """Ask the family; return the answers. Raises OSError."""
        return [found for _, found in self._ask(self._family, command, attributes, flags)]

    def wait(self, event: int) -> None:
        """Wait for an event of the family."""
        while True:
            while self._found:
                if self._found.pop(0)[0] == event:
                    return
            self._found += [told for _, told in self._read() if told is not None]

    def _ask(
        self, family: int, command: int, attributes: Attributes, flags: int
    ) -> list[tuple[int, Attributes]]:
        body = struct.pack("<BBH", command, 1, 0) + b"".join(
            struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
            for kind, value in attributes.items()
        )
        head = struct.pack("<IHHII", 16 + len(body), family, REQUEST | flags, 1, 0)
        self._socket.send(head + body)
        answers: list[tuple[int, Attributes]] = []
        while True:
            for sequence, told in self._read():
                if told is None:
                    return answers
                if sequence == 0:
                    self._found.append(told)
                else:
                    answers.append(told)

    def _read(self) -> Iterator[tuple[int, tuple[int, Attributes] | None]]:
        """Yield each message's sequence (0: an event) and content (None: the end of answers)."""
        data = self._socket.recv(65_536)
        while data:
            length, kind, _, sequence, _ = struct.unpack_from("<IHHII", data)
            body, data = data[16:length], data[(length + 3) & ~3 :]
            if kind == ERROR:
                (code,) = struct.unpack_from("<i", body)
                if code:
                    raise OSError(-code, "the kernel refused")
            ended = kind in (ERROR, DONE)
            yield sequence, None if ended else (body[0], _attributes(body[4:]))


def _attributes(data: bytes) -> Attributes:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("<HH", data)
        found[kind & 0x3FFF] = data[4:length]  # without the flags "nested" and "byte order"
        data = data[(length + 3) & ~3 :]
    return found


def main() -> None:
    """Serve until the input ends."""
    device = {DEVICE_INDEX: struct.pack("<I", int(sys.argv[1]))}
    nfc = Nfc()
    (about,) = nfc.ask(GET_DEVICE, device)
    nfc.ask(DEVICE_UP, device)
    _tell(event="up", device=about[DEVICE_NAME].rstrip(b"\0").decode())
    for line in sys.stdin:
        assert line == "poll\n", line
        _poll(nfc, device)


def _poll(nfc: Nfc, device: Attributes) -> None:
    wanted = struct.pack("<I", MIFARE | ISO14443)
    nfc.ask(START_POLL, {**device, IM_PROTOCOLS: wanted})
    nfc.wait(TARGETS_FOUND)
    for target in nfc.ask(GET_TARGET, device, DUMP):
        _tell(
            event="target",
            uid=target[NFCID1].hex(),
            atqa=target[SENS_RES].hex(),
            sak=target[SEL_RES].hex(),
        )


def _tell(**what: str) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
