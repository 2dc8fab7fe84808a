"""A program: nfcpy's own two ways to wait for a card, as a user of nfcpy would write it.

    python -m benchmarks.lane.nfcpy_loop connect /dev/pts/3
    python -m benchmarks.lane.nfcpy_loop sense usb:054c:06c3

`connect` is the loop of nfcpy's documentation, with its defaults; `sense` asks for a type A card
without a pause. Each prints JSON lines: when it knew a card's UID (`uid`), when it was through with
the card (`done`), and when the card was gone. `connect` is stamped when it discovers the target,
before it has made a tag of it: the earliest moment at which its user can know the UID. Nothing here
imports Turnike.
"""

import json
import sys
import time
from typing import Any

import nfc
import nfc.clf.pn532
import nfc.clf.transport


def main() -> None:
    """Run until killed."""
    way, path = sys.argv[1:]
    if path.startswith("usb"):
        frontend = nfc.ContactlessFrontend(path)
    else:
        frontend = nfc.ContactlessFrontend()
        frontend.device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
        # nfcpy sets the path only for devices that it has found by itself.
        frontend.device._path = path  # noqa: SLF001
    _say("ready")
    if way == "connect":
        _connect(frontend)
    else:
        _sense(frontend)


def _say(event: str, **fields: object) -> None:
    at_ns = time.monotonic_ns()
    print(json.dumps({"event": event, "at_ns": at_ns, **fields}), flush=True)


def _connect(frontend: Any) -> None:
    def discovered(target: Any) -> bool:
        _say("uid", uid=target.sdd_res.hex())
        return True

    def connected(_tag: object) -> bool:
        _say("done")
        return True  # wait until the card is gone

    while True:
        frontend.connect(rdwr={"on-discover": discovered, "on-connect": connected})
        _say("gone")


def _sense(frontend: Any) -> None:
    wanted = nfc.clf.RemoteTarget("106A")
    here = False
    while True:
        target = frontend.sense(wanted)
        if target is not None and not here:
            _say("uid", uid=target.sdd_res.hex())
            _say("done")
        if target is None and here:
            _say("gone")
        here = target is not None


if __name__ == "__main__":
    main()
