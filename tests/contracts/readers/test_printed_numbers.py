"""Readers that pass APDUs read the number printed on a card, and lose nothing by it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contracts.readers.rigs import Listener, Pn532Rig, listening
from validator.config.devices import PASSES_APDUS
from validator.domain.events import CardSeen, Clash
from validator.lane.readers.pn532 import ABILITIES
from validator.lane.readers.printed_number import ReadsNumbers

UID, OTHER, CLASSIC, PHONE = "0489ab12cd34ef", "04112233445566", "11223344", "08010203"
NUMBER = "1234567890123456"


@pytest.fixture(params=["ideal", "real"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pn532Rig]:
    rig = Pn532Rig(tmp_path / "reader", request.param)
    yield rig
    rig.close()


def number(listener: Listener) -> str | None:
    assert isinstance(listener.reader, ReadsNumbers)
    found: str | None = listener.timed(listener.reader.read_number)
    return found


@pytest.fixture
def listener(rig: Pn532Rig) -> Iterator[Listener]:
    with listening(rig.reader()) as listener:
        listener.back()
        listener.timed(listener.reader.arm)
        yield listener


def test_a_reader_that_says_it_passes_apdus_reads_numbers(listener: Listener) -> None:
    assert ABILITIES.apdus
    assert "pn532" in PASSES_APDUS
    assert isinstance(listener.reader, ReadsNumbers)


def test_the_number_is_read_behind_the_event_and_the_next_card_is_read_as_before(
    rig: Pn532Rig, listener: Listener
) -> None:
    rig.simulator.say(f"present {UID} number={NUMBER}", "present")
    assert isinstance(listener.event(), CardSeen)

    assert number(listener) == NUMBER
    assert number(listener) is None  # once for each event
    rig.remove()
    rig.present(OTHER)
    assert listener.uid() == OTHER


def test_a_card_whose_number_was_read_is_not_reported_again_while_it_lies_there(
    rig: Pn532Rig, listener: Listener
) -> None:
    rig.simulator.say(f"present {UID} number={NUMBER}", "present")
    assert isinstance(listener.event(), CardSeen)
    assert number(listener) == NUMBER

    assert listener.armed_event(3.0) is None


@pytest.mark.parametrize("uid", [CLASSIC, PHONE])
def test_a_card_without_the_application_gives_none(
    rig: Pn532Rig, listener: Listener, uid: str
) -> None:
    rig.present(uid)
    assert isinstance(listener.event(), CardSeen)

    assert number(listener) is None
    rig.remove()
    rig.present(OTHER)
    assert listener.uid() == OTHER


def test_a_card_that_left_gives_none(rig: Pn532Rig, listener: Listener) -> None:
    rig.present(UID)
    assert isinstance(listener.event(), CardSeen)
    rig.remove()

    assert number(listener) is None
    rig.present(OTHER)
    assert listener.uid() == OTHER


def test_two_cards_at_once_give_none(rig: Pn532Rig, listener: Listener) -> None:
    rig.clash(UID, OTHER)
    assert isinstance(listener.event(), Clash)

    assert number(listener) is None


def test_an_armed_reader_reads_none(rig: Pn532Rig, listener: Listener) -> None:
    assert number(listener) is None
    rig.present(UID)
    assert listener.uid() == UID


FAULTS = ("dropped=1", "dropped=2", "dropped-ack=1", "truncated=1", "bad-checksum=1", "noise=3")


@pytest.mark.parametrize("fault", [*FAULTS, "delayed=40/3", "delayed=400/1"])
def test_a_fault_in_the_exchange_costs_the_number_at_most(
    rig: Pn532Rig, listener: Listener, fault: str
) -> None:
    rig.simulator.say(f"present {UID} number={NUMBER}", "present")
    assert isinstance(listener.event(), CardSeen)
    rig.fault(fault)

    assert number(listener) in {NUMBER, None}
    rig.remove()
    rig.present(OTHER)
    assert listener.uid(10.0, but=UID) == OTHER


@pytest.mark.parametrize("what", ["unplug", "brown_out"])
def test_a_reader_that_goes_away_meanwhile_gives_none_and_comes_back(
    rig: Pn532Rig, listener: Listener, what: str
) -> None:
    rig.present(UID)
    assert isinstance(listener.event(), CardSeen)
    act: Callable[[], int] = getattr(rig, what)
    act()

    assert number(listener) is None
    rig.remove()
    if what == "unplug":
        rig.replug()
    rig.present(OTHER)
    assert listener.uid(20.0) == OTHER
