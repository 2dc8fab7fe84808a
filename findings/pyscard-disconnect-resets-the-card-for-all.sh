#!/usr/bin/env bash
# pyscard: the end of one connection resets the card under all others.
#
# Guessed:  connections are shared, which is their default, and disconnect() leaves the card as it
#           is for the rest. All the more so when a connection only goes out of scope.
# Package:  pyscard 2.3.1; Debian's pcscd 1.9.9-2 with a made-up reader (vsmartcard-vpcd 3.3).
# Instead:  both switch the card off (SCARD_UNPOWER_CARD). The next command of another connection
#           raises "Card was reset", and what it had selected or proved is lost.
# Seen:     disconnect(): switched off: True, the other connection: Card was reset
#           out of scope: switched off: True, the other connection: Card was reset
#           with SCARD_LEAVE_CARD: switched off: False, the other connection: 90 00
# Meets it: whose gate asks for the UID with a connection of its own, in a function, while another
#           reads the ticket: the function returns, its connection is gone, and the tap fails.
#           connect(disposition=SCARD_LEAVE_CARD) is the way out, for each connection.
# Turnike:  connects once for each card and leaves it as it is, so that other programs may use it
#           (validator/lane/readers/pcsc/library.py).
set -euo pipefail
source "$(dirname "$0")/made_up/slot.sh"
cat >both.py <<'PYTHON'
import slot
from smartcard.Exceptions import CardConnectionException
from smartcard.scard import SCARD_LEAVE_CARD, SCARD_W_RESET_CARD
from smartcard.System import readers

SELECT = [0x00, 0xA4, 0x00, 0x00]


def connect(**options: int):
    connection = readers()[0].createConnection()
    connection.connect(**options)
    return connection


def answer_of(connection) -> str:
    try:
        _, sw1, sw2 = connection.transmit(SELECT)
    except CardConnectionException as error:
        assert error.hresult == SCARD_W_RESET_CARD
        return "Card was reset"
    return f"{sw1:02X} {sw2:02X}"


slot.start_pcscd()
card = slot.lay_card()
for how, options, expected in (
    ("disconnect()", {}, "Card was reset"),
    ("out of scope", {}, "Card was reset"),
    ("with SCARD_LEAVE_CARD", {"disposition": SCARD_LEAVE_CARD}, "90 00"),
):
    other, first = connect(**options), connect(**options)
    assert answer_of(other) == "90 00"
    slot.heard_power.clear()
    if how != "out of scope":
        first.disconnect()
    del first
    told = answer_of(other)
    if told == "Card was reset":
        slot.until(lambda: "off" in slot.heard_power)
    print(f"{how}: switched off: {'off' in slot.heard_power}, the other connection: {told}")
    assert told == expected
    del other
slot.leave()
PYTHON
in_slot both.py
