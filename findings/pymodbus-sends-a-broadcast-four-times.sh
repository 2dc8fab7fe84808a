#!/usr/bin/env bash
# pymodbus: a write to all (address 0) is sent four times, and raises.
#
# Guessed:  address 0 is a broadcast, which no slave answers (Modbus over Serial Line 1.02, 2.1):
#           the client of a serial line sends it once and returns a response that is no error.
# Package:  pymodbus 3.16.1, with made-up relay boards on a pseudo-terminal.
# Instead:  it waits for an answer, sends the frame again for each of its three retries, and raises
#           ModbusIOException. All boards have obeyed the first frame, and each one after.
# Seen:     ModbusIOException, frames on the line: 4
#           with no_response_expected=True: None, frames on the line: 1
# Meets it: who opens all lanes of a station at once in an emergency: the call says that it failed.
#           And who pulses a relay that way, "one passage" or "step": it is done four times.
#           `no_response_expected=True` sends it once; it returns None, which has no isError().
# Turnike:  broadcasts nothing: a lane speaks to its own turnstile, and asks before it writes a
#           permission again (tests/unit/lane/boards/test_lot_gate.py, "a lost answer is not").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pymodbus==3.16.1 pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import logging
import os
import pty
import threading
import tty

from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusIOException

FRAME_BYTES = 8  # address, function, coil, value, CRC

logging.disable()  # pymodbus logs what it raises
ours, theirs = pty.openpty()
tty.setraw(ours)
tty.setraw(theirs)
frames: list[bytes] = []
arrived = threading.Semaphore(0)


def boards() -> None:
    """Do what is told, and answer nothing, as a broadcast wants it."""
    while True:
        frame = b""
        while len(frame) < FRAME_BYTES:
            frame += os.read(ours, FRAME_BYTES - len(frame))
        frames.append(frame)
        arrived.release()


threading.Thread(target=boards, daemon=True).start()
client = ModbusSerialClient(os.ttyname(theirs), timeout=0.5)
assert client.connect()

try:
    response = client.write_coil(0, True, device_id=0)
except ModbusIOException as error:
    said = type(error).__name__
else:
    raise SystemExit(f"a broadcast returns now: {response}")
for _ in range(4):
    assert arrived.acquire(timeout=60)
print(f"{said}, frames on the line: {len(frames)}")
assert len(frames) == 4
assert {frame[:6] for frame in frames} == {bytes([0, 5, 0, 0, 0xFF, 0])}

frames.clear()
response = client.write_coil(0, True, device_id=0, no_response_expected=True)
assert arrived.acquire(timeout=60)
assert not arrived.acquire(timeout=3)  # six times the client's timeout
print(f"with no_response_expected=True: {response}, frames on the line: {len(frames)}")
assert response is None
assert len(frames) == 1
PYTHON
