"""What is true of the RC-S380 alone: names, owners, plugs that come out at any transfer, floods."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contracts.readers.rigs import (
    Listener,
    Rcs380Rig,
    ReaderRig,
    listening,
    threads_and_descriptors,
)
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent, ReaderLost
from validator.host.usb_devices import UsbName
from validator.lane.readers.rcs380.reader import Rcs380Reader

pytestmark = pytest.mark.parametrize("rig", ["rcs380"], indirect=True)

FIRST, SECOND = "0489ab12cd34ef", "04a1b2c3d4e5f6"
UNPLUGS = 100
TRANSFERS_MAX = 60  # within which a plug comes out: an opening, a request, a card, a field reset


@contextmanager
def another_reader(*options: str) -> Iterator[Rcs380Rig]:
    rig = Rcs380Rig("ideal", *options)
    try:
        yield rig
    finally:
        rig.close()


def reader(name: str) -> Rcs380Reader:
    return Rcs380Reader(UsbName.parse(name))


def lost_by(name: str) -> str:
    """The reason with which a reader of that name begins."""
    with listening(reader(name)) as listener:
        lost = listener.event(60.0)
    assert isinstance(lost, ReaderLost)
    assert "\n" not in lost.reason
    return lost.reason


def test_the_other_model_is_served_too(rig: ReaderRig) -> None:
    rig.unplug()
    with another_reader("--model", "S"), listening(reader("usb")) as listener:
        assert isinstance(listener.event(60.0), ReaderBack)


def test_of_two_readers_each_is_named_by_its_serial_number_or_port(rig: ReaderRig) -> None:
    with another_reader("--serial", "0000002", "--port", "7") as other:
        assert lost_by("usb") == (
            'rcs380 at usb: 2 RC-S380 fit; set reader.device = "usb:serial=0000001" or'
            ' reader.device = "usb:serial=0000002"'
        )
        for name in ("usb:serial=0000002", "usb:port=1-7"):
            with listening(reader(name)) as listener, listening(reader("usb:port=1-1")) as first:
                assert isinstance(listener.event(60.0), ReaderBack)
                assert isinstance(first.event(60.0), ReaderBack)
                other.present(SECOND)
                rig.present(FIRST)
                assert {listener.uid(60.0), first.uid(60.0)} == {SECOND, FIRST}
                assert first.armed_event(0.1) is None
            rig.remove()
            other.remove()


def test_two_readers_with_the_same_serial_number_are_named_by_their_ports(rig: ReaderRig) -> None:
    del rig
    with another_reader("--port", "7"):
        assert lost_by("usb:serial=0000001") == (
            'rcs380 at usb:serial=0000001: 2 RC-S380 fit; set reader.device = "usb:port=1-1" or'
            ' reader.device = "usb:port=1-7"'
        )


def test_a_name_that_fits_no_reader_is_answered_with_those_that_are_there(rig: ReaderRig) -> None:
    del rig
    assert lost_by("usb:serial=7") == (
        "rcs380 at usb:serial=7: there is no such device; is it plugged in? Those that are plugged"
        ' in have reader.device = "usb:serial=0000001"'
    )


def test_another_reader_of_that_kind_may_take_the_place_of_a_broken_one(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.fault("another-id")
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    rig.replug()
    listener.back()
    rig.present(FIRST)
    assert listener.uid() == FIRST


def test_a_reader_that_another_program_holds_is_served_once_that_ends(
    rig: ReaderRig,
) -> None:
    rig.fault("held")
    with listening(rig.reader()) as listener:
        lost = listener.event(60.0)
        assert isinstance(lost, ReaderLost)
        assert lost.reason == (
            "rcs380 at usb: in use by another program; every lane needs a reader of its own"
        )
        rig.fault("none")
        listener.back()


def test_the_kernels_own_driver_makes_way(rig: ReaderRig) -> None:
    rig.fault("kernel-driver")
    rig.unplug()
    rig.replug()
    with listening(rig.reader()) as listener:
        assert isinstance(listener.event(60.0), ReaderBack)
        rig.present(FIRST)
        assert listener.uid() == FIRST


def test_a_reader_that_serves_needs_no_thread(rig: ReaderRig, listener: Listener) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    for thread in threading.enumerate():
        if thread.name == "rcs380-opener":
            thread.join(60.0)
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def test_a_reader_that_hangs_is_lost_within_half_a_second(
    rig: ReaderRig, listener: Listener
) -> None:
    listener.reader.arm()
    assert listener.event(0.1) is None
    rig.fault("dropped")
    began_ns = time.monotonic_ns()
    lost = listener.event(60.0)
    assert isinstance(lost, ReaderLost)
    assert "it no longer answers" in lost.reason
    assert lost.at_ns - began_ns < 2e9, "0.4 s, and the same again for a busy machine"


def test_a_plug_that_comes_out_at_any_transfer_is_noticed_and_the_next_one_serves(
    rig: ReaderRig, listener: Listener
) -> None:
    rng = random.Random(380)
    before: tuple[int, int] | None = None
    for number in range(UNPLUGS):
        rig.present(FIRST)
        listener.reader.arm()
        rig.fault(f"unplug={rng.randint(1, TRANSFERS_MAX)}")
        events: list[ReaderEvent] = []
        while not any(isinstance(event, ReaderLost) for event in events):
            event = listener.armed_event(60.0)
            assert event is not None, f"unplug {number} was not noticed"
            assert not isinstance(event, CardSeen) or event.card.uid.raw.hex() == FIRST
            events.append(event)
        rig.simulator.wait_for("unplugged")
        rig.remove()
        rig.replug()
        listener.back(60.0)
        if number == 9:
            before = threads_and_descriptors()
    assert threads_and_descriptors() == before
    rig.present(SECOND)
    assert listener.uid(60.0) == SECOND
