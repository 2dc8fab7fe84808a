#!/usr/bin/env bash
# nfcpy: `connect()` returns False when the reader was unplugged, and for Ctrl-C.
#
# Guessed:  an unplugged reader raises OSError (ENODEV) from connect() as from sense(), and Ctrl-C
#           is a KeyboardInterrupt, so that the usual `while True: frontend.connect(...)` ends.
# Package:  nfcpy 1.0.4, with a made-up reader that was unplugged.
# Instead:  connect() returns False for both, at once and each time, as the last lines of its long
#           description say. The only trace of the reader is a line of the log; of Ctrl-C, none.
# Seen:     sense: OSError 19 / connect: False, 1000 times / after Ctrl-C: False
# Meets it: who writes such a loop: after the cable was pulled the gate is deaf, one core is busy,
#           and its service is "active (running)". To end the loop, test for `is False`.
# Turnike:  goes below `connect`; unplugging, in each state, is tests/contracts/readers/.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nfcpy==1.0.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import errno
import logging

from nfc.clf import ContactlessFrontend, RemoteTarget
from nfc.clf.device import Device

TIMES = 1_000


class Reader(Device):
    """What it does when it is asked for a card."""

    _path = _vendor_name = _device_name = _chipset_name = "made up"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def close(self) -> None: ...

    def mute(self) -> None: ...

    def sense_tta(self, target: RemoteTarget) -> RemoteTarget:
        raise self.error


logging.disable()
frontend = ContactlessFrontend()
frontend.device = Reader(OSError(errno.ENODEV, "unplugged"))
try:
    frontend.sense(RemoteTarget("106A"))
except OSError as error:
    print("sense: OSError", error.errno)
else:
    raise SystemExit("sense raises nothing now")
options = {"targets": ["106A"], "on-connect": lambda tag: True}
returned = [frontend.connect(rdwr=options) for _ in range(TIMES)]
print(f"connect: {returned[0]}, {len(returned)} times")
assert returned == [False] * TIMES

frontend.device = Reader(KeyboardInterrupt())  # as if Ctrl-C came while it waits for a card
interrupted = frontend.connect(rdwr=options)
print("after Ctrl-C:", interrupted)
assert interrupted is False
PYTHON
