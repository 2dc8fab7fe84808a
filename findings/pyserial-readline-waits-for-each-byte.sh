#!/usr/bin/env bash
# pyserial: `readline()` starts its timeout again at each byte.
#
# Guessed:  with timeout=2, readline() returns after two seconds at the latest, like
#           read_until(b"\n"), with what has come.
# Package:  pyserial 3.5, on a pseudo-terminal.
# Instead:  readline() is Python's own: it reads byte by byte, and each byte gets the whole timeout.
#           It returns when the sender has paused for two seconds. read_until() counts once, from
#           its start.
# Seen:     read_until: 4 bytes, 2.0 s / readline: 10 bytes, 7.0 s
# Meets it: who reads a ticket scanner's or a board's lines between other work, and counts on the
#           timeout to come back to it: after one lost line feed the gate's display, emergency input
#           and watchdog wait for as long as the sender talks.
# Turnike:  never waits in a read: poll() tells what has come (validator/lane/boards/port.py), and
#           one loop serves reader, board and clocks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import pty
import threading
import time

from serial import Serial

TIMEOUT_S, GAP_S = 2, 0.5


def send(terminal: int) -> None:
    """Ten bytes, and no end of a line among them."""
    for byte in b"0123456789":
        time.sleep(GAP_S)
        os.write(terminal, bytes([byte]))


def read(name: str) -> tuple[int, float]:
    ours, theirs = pty.openpty()
    with Serial(os.ttyname(theirs), timeout=TIMEOUT_S) as port:
        sender = threading.Thread(target=send, args=(ours,))
        sender.start()
        start = time.monotonic()
        data = getattr(port, name)()
        took = time.monotonic() - start
        sender.join()
    print(f"{name}: {len(data)} bytes, {took:.1f} s")
    return len(data), took


count, _ = read("read_until")
assert count < 10
count, took = read("readline")
assert count == 10
assert took > 3 * TIMEOUT_S
PYTHON
