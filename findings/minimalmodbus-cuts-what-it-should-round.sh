#!/usr/bin/env bash
# minimalmodbus: `write_register(0, 4.35, number_of_decimals=2)` writes 434.
#
# Guessed:  4.35 with two decimals is 435, as its documentation counts ("77.0 is stored as 770"),
#           and what `read_register(0, 2)` returned can be written back unchanged.
# Package:  minimalmodbus 2.1.1, with a made-up slave on a pseudo-terminal.
# Instead:  the number is multiplied by 100 and cut: 4.35 * 100 is 434.99999999999994. The slave
#           confirms what it got, nothing is raised, and one value in eleven is one step too low.
# Seen:     4.35: 434 / 0.29: 28 / 19.99: 1998
#           all of 2.00 to 5.00 read and written back: 27 of 301 are one step lower
# Meets it: who sets the times of a turnstile in seconds with decimals, or saves its settings by
#           reading them and puts them back by writing them.
# Turnike:  writes whole registers with its own frames (validator/lane/boards/lot/frames.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet minimalmodbus==2.1.1 pyserial==3.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import pty
import threading
import tty

from minimalmodbus import Instrument, _calculate_crc

ours, theirs = pty.openpty()
tty.setraw(ours)
tty.setraw(theirs)
register = 0


def slave() -> None:
    """Answer to functions 16 (write) and 3 (read) of one register."""
    global register
    while True:
        frame = b""
        while len(frame) < 2 or len(frame) < (11 if frame[1] == 16 else 8):
            frame += os.read(ours, 64)
        if frame[1] == 16:
            register = int.from_bytes(frame[7:9], "big")
            answer = frame[:6]
        else:
            answer = bytes([frame[0], 3, 2]) + register.to_bytes(2, "big")
        os.write(ours, answer + _calculate_crc(answer))


threading.Thread(target=slave, daemon=True).start()
turnstile = Instrument(os.ttyname(theirs), 1)
turnstile.serial.timeout = 10

for number, written in ((4.35, 434), (0.29, 28), (19.99, 1998)):
    turnstile.write_register(0, number, number_of_decimals=2)
    print(f"{number}: {register}")
    assert register == written

changed = 0
for held in range(200, 501):
    register = held
    turnstile.write_register(0, turnstile.read_register(0, 2), number_of_decimals=2)
    changed += register == held - 1
    assert register in {held, held - 1}
print(f"all of 2.00 to 5.00 read and written back: {changed} of 301 are one step lower")
assert changed == 27
PYTHON
