#!/usr/bin/env bash
# pyserial: `inter_byte_timeout` does not end a read on Linux.
#
# Guessed:  with timeout=2 and inter_byte_timeout=0.05, read(64) of an answer of five bytes returns
#           0.05 s (or 0.1 s, the terminal's tick) after the fifth.
# Package:  pyserial 3.5, on a pseudo-terminal.
# Instead:  it returns after the whole two seconds. With timeout=None it waits for the other 59
#           bytes for ever: the bytes of the next answer, if there is one, fill it up.
# Seen:     5 bytes after 2.0 s / without a timeout: two answers in one read of 8 bytes
# Meets it: who frames Modbus RTU or a reader's answers by the silence after them: each answer takes
#           the full timeout, a gate that should open in 0.3 s opens in 2; or two answers are one.
# Turnike:  waits with poll() and finds the end of a frame by its length
#           (validator/lane/boards/lot/frames.py, tests/unit/lane/boards/).
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

ours, theirs = pty.openpty()
name = os.ttyname(theirs)
with Serial(name, timeout=2, inter_byte_timeout=0.05) as port:
    os.write(ours, b"hello")
    start = time.monotonic()
    data = port.read(64)
    took = time.monotonic() - start
print(f"{len(data)} bytes after {took:.1f} s")
assert data == b"hello"
assert took >= 2

with Serial(name, timeout=None, inter_byte_timeout=0.05) as port:
    os.write(ours, b"left")
    later = threading.Timer(2, os.write, [ours, b"open"])  # forty times the silence
    later.start()
    data = port.read(8)
    later.join()
print(f"without a timeout: two answers in one read of {len(data)} bytes")
assert data == b"leftopen"
PYTHON
