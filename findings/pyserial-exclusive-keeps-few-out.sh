#!/usr/bin/env bash
# pyserial: a port opened with `exclusive=True` still opens for everybody else.
#
# Guessed:  exclusive=True asks the kernel for the port (TIOCEXCL): until it is closed, no other
#           program can open it, unless root runs it.
# Package:  pyserial 3.5, on a pseudo-terminal.
# Instead:  it takes an advisory lock (flock), which keeps out only those who ask for it too. A
#           plain Serial(port) opens and takes bytes away from the port's owner.
# Seen:     another exclusive=True: SerialException / a plain Serial: opened / TIOCGEXCL: 0
#           the bystander got b'card', the owner b''
# Meets it: who leaves a script of theirs running on a gate's reader: taps get lost now and then,
#           and neither program sees a fault.
# Turnike:  uses it to keep a second lane off a reader or board: both ask for the lock
#           (tests/contracts/boards/test_board_faults.py and its sister for readers, "in use").
#           deploy/udev/70-turnike.rules keeps ModemManager away.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import fcntl
import os
import pty
import struct

from serial import Serial, SerialException

TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h: 1 while a terminal is in exclusive mode

ours, theirs = pty.openpty()
name = os.ttyname(theirs)
owner = Serial(name, timeout=0, exclusive=True)
try:
    Serial(name, exclusive=True)
except SerialException as error:
    print("another exclusive=True:", type(error).__name__)
else:
    raise SystemExit("the lock does not even keep out those who ask for it")

bystander = Serial(name, timeout=10)
print("a plain Serial: opened")
(in_exclusive_mode,) = struct.unpack("i", fcntl.ioctl(owner.fileno(), TIOCGEXCL, bytes(4)))
print("TIOCGEXCL:", in_exclusive_mode)
assert in_exclusive_mode == 0  # root could open it all the same; this is what others meet

os.write(ours, b"card")
taken, left = bystander.read(4), owner.read(4)
print(f"the bystander got {taken!r}, the owner {left!r}")
assert (taken, left) == (b"card", b"")
PYTHON
