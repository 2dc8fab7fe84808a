"""The plug of a simulated USB device: what the loop does to it, and what the carrier is asked."""

import json
import os
from collections.abc import Collection, Iterator, Mapping

import pytest

from firmware_sim.runner import Loop
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.port import UsbPort
from firmware_sim.usb.transfers import Completion
from tests.support.devices.usb_bench import MS, Table

NOW_NS = 5_000 * MS


class Socket:
    """A carrier without programs, which keeps what it was asked."""

    def __init__(self) -> None:
        self.plugged = False
        self.asked: list[str] = []
        self.is_full = False

    def about(self) -> Mapping[str, object]:
        return {"port": "1-1" if self.plugged else None}

    def plug(self, device: UsbDevice, *, elsewhere: bool = False) -> None:
        if self.is_full:
            raise OSError("no port is free")
        self.plugged = True
        self.asked.append(f"plug {device.descriptors.serial}{' elsewhere' if elsewhere else ''}")

    def unplug(self) -> None:
        self.plugged = False
        self.asked.append("unplug")

    def hold(self, *, held: bool) -> None:
        if held:
            self.asked.append("hold")

    def bind_driver(self, name: str) -> None:
        self.asked.append(f"driver {name}")

    def reading(self) -> list[int]:
        return []

    def writing(self) -> list[int]:
        return []

    def read(self, ready: Collection[int], now_ns: int) -> None:
        del ready, now_ns

    def complete(self, completion: Completion, now_ns: int) -> None:
        del now_ns
        self.asked.append(f"complete {completion.key}")

    def flush(self, now_ns: int) -> None:
        del now_ns


class Desk:
    """A loop with a plug, of which a test takes each turn; and what it has printed."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.port = UsbPort(UsbDevice(Table()), self.socket, "usb:1234:5678", "some-driver")
        self.port.plug(NOW_NS)
        self._output, stdout = os.pipe()
        self.loop = Loop(self.port, stdin=-1, stdout=stdout)
        self._stdout = stdout
        self._now_ns = NOW_NS

    def say(self, verb: str, ms: int = 0) -> list[str]:
        """Let time pass, then do a verb; return the events of both."""
        self._now_ns += ms * MS
        self.loop._turn(self._now_ns)
        self.loop._verb(verb.split(), self._now_ns)
        self.loop._turn(self._now_ns)
        os.set_blocking(self._output, False)
        try:
            lines = os.read(self._output, 65536).splitlines()
        except BlockingIOError:
            lines = []
        return [json.loads(line)["event"] for line in lines]

    def close(self) -> None:
        os.close(self._output)
        os.close(self._stdout)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_a_plug_goes_out_and_in(desk: Desk) -> None:
    assert desk.say("unplug") == ["unplugged"]
    assert desk.say("unplug") == ["error"]
    assert desk.say("replug") == ["replugged"]
    assert desk.say("replug") == ["error"]
    assert desk.socket.asked == ["plug 7", "unplug", "plug 7"]


def test_a_brownout_ends_by_itself(desk: Desk) -> None:
    assert desk.say("brownout") == ["brownout", "unplugged"]
    assert desk.say("", ms=99) == []
    assert desk.say("", ms=2) == ["replugged"]


def test_a_plug_that_is_pulled_in_a_brownout_stays_out(desk: Desk) -> None:
    desk.say("brownout")
    assert desk.say("unplug") == ["unplugged"]
    assert desk.say("", ms=500) == []
    assert desk.say("replug") == ["replugged"]


def test_another_id_is_at_another_port(desk: Desk) -> None:
    desk.say("fault another-id")
    desk.say("unplug")
    desk.say("replug")
    desk.say("unplug")
    desk.say("replug")
    first, second = (each for each in desk.socket.asked[1:] if each.startswith("plug"))
    assert first.endswith(" elsewhere")
    assert second == first.removesuffix(" elsewhere")
    assert not second.endswith(" 7")


def test_a_kernel_driver_takes_the_device_at_each_plug(desk: Desk) -> None:
    desk.say("fault kernel-driver")
    for _ in range(2):
        desk.say("unplug")
        desk.say("replug")
    assert desk.socket.asked[1:] == ["unplug", "driver some-driver", "plug 7"] * 2


def test_a_held_device_is_claimed_until_the_fault_is_cleared(desk: Desk) -> None:
    desk.say("fault held")
    assert desk.socket.asked[-1] == "hold"
    desk.say("fault none")
    held = desk.socket.asked.count("hold")
    desk.say("")
    assert desk.socket.asked.count("hold") == held


def test_a_device_for_which_there_is_no_port_stays_out(desk: Desk) -> None:
    desk.say("unplug")
    desk.socket.is_full = True
    assert desk.say("replug") == ["error"]
    desk.socket.is_full = False
    assert desk.say("replug") == ["replugged"]
