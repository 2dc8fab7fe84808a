"""The simulated CCID reader's own faults by name; those of the USB wire are in usb/faults.py."""

from firmware_sim.faults import ALWAYS, Kind
from firmware_sim.radio.hand import CARD_FAULTS

__all__ = ["CCID_FAULTS"]

CCID_FAULTS = {
    "dropped": Kind(None, ALWAYS, "the answer to a command does not come"),
    "dropped-event": Kind(None, ALWAYS, "a card that came or left is not notified"),
    "wrong-answer": Kind(None, ALWAYS, "an answer is that to another command"),
    "truncated": Kind(None, ALWAYS, "an answer ends too early"),
    "noise": Kind(None, ALWAYS, "random bytes come instead of an answer"),
    "delayed": Kind("ms", ALWAYS, "an answer comes MS milliseconds late", value_required=True),
    "hardware-error": Kind(None, ALWAYS, "a command fails: hardware error"),
    "mute": Kind(None, ALWAYS, "the card does not answer when it is powered"),
    "odd-atr": Kind(None, ALWAYS, "the ATR names no protocol that the reader speaks"),
    "empty": Kind(None, ALWAYS, "an APDU is answered with no byte"),
    "failed": Kind(None, ALWAYS, "GET DATA is answered 63 00"),
    "no-uid": Kind(None, ALWAYS, "GET DATA is answered 6A 81"),
    "odd-uid": Kind(None, ALWAYS, "GET DATA brings five bytes"),
    **CARD_FAULTS,
}
