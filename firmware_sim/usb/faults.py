"""The faults of the USB wire by name: every simulated USB device has them beside its own."""

from firmware_sim.faults import ALWAYS, NEXT, Kind

__all__ = ["USB_FAULTS"]

USB_FAULTS = {
    "stall": Kind(None, NEXT, "an IN endpoint stalls instead of an answer, and stays halted"),
    "babble": Kind(None, NEXT, "the device sends more than was asked for; the answer is lost"),
    "silent": Kind(None, ALWAYS, "the device takes nothing and answers nothing, endpoint 0 too"),
    "unplug": Kind("number", NEXT, "the plug comes out at transfer NUMBER from now (1: the next)"),
    "brownout": Kind("number", NEXT, "as unplug, and back by itself after 0.1 s"),
    "another-id": Kind(None, NEXT, "back from the next replug with another serial number and port"),
    "held": Kind(None, ALWAYS, "another program has the device from the next time it is free"),
    "kernel-driver": Kind(None, ALWAYS, "a kernel driver takes the device at each plug"),
}
