"""What validator.lane.ports.Reader promises about faults, losses and closing."""

import time

import pytest

from tests.contracts.readers.rigs import (
    RIGS,
    Listener,
    ReaderRig,
    RigKind,
    listening,
    threads_and_descriptors,
)
from validator.domain.events import ReaderBack, ReaderLost

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
PASSING = [(name, fault) for name, kind in RIGS.items() for fault in kind.passing_faults]
LASTING = [(name, fault) for name, kind in RIGS.items() for fault in kind.lasting_faults]
ECHOES = ("echo", "echo=20", "echo=150", "echo-cut")
BEARING = [(name, echo) for name, kind in RIGS.items() if kind.bears_echo for echo in ECHOES]
LOST_BY = [
    (name, echo) for name, kind in RIGS.items() if kind.bears_echo is False for echo in ECHOES[:3]
]
ECHOING = [name for name, kind in RIGS.items() if kind.bears_echo is not None]
EVERY_SECOND = [name for name, kind in RIGS.items() if "every-second" in kind.lasting_faults]


@pytest.mark.parametrize(("rig", "echo"), BEARING, indirect=["rig"])
def test_a_reader_that_bears_an_echo_serves_as_on_any_line(
    rig: ReaderRig, listener: Listener, echo: str
) -> None:
    rig.fault(echo)
    for _ in range(3):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()
    assert listener.armed_event(1.0) is None


@pytest.mark.parametrize(("rig", "echo"), LOST_BY, indirect=["rig"])
def test_a_reader_that_an_echo_stops_is_lost_with_that_reason_and_comes_back(
    rig: ReaderRig, listener: Listener, echo: str
) -> None:
    listener.reader.arm()
    rig.fault(echo)
    lost = listener.event()
    assert isinstance(lost, ReaderLost)
    assert (
        lost.reason
        == f"pn532 at {rig.path}: the line echoes what this lane sends; are its two wires joined?"
    )
    rig.fault("none")
    listener.back()
    rig.present(FIRST)
    assert listener.uid() == FIRST


@pytest.mark.parametrize("rig", ECHOING, indirect=True)
@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("armed", [True, False])
def test_a_dead_device_on_a_line_that_echoes_is_lost_as_on_any_line(
    rig: ReaderRig, listener: Listener, echo: str, *, armed: bool
) -> None:
    if armed:
        listener.reader.arm()
    rig.fault(echo)
    rig.fault("dead")
    rig.present(FIRST)
    lost = listener.event(4.0)
    assert isinstance(lost, ReaderLost)
    events = [event for event in listener.events(1.5) if not isinstance(event, ReaderLost)]
    assert events == [], "nothing that the lane has sent itself brings it back"


@pytest.mark.parametrize("rig", ECHOING, indirect=True)
@pytest.mark.parametrize("echo", ECHOES)
def test_a_line_that_only_echoes_is_never_taken_for_a_device(rig: ReaderRig, echo: str) -> None:
    rig.fault(echo)
    rig.fault("dead")
    with listening(rig.reader()) as listener:
        events = listener.events(3.0)
        assert {type(event) for event in events} == {ReaderLost}
        rig.fault("none")
        listener.back()
        rig.present(FIRST)
        assert listener.uid() == FIRST


@pytest.mark.parametrize(("rig", "fault"), PASSING + LASTING, indirect=["rig"])
def test_after_a_fault_the_next_good_card_is_reported_within_the_readers_limit(
    rig: ReaderRig, kind: RigKind, listener: Listener, fault: str
) -> None:
    listener.reader.arm()
    rig.fault(fault)
    rig.present(FIRST)
    listener.armed_event(0.7)
    rig.fault("none")
    rig.remove()
    rig.present(SECOND)

    assert listener.uid(kind.recovers_s, but=FIRST) == SECOND, (
        "the first may be reported late: it lay there to the end"
    )


@pytest.mark.parametrize(("rig", "fault"), PASSING, indirect=["rig"])
def test_a_card_that_is_held_through_a_passing_fault_is_reported(
    rig: ReaderRig, listener: Listener, fault: str
) -> None:
    listener.reader.arm()
    rig.fault(fault)
    rig.present(FIRST)

    assert listener.uid(2.0) == FIRST


@pytest.mark.parametrize("rig", EVERY_SECOND, indirect=True)
def test_a_device_that_drops_every_second_request_serves_all_the_same(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.fault("every-second")
    for number in range(6):
        uid = f"0400000000000{number}"
        rig.present(uid)
        assert listener.uid(0.5) == uid
        rig.remove()


def test_unplugging_is_reported_once_and_in_one_line(rig: ReaderRig, listener: Listener) -> None:
    listener.reader.arm()
    pulled_ns = rig.unplug()
    event = listener.event()
    reasons = {event.reason} if isinstance(event, ReaderLost) else set()
    assert event is not None
    assert event.at_ns - pulled_ns < 2e9
    while isinstance(event := listener.armed_event(1.0), ReaderLost):
        assert event.reason not in reasons
        reasons.add(event.reason)

    assert event is None
    assert reasons
    assert all(rig.path in reason and "\n" not in reason for reason in reasons)


def test_a_reader_that_is_not_armed_notices_that_it_is_unplugged(
    rig: ReaderRig, listener: Listener
) -> None:
    rig.unplug()

    assert isinstance(listener.event(), ReaderLost)


def test_a_replugged_reader_is_back_once_and_serves(rig: ReaderRig, listener: Listener) -> None:
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    plugged_ns = rig.replug()
    back = listener.back()
    assert back.at_ns - plugged_ns < 2e9
    rig.present(FIRST)

    assert listener.uid() == FIRST
    assert listener.armed_event(0.3) is None


@pytest.mark.parametrize("armed", [True, False])
def test_a_brown_out_is_noticed_and_over_within_two_seconds(
    rig: ReaderRig, kind: RigKind, listener: Listener, *, armed: bool
) -> None:
    if armed:
        listener.reader.arm()
    dipped_ns = rig.brown_out()
    lost = listener.event()
    if lost is not None or kind.notices_brown_out:
        assert isinstance(lost, ReaderLost)
        assert listener.back().at_ns - dipped_ns < 2e9
    rig.present(FIRST)

    assert listener.uid() == FIRST


def test_a_brown_out_with_a_card_in_the_field_loses_no_card(
    rig: ReaderRig, listener: Listener
) -> None:
    listener.reader.arm()
    rig.brown_out()
    rig.present(FIRST)

    assert listener.uid() == FIRST


def test_a_second_reader_on_the_same_device_is_refused_until_the_first_is_closed(
    rig: ReaderRig, listener: Listener
) -> None:
    with listening(rig.reader()) as late:
        refused = late.event()
        assert isinstance(refused, ReaderLost)
        assert "in use" in refused.reason
        assert late.event(0.6) is None
        rig.present(FIRST)
        assert listener.uid() == FIRST
        listener.reader.close()
        assert isinstance(late.event(), ReaderBack)


def test_a_reader_without_a_device_reports_that_once_and_closes_at_once(rig: ReaderRig) -> None:
    rig.unplug()
    with listening(rig.reader()) as listener:
        lost = listener.event()
        assert isinstance(lost, ReaderLost)
        assert "no such device" in lost.reason
        assert listener.armed_event(0.8) is None
        started = time.monotonic()
        listener.reader.close()
        assert time.monotonic() - started < 2.0


def test_closing_leaves_the_device_to_the_next_reader(rig: ReaderRig) -> None:
    for number in range(5):
        with listening(rig.reader()) as listener:
            listener.back(1.0)
            if number % 2:
                listener.reader.arm()
            listener.reader.close()
            listener.reader.close()
            assert listener.reader.fileno() == -1


def test_closing_while_opening_leaves_nothing_behind(rig: ReaderRig) -> None:
    before = threads_and_descriptors()
    for wait_s in (0.0, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02):
        reader = rig.reader()
        Listener(reader).event(wait_s)
        reader.close()
    with listening(rig.reader()) as listener:
        listener.back()

    assert threads_and_descriptors() == before
