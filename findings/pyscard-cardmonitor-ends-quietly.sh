#!/usr/bin/env bash
# pyscard: a CardMonitor ends when an observer raises, and when pcscd is restarted.
#
# Guessed:  an exception in one observer's update() concerns that observer and that card; and after
#           a restart of pcscd the monitor connects again, as readers() does.
# Package:  pyscard 2.3.1; Debian's pcscd 1.9.9-2 with a made-up reader (vsmartcard-vpcd 3.3).
# Instead:  both end the monitor's thread. The program lives on, later cards are never reported, and
#           nobody is told but standard error. A ReaderMonitor ends with pcscd as well.
# Seen:     an observer raised: the other heard of 0 cards, the monitor lives: False
#           pcscd was restarted: a card can be read, heard of 0 cards, the monitor lives: False
# Meets it: whose gate takes its cards from a CardMonitor. One tap that the gate's own code cannot
#           digest, or an upgrade of pcscd at night, and the gate takes no card until it is started
#           again; systemd sees a service that runs.
# Turnike:  calls pcscd itself: one that died is reported and its successor serves
#           (tests/contracts/readers/test_pcsc_reader.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyscard==2.3.1
cd "$folder"
apt-get download --quiet=2 {pcscd,libpcsclite1}=1.9.9-2 vsmartcard-vpcd=3.3+dfsg-2 libqrencode4
for package in *.deb; do
    dpkg --extract "$package" root
done
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
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from smartcard.Exceptions import SmartcardException
from smartcard.pcsc.PCSCExceptions import BaseSCardException
from smartcard.System import readers

VPCD = ("127.0.0.1", 0x8C7B)
GET_ATR, ATR, OK = b"\x04", bytes.fromhex("3B80800101"), b"\x90\x00"


def until(happens: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError, SmartcardException, BaseSCardException):
            if happens():
                return
        time.sleep(0.05)
    raise SystemExit("did not happen within 60 s")


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
            answer = ATR if asked == GET_ATR else OK if count > 1 else b""
            if answer:
                card.sendall(struct.pack(">H", len(answer)) + answer)
PYTHON
cat >raises.py <<'PYTHON'
import os

from slot import lay_card, start_pcscd, until
from smartcard.CardMonitoring import CardMonitor, CardObserver


class Gate(CardObserver):
    def update(self, monitor: object, cards: tuple[list, list]) -> None:
        if cards[0]:
            raise ValueError("a card of the next decade")


class Counter(CardObserver):
    heard = 0

    def update(self, monitor: object, cards: tuple[list, list]) -> None:
        self.heard += len(cards[0])


pcscd = start_pcscd()
monitor, counter = CardMonitor(), Counter()
monitor.addObserver(Gate())
monitor.addObserver(counter)
assert monitor.rmthread.is_alive()
card = lay_card()
until(lambda: not monitor.rmthread.is_alive())
card.close()
card = lay_card()
print(f"an observer raised: the other heard of {counter.heard} cards,", end=" ")
print(f"the monitor lives: {monitor.rmthread.is_alive()}", flush=True)
assert counter.heard == 0
pcscd.terminate()
pcscd.wait()
os._exit(0)
PYTHON
cat >restart.py <<'PYTHON'
import os

from slot import lay_card, start_pcscd, until
from smartcard.CardMonitoring import CardMonitor, CardObserver
from smartcard.ReaderMonitoring import ReaderMonitor, ReaderObserver


class Counter(CardObserver):
    heard = 0

    def update(self, monitor: object, cards: tuple[list, list]) -> None:
        self.heard += len(cards[0])


class Readers(ReaderObserver):
    def update(self, monitor: object, readers: tuple[list, list]) -> None: ...


pcscd = start_pcscd()
monitor, counter, plugs = CardMonitor(), Counter(), ReaderMonitor()
monitor.addObserver(counter)
plugs.addObserver(Readers())
card = lay_card()
until(lambda: counter.heard == 1)
card.close()
counter.heard = 0
pcscd.terminate()
pcscd.wait()
until(lambda: not monitor.rmthread.is_alive())
until(lambda: not plugs.rmthread.is_alive())
pcscd = start_pcscd()
card = lay_card()
print(f"pcscd was restarted: a card can be read, heard of {counter.heard} cards,", end=" ")
print(f"the monitor lives: {monitor.rmthread.is_alive()}", flush=True)
assert counter.heard == 0
pcscd.terminate()
pcscd.wait()
os._exit(0)
PYTHON
# A network and a /run of their own: neither the reader's port nor this machine's pcscd is met.
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
for script in raises restart; do
    unshare --map-root-user --mount --net bash -c "
        ip link set lo up && mount -t tmpfs none /run && mkdir /run/pcscd &&
        exec venv/bin/python $script.py" 2>"$script.txt" || { cat "$script.txt"; exit 1; }
done
