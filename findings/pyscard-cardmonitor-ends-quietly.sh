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
source "$(dirname "$0")/made_up/slot.sh"
cat >raises.py <<'PYTHON'
from slot import lay_card, leave, start_pcscd, until
from smartcard.CardMonitoring import CardMonitor, CardObserver


class Gate(CardObserver):
    def update(self, monitor: object, cards: tuple[list, list]) -> None:
        if cards[0]:
            raise ValueError("a card of the next decade")


class Counter(CardObserver):
    heard = 0

    def update(self, monitor: object, cards: tuple[list, list]) -> None:
        self.heard += len(cards[0])


start_pcscd()
monitor, counter = CardMonitor(), Counter()
monitor.addObserver(Gate())
monitor.addObserver(counter)
assert monitor.rmthread.is_alive()
card = lay_card()
until(lambda: not monitor.rmthread.is_alive())
card.close()
card = lay_card()
print(f"an observer raised: the other heard of {counter.heard} cards,", end=" ")
print(f"the monitor lives: {monitor.rmthread.is_alive()}")
assert counter.heard == 0
leave()
PYTHON
cat >restart.py <<'PYTHON'
from slot import lay_card, leave, start_pcscd, until
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
start_pcscd()
card = lay_card()
print(f"pcscd was restarted: a card can be read, heard of {counter.heard} cards,", end=" ")
print(f"the monitor lives: {monitor.rmthread.is_alive()}")
assert counter.heard == 0
leave()
PYTHON
in_slot raises.py
in_slot restart.py
