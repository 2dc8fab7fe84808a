"""Which USB device is the reader, and what a person is told if none is."""

import pytest

from validator.host.usb_devices import UsbDevice, UsbName
from validator.lane.readers.rcs380.devices import NoReaderError, choose


def device(ids: str, serial: str = "", port: str = "1-1") -> UsbDevice:
    vendor, product = (int(part, 16) for part in ids.split(":"))
    return UsbDevice(vendor, product, serial, port, 1, 4, "")


def refused(name: UsbName, *devices: UsbDevice) -> str:
    with pytest.raises(NoReaderError) as caught:
        choose(devices, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ids", ["054c:06c1", "054c:06c3"])
def test_both_models_are_the_reader(ids: str) -> None:
    mouse, reader = device("046d:c077"), device(ids)
    assert choose([mouse, reader], UsbName()) is reader


def test_nothing_that_is_plugged_in_is_a_reader() -> None:
    assert refused(UsbName()) == "there is no such device; is it plugged in?"
    assert refused(UsbName(), device("046d:c077")) == "there is no such device; is it plugged in?"


@pytest.mark.parametrize(
    ("ids", "what", "advice"),
    [
        ("072f:2200", "an ACR122U (072f:2200)", 'reader.driver = "pcsc"'),
        ("04e6:5591", "an SCL3711 (04e6:5591)", "use an RC-S380, a PC/SC reader or a PN532"),
        ("04cc:2533", "an NXP PN533 board (04cc:2533)", "which no driver here serves"),
        ("054c:0dc8", "a Sony RC-S300/S (054c:0dc8)", "apt install pcscd libccid"),
    ],
)
def test_another_reader_in_its_place_is_named_with_what_to_do(
    ids: str, what: str, advice: str
) -> None:
    reason = refused(UsbName(), device(ids))
    assert reason.startswith(f"there is no such device, but {what}, which is a P")
    assert advice in reason


def test_another_reader_beside_the_right_one_is_no_matter() -> None:
    reader = device("054c:06c3")
    assert choose([device("072f:2200"), reader], UsbName()) is reader


def test_of_two_readers_the_name_chooses() -> None:
    first, second = device("054c:06c3", "1", "1-1"), device("054c:06c1", "2", "1-2")
    assert choose([first, second], UsbName(serial="2")) is second
    assert choose([first, second], UsbName(port="1-1")) is first
    assert refused(UsbName(), first, second) == (
        '2 RC-S380 fit; set reader.device = "usb:serial=1" or reader.device = "usb:serial=2"'
    )


def test_a_reader_that_is_unplugged_is_not_answered_with_the_readers_of_other_lanes() -> None:
    other, pcsc = device("054c:06c3", "2", "1-2"), device("072f:2200", "", "1-3")
    told = refused(UsbName(serial="1"), other, pcsc)
    assert told.startswith("there is no such device; is it plugged in?")
    assert 'reader.device = "usb:serial=2"' in told
    assert " set " not in told
    assert refused(UsbName(serial="1"), pcsc) == "there is no such device; is it plugged in?"
    assert refused(UsbName(port="1-2"), pcsc) == "there is no such device; is it plugged in?"
    assert "an ACR122U" in refused(UsbName(port="1-3"), pcsc)


def test_of_two_readers_with_one_serial_number_the_port_chooses() -> None:
    first, second = device("054c:06c3", "1", "1-1"), device("054c:06c3", "1", "1-2")
    told = '2 RC-S380 fit; set reader.device = "usb:port=1-1" or reader.device = "usb:port=1-2"'
    assert refused(UsbName(), first, second) == told
    assert refused(UsbName(serial="1"), first, second) == told
