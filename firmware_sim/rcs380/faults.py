"""The simulated RC-S380's own faults by name; those of the USB wire are in usb/faults.py."""

from firmware_sim.faults import ALWAYS, Kind
from firmware_sim.radio.hand import CARD_FAULTS

__all__ = ["RCS380_FAULTS"]

RCS380_FAULTS = {
    "dropped": Kind(None, ALWAYS, "the ACK of a command comes, its answer does not"),
    "dropped-ack": Kind(None, ALWAYS, "the ACK of a command does not come; its answer does"),
    "wrong-frame": Kind(None, ALWAYS, "an answer is that to another command"),
    "error-frame": Kind(None, ALWAYS, "an error frame comes instead of an answer"),
    "noise": Kind(None, ALWAYS, "random bytes come instead of an answer"),
    "truncated": Kind(None, ALWAYS, "an answer ends too early"),
    "bad-checksum": Kind(None, ALWAYS, "the last checksum of an answer is wrong"),
    "delayed": Kind("ms", ALWAYS, "an answer comes MS milliseconds late", value_required=True),
    "flood": Kind(None, ALWAYS, "answers that nobody asked for come without end"),
    **CARD_FAULTS,
}
