# To be sourced by scripts about pyscard: a pcscd with a reader into which cards can be laid.
#
# Installs pyscard 2.3.1 and unpacks Debian's pcscd 1.9.9-2 and vsmartcard-vpcd 3.3, both into a
# temporary folder, and goes there. `in_slot PROGRAM` runs a Python program that may import `slot`.
# It has processes, a network and a /run of its own: neither the made-up reader's port nor this
# machine's own pcscd is met, and nothing outlives the program. Needs user namespaces, or root.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyscard==2.3.1
cd "$folder"
apt-get download --quiet=2 {pcscd,libpcsclite1}=1.9.9-2 vsmartcard-vpcd=3.3+dfsg-2 libqrencode4
for package in *.deb; do
    dpkg --extract "$package" root
done
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
mkdir readers
cat >readers/vpcd <<LINES
FRIENDLYNAME "made up"
DEVICENAME /dev/null:0x8C7B
LIBPATH $folder/root/usr/lib/pcsc/drivers/serial/libifdvpcd.so
CHANNELID 0x8C7B
LINES
cat >slot.py <<'PYTHON'
"""A pcscd of our own, with a reader into which cards can be laid."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from smartcard.Exceptions import SmartcardException
from smartcard.pcsc.PCSCExceptions import BaseSCardException
from smartcard.System import readers

VPCD = ("127.0.0.1", 0x8C7B)
POWER = {b"\x00": "off", b"\x01": "on", b"\x02": "reset"}
GET_ATR, ATR, OK = b"\x04", bytes.fromhex("3B80800101"), b"\x90\x00"

heard_power: list[str] = []  # what the card was told about its power, oldest first


def leave(code: int = 0) -> None:
    """End the program now: Python's own way waits for pyscard's connections."""
    sys.stdout.flush()
    os._exit(code)


def _fail(kind: type, error: BaseException, trace: object) -> None:
    traceback.print_exception(error)
    leave(1)


sys.excepthook = _fail


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError, SmartcardException, BaseSCardException):
            if happens():
                return
        time.sleep(0.05)
    raise RuntimeError("did not happen within 60 s")


def start_pcscd() -> subprocess.Popen:
    pcscd = subprocess.Popen(
        ["root/usr/sbin/pcscd", "--foreground", "--config", os.path.abspath("readers")],
        stdout=subprocess.DEVNULL,
    )
    until(readers)
    return pcscd


def lay_card() -> socket.socket:
    """Lay a card into the slot; closing what is returned takes it away."""
    cards: list[socket.socket] = []
    until(lambda: cards.append(socket.create_connection(VPCD)) or True)
    threading.Thread(target=_answer, args=cards, daemon=True).start()
    until(_is_readable)
    return cards[0]


def _is_readable() -> bool:
    connection = readers()[0].createConnection()
    connection.connect()
    connection.transmit([0xFF, 0xCA, 0, 0, 0])
    return True


def _answer(card: socket.socket) -> None:
    with suppress(OSError):
        while head := card.recv(2, socket.MSG_WAITALL):
            (count,) = struct.unpack(">H", head)
            asked = card.recv(count, socket.MSG_WAITALL)
            if asked in POWER:
                heard_power.append(POWER[asked])
                continue
            answer = ATR if asked == GET_ATR else OK
            card.sendall(struct.pack(">H", len(answer)) + answer)
PYTHON

in_slot() {
    unshare --map-root-user --mount --net --pid --fork --kill-child bash -c "
        ip link set lo up && mount -t tmpfs none /run && mkdir /run/pcscd &&
        exec venv/bin/python $1" 2>said.txt || { cat said.txt; return 1; }
}
