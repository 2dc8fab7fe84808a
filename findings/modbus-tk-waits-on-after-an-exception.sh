#!/usr/bin/env bash
# modbus_tk: an exception is reported after twice the timeout, although it came at once.
#
# Guessed:  when a slave refuses (function code with bit 80, five bytes), execute() raises
#           ModbusError as soon as they are here.
# Package:  modbus_tk 1.1.5, with a made-up slave on a pseudo-terminal.
# Instead:  it waits for as many bytes as a good answer would have, the whole timeout and then once
#           more, before it looks at the five. With the usual timeout of 5 s that is 10 s.
# Seen:     read: (7,), at once / refused: exception 6 after 4.0 s (timeout 2 s)
# Meets it: who asks a turnstile that says "busy" (exception 6) while its motor runs: a lane with
#           one loop waits for ten seconds and opens for nobody.
# Turnike:  takes five bytes with bit 80 for the whole answer (validator/lane/boards/lot/frames.py,
#           tests/unit/lane/boards/test_lot_gate.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet modbus_tk==1.1.5 pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import pty
import threading
import time
import tty

from modbus_tk.defines import READ_HOLDING_REGISTERS, SLAVE_DEVICE_BUSY
from modbus_tk.exceptions import ModbusError
from modbus_tk.modbus_rtu import RtuMaster
from modbus_tk.utils import calculate_crc
from serial import Serial

REQUEST_BYTES, BUSY_REGISTER, TIMEOUT_S = 8, 9, 2

ours, theirs = pty.openpty()
tty.setraw(ours)
tty.setraw(theirs)
answered_at = 0.0


def slave() -> None:
    """Answer 7 for each register but one."""
    global answered_at
    while True:
        request = b""
        while len(request) < REQUEST_BYTES:
            request += os.read(ours, REQUEST_BYTES - len(request))
        answer = bytes([1, 3, 2, 0, 7])
        if request[3] == BUSY_REGISTER:
            answer = bytes([1, 0x83, SLAVE_DEVICE_BUSY])
        os.write(ours, answer + calculate_crc(answer).to_bytes(2, "big"))
        answered_at = time.monotonic()


threading.Thread(target=slave, daemon=True).start()
master = RtuMaster(Serial(os.ttyname(theirs), 9600))
master.set_timeout(TIMEOUT_S)

values = master.execute(1, READ_HOLDING_REGISTERS, 0, 1)
waited = time.monotonic() - answered_at
print(f"read: {values}, {'at once' if waited < TIMEOUT_S else 'late'}")
assert values == (7,)
assert waited < TIMEOUT_S

try:
    master.execute(1, READ_HOLDING_REGISTERS, BUSY_REGISTER, 1)
except ModbusError as error:
    code = error.get_exception_code()
else:
    raise SystemExit("a refusal raises nothing now")
waited = time.monotonic() - answered_at
print(f"refused: exception {code} after {waited:.1f} s (timeout {TIMEOUT_S} s)")
assert code == SLAVE_DEVICE_BUSY
assert waited >= 2 * TIMEOUT_S - 0.1
PYTHON
