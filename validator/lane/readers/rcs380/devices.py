"""Which of the USB devices is the reader, and in words why none is."""

from collections.abc import Iterable, Sequence

from validator.host.usb_devices import UsbDevice, UsbName, names

SONY = 0x054C
RC_S380 = ((SONY, 0x06C1), (SONY, 0x06C3))  # RC-S380/S and RC-S380/P

PCSC = 'a PC/SC reader: apt install pcscd libccid, and set reader.driver = "pcsc"'
_PN533 = (
    "a PN533 on USB, which no driver here serves: use an RC-S380, a PC/SC reader or a PN532 on"
    " a serial line"
)
# Readers that people plug in instead, with what to do.
OTHERS = {
    (0x072F, 0x2200): ("an ACR122U", PCSC),
    (0x04E6, 0x5591): ("an SCL3711", _PN533),
    (0x04E6, 0x5594): ("an SCL3712", _PN533),
    (0x04CC, 0x2533): ("an NXP PN533 board", _PN533),
    (0x04CC, 0x0531): ("an NXP PN531 board", _PN533),
    (0x054C, 0x0193): ("a Sony RC-S330 or RC-S360", _PN533.replace("PN533", "PN531")),
    (SONY, 0x02E1): ("a Sony RC-S330", _PN533),
    (SONY, 0x0DC8): ("a Sony RC-S300/S", PCSC),
    (SONY, 0x0DC9): ("a Sony RC-S300/P", PCSC),
}


class NoReaderError(Exception):
    """No device can be chosen; the text is one line."""


def choose(devices: Iterable[UsbDevice], name: UsbName) -> UsbDevice:
    """Return the RC-S380 that `name` means.

    Args:
        devices: all that are plugged in.
        name: as the configuration has it.

    Raises:
        NoReaderError: there is none, or more than one; the text says what to do.
    """
    every = list(devices)
    readers = [device for device in every if device.ids in RC_S380]
    fitting = [device for device in readers if name.fits(device)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise NoReaderError(f"{_count(fitting)} fit; set {_lines(fitting, readers)}")
    if readers:
        # They may be other lanes' readers, and the right one is unplugged: ask that first.
        raise NoReaderError(
            "there is no such device; is it plugged in? Those that are plugged in have"
            f" {_lines(readers, readers)}"
        )
    for device in every:
        if device.ids in OTHERS and name.fits(device):
            what, advice = OTHERS[device.ids]
            raise NoReaderError(
                f"there is no such device, but {what} ({device.id_text}), which is {advice}"
            )
    raise NoReaderError("there is no such device; is it plugged in?")


def _count(devices: Sequence[UsbDevice]) -> str:
    return f"{len(devices)} RC-S380"


def _lines(devices: Sequence[UsbDevice], readers: Sequence[UsbDevice]) -> str:
    """Return the configuration's lines for `devices`, named apart from all `readers`."""
    named = dict(zip((device.port for device in readers), names(readers), strict=True))
    return " or ".join(f'reader.device = "{named[device.port]}"' for device in devices)
