#!/usr/bin/env bash
# nfcpy: a serial reader cannot be named by its link under /dev/serial.
#
# Guessed:  `tty:PORT:DRIVER` takes every terminal, by its name below /dev or by its whole path, so
#           that two adapters are told apart by /dev/serial/by-id/..., as elsewhere.
# Package:  nfcpy 1.0.4, with a pseudo-terminal below /dev/pts in the reader's place.
# Instead:  PORT is one name in /dev, of letters, digits and dashes. Each other path, though it is
#           there, is "No such device", the error of a reader that is not.
# Seen:     tty:pts/N:pn532: ENODEV / tty:/dev/pts/N:pn532: ENODEV / /dev/pts/N: ENODEV
#           bytes that were sent: 0
# Meets it: who has the reader and the board of a gate on two USB adapters: ttyUSB0 and ttyUSB1 are
#           the other way round after some restarts, and the link that would help is "not there".
# Turnike:  opens the port itself by any path (validator/lane/readers/pn532/line.py), and its udev
#           rules name reader and board.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nfcpy==1.0.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import errno
import os
import pty
import select

from nfc.clf import ContactlessFrontend

ours, theirs = pty.openpty()
port = os.ttyname(theirs)
number = port.removeprefix("/dev/pts/")
assert os.path.exists(port)
for path in (f"tty:pts/{number}:pn532", f"tty:{port}:pn532", port):
    try:
        ContactlessFrontend(path)
    except OSError as error:
        shown = path.replace(f"pts/{number}", "pts/N")
        print(f"{shown}: {errno.errorcode[error.errno]}")
        assert error.errno == errno.ENODEV
    else:
        raise SystemExit(f"{path} can be opened now")
readable, _, _ = select.select([ours], [], [], 0)
print("bytes that were sent:", len(os.read(ours, 64)) if readable else 0)
assert not readable
PYTHON
