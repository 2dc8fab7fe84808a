#!/usr/bin/env bash
# pyserial: `port.timeout = x` raises when the port is gone; `in_waiting` after close: TypeError.
#
# Guessed:  `timeout` is a number that the next read uses, so that setting it never fails; and
#           what is used after `close()` raises PortNotOpenError, a SerialException.
# Package:  pyserial 3.5, on a pseudo-terminal whose other end is closed.
# Instead:  setting it configures the whole port again, even to the value that it has, and raises
#           SerialException once the adapter is unplugged. `in_waiting` on a closed port raises
#           TypeError, while read, write and flush raise PortNotOpenError.
# Seen:     set to what it was: SerialException / read: PortNotOpenError / in_waiting: TypeError
# Meets it: who shortens the timeout to "what is left" before each read, outside the `try` around
#           the read; or polls `in_waiting` in a thread while another closes to reconnect: the
#           thread dies of an exception that no handler of serial faults names.
# Turnike:  sets no timeout on an open port of its own and never asks `in_waiting`; unplugged
#           devices are tried in tests/processes/test_lane_faults.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import pty

from serial import PortNotOpenError, Serial, SerialException

ours, theirs = pty.openpty()
port = Serial(os.ttyname(theirs), timeout=0.5)
os.close(theirs)
port.timeout = 0.5  # while it is there: nothing
os.close(ours)
try:
    port.timeout = 0.5
except SerialException as error:
    print("set to what it was:", type(error).__name__)
else:
    raise SystemExit("setting the timeout does not need the port now")

port.close()
for name, ask, raised in (
    ("read", lambda: port.read(1), PortNotOpenError),
    ("write", lambda: port.write(b"x"), PortNotOpenError),
    ("flush", lambda: port.flush(), PortNotOpenError),
    ("in_waiting", lambda: port.in_waiting, TypeError),
):
    try:
        ask()
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
        assert type(error) is raised
    else:
        raise SystemExit(f"{name} raises nothing now")
PYTHON
