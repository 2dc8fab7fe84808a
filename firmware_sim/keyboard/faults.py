"""The faults of a simulated reader that types, by name."""

from firmware_sim.faults import ALWAYS, NEXT, Kind

__all__ = ["KEYBOARD_FAULTS"]

KEYBOARD_FAULTS = {
    "dropped": Kind(None, ALWAYS, "one digit of a card is not typed"),
    "doubled": Kind(None, ALWAYS, "one digit of a card is typed twice"),
    "slow": Kind("ms", ALWAYS, "MS milliseconds pass between two keys", value_required=True),
    "stops": Kind("ms", ALWAYS, "MS milliseconds pass in the middle", value_required=True),
    "no-end": Kind(None, ALWAYS, "neither Enter nor Tab is typed after a card"),
    "two-ends": Kind(None, ALWAYS, "Enter is typed twice after a card"),
    "garbage": Kind(None, ALWAYS, "other characters are typed around the digits"),
    "zeros": Kind(None, ALWAYS, "zeros are typed instead of the UID"),
    "repeats": Kind(
        "ms",
        ALWAYS,
        "a card is typed again after MS milliseconds, as long as it lies there",
        value_required=True,
    ),
    "silent": Kind(None, ALWAYS, "nothing is typed"),
    "unplug": Kind(
        "ms",
        NEXT,
        "in the middle of a card the plug comes out; back after MS milliseconds, if given",
    ),
    "grabbed": Kind(None, ALWAYS, "another program has taken the device when it is opened next"),
}
