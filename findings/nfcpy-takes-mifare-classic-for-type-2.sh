#!/usr/bin/env bash
# nfcpy: a MIFARE Classic card is handed over as a Type 2 Tag.
#
# Guessed:  `connect(rdwr=...)` calls `on-connect` for the NFC Forum's tag types only. A MIFARE
#           Classic (SAK 08 or 18) is none: no call, and `connect` goes on waiting.
# Package:  nfcpy 1.0.4, with a made-up reader that only notes what it is asked.
# Instead:  every SAK without the bits 20 and 40 counts as Type 2. The callback gets a `Type2Tag`,
#           and not one command was sent to this card to find out.
# Seen:     SAK 08: Type2Tag ID=11223344, commands sent: 0 / SAK 18: the same
# Meets it: who separates fare cards from stickers by the class of the tag: older fare cards are
#           Classic, and they all arrive as Type2Tag.
# Turnike:  goes below `connect`: it takes UID, ATQA and SAK from the chip's own answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nfcpy==1.0.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import time

import nfc
from nfc.clf import ContactlessFrontend, RemoteTarget, TimeoutError
from nfc.clf.device import Device


class Reader(Device):
    """One card lies on it, and answers no command."""

    _path = _vendor_name = _device_name = _chipset_name = "made up"

    def __init__(self, sak: int) -> None:
        self.sak, self.commands = sak, 0

    def close(self) -> None: ...

    def mute(self) -> None: ...

    def turn_on_led_and_buzzer(self) -> None: ...

    def turn_off_led_and_buzzer(self) -> None: ...

    def sense_tta(self, target: RemoteTarget) -> RemoteTarget:
        return RemoteTarget(
            "106A",
            sens_res=bytearray.fromhex("0400"),
            sdd_res=bytearray.fromhex("11223344"),
            sel_res=bytearray([self.sak]),
        )

    def send_cmd_recv_rsp(self, target: RemoteTarget, data: bytearray, timeout: float) -> None:
        self.commands += 1
        raise TimeoutError


for sak in (0x08, 0x18):
    seen: list[nfc.tag.Tag] = []
    frontend = ContactlessFrontend()
    frontend.device = reader = Reader(sak)
    end = time.monotonic() + 60
    frontend.connect(
        rdwr={"targets": ["106A"], "on-connect": lambda tag: bool(seen.append(tag))},
        terminate=lambda: time.monotonic() > end,
    )
    (tag,) = seen
    print(f"SAK {sak:02X}: {tag}, commands sent: {reader.commands}")
    assert type(tag).__name__ == "Type2Tag"
    assert reader.commands == 0
PYTHON
