"""A message of udevd, byte for byte. That libudev accepts it, the tests in the USB rig show."""

from firmware_sim.usb.usbfs.uevents import message


def test_a_message_has_the_hashes_by_which_libudev_filters() -> None:
    made = message({"ACTION": "add", "SUBSYSTEM": "usb", "DEVTYPE": "usb_device"})
    body = b"ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0"
    assert made[:12] == b"libudev\0\xfe\xed\xca\xfe"
    assert made[12:24] == b"\x28\0\0\0\x28\0\0\0" + bytes((len(body), 0, 0, 0))
    assert made[24:40].hex() == "0577c5e5" + "27f8f50c" + "00000000" * 2
    assert made[40:] == body
