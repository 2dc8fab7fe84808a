"""Readers that pass APDUs read the number printed on a card, and lose nothing by it."""

from importlib import import_module

import pytest

from tests.contracts.readers.rigs import RIGS, Listener, ReaderRig, RigKind
from validator.config.devices import PASSES_APDUS
from validator.domain.events import CardSeen, Clash
from validator.lane.readers.printed_number import ReadsNumbers

UID, OTHER, CLASSIC, PHONE = "0489ab12cd34ef", "04112233445566", "11223344", "08010203"
NUMBER = "1234567890123456"
READERS = [name for name in RIGS if name.startswith(PASSES_APDUS)]
every_reader = pytest.mark.parametrize("rig", READERS, indirect=True)


def number(listener: Listener) -> str | None:
    assert isinstance(listener.reader, ReadsNumbers)
    found: str | None = listener.timed(listener.reader.read_number)
    return found


def assert_none_but_read_ahead(kind: RigKind, found: str | None) -> None:
    assert found is None or (kind.reads_numbers_ahead and found == NUMBER)


def laid(rig: ReaderRig, listener: Listener, uid: str = UID) -> None:
    """Lay a card with that number, and take its event."""
    rig.simulator.say(f"present {uid} number={NUMBER}", "present")
    assert isinstance(listener.armed_event(60.0), CardSeen)


@pytest.mark.parametrize("driver", ["pn532", "rcs380", "pcsc", "keyboard"])
def test_a_reader_that_says_it_passes_apdus_is_one_whose_numbers_can_be_read(driver: str) -> None:
    says = import_module(f"validator.lane.readers.{driver}").ABILITIES.apdus
    assert says == (driver in PASSES_APDUS)


@every_reader
def test_the_number_is_read_behind_the_event_and_the_next_card_is_read_as_before(
    rig: ReaderRig, listener: Listener
) -> None:
    laid(rig, listener)

    assert number(listener) == NUMBER
    assert number(listener) is None  # once for each event
    rig.remove()
    rig.present(OTHER)
    assert listener.uid(60.0, but=UID) == OTHER


@every_reader
def test_a_card_whose_number_was_read_is_not_reported_again_while_it_lies_there(
    rig: ReaderRig, listener: Listener
) -> None:
    laid(rig, listener)
    assert number(listener) == NUMBER

    assert listener.armed_event(3.0) is None


@every_reader
@pytest.mark.parametrize("uid", [CLASSIC, PHONE])
def test_a_card_without_the_application_gives_none(
    rig: ReaderRig, listener: Listener, uid: str
) -> None:
    laid(rig, listener, uid)

    assert number(listener) is None
    rig.remove()
    rig.present(OTHER)
    assert listener.uid(60.0, but=UID) == OTHER


@every_reader
def test_a_card_that_left_gives_none(rig: ReaderRig, kind: RigKind, listener: Listener) -> None:
    laid(rig, listener)
    rig.remove()

    assert_none_but_read_ahead(kind, number(listener))
    rig.present(OTHER)
    assert listener.uid(60.0, but=UID) == OTHER


@pytest.mark.parametrize(
    "rig", [name for name in READERS if RIGS[name].abilities.clash], indirect=True
)
def test_two_cards_at_once_give_none(rig: ReaderRig, listener: Listener) -> None:
    rig.clash(UID, OTHER)
    assert isinstance(listener.armed_event(60.0), Clash)

    assert number(listener) is None


@every_reader
def test_an_armed_reader_reads_none(rig: ReaderRig, listener: Listener) -> None:
    assert number(listener) is None
    rig.present(UID)
    assert listener.uid() == UID


@pytest.mark.parametrize(
    ("rig", "fault"),
    [
        (name, fault)
        for name in READERS
        if "real times" not in name  # which differ in cards alone
        for fault in RIGS[name].passing_faults
    ],
    indirect=["rig"],
)
def test_a_fault_in_the_exchange_costs_the_number_at_most(
    rig: ReaderRig, listener: Listener, fault: str
) -> None:
    laid(rig, listener)
    rig.fault(fault)

    assert number(listener) in {NUMBER, None}
    rig.remove()
    rig.present(OTHER)
    assert listener.uid(60.0, but=UID) == OTHER


@every_reader
@pytest.mark.parametrize("what", ["unplug", "brown_out"])
def test_a_reader_that_goes_away_meanwhile_gives_none_and_comes_back(
    rig: ReaderRig, kind: RigKind, listener: Listener, what: str
) -> None:
    laid(rig, listener)
    getattr(rig, what)()

    assert_none_but_read_ahead(kind, number(listener))
    rig.remove()
    if what == "unplug":
        rig.replug()
    rig.present(OTHER)
    assert listener.uid(60.0, but=UID) == OTHER
