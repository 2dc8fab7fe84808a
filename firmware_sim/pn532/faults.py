"""The simulated reader's faults by name; the chip does what each does, where it happens."""

from firmware_sim.faults import ALWAYS, LINE_FAULTS, NEXT, Fault, Kind, parse
from firmware_sim.radio.hand import CARD_FAULTS

READER_FAULTS = {
    "noise": Kind(None, ALWAYS, "random bytes in front of a reply"),
    "dropped": Kind(None, ALWAYS, "a reply does not come"),
    "dropped-ack": Kind(None, ALWAYS, "the ACK of a command does not come; the command runs"),
    "truncated": Kind(None, ALWAYS, "a reply ends too early"),
    "bad-checksum": Kind(None, ALWAYS, "the last checksum of a reply is wrong"),
    "delayed": Kind("ms", ALWAYS, "a reply comes MS milliseconds late", value_required=True),
    "stuck-baud": Kind(
        None,
        ALWAYS,
        "the chip is at 921600 now and ignores a command for another speed (=0: it obeys)",
    ),
    "brownout": Kind(
        None, NEXT, "instead of a reply the chip resets: 115200, asleep, configuration lost"
    ),
    "unplug": Kind(
        "ms",
        NEXT,
        "instead of a reply the plug comes out; back by itself after MS milliseconds, if given",
    ),
    "every-second": Kind(
        None, ALWAYS, "a single card answers only every second InListPassiveTarget with MaxTg 2"
    ),
    **CARD_FAULTS,
    **LINE_FAULTS,
}


def parse_reader_fault(text: str) -> Fault:
    """Parse a fault of the reader; see `firmware_sim.faults.parse`. Raises ValueError."""
    return parse(text, READER_FAULTS)
