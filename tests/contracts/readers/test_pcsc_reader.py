"""What is true of PC/SC readers alone: pcscd between, several slots, swaps unseen."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contracts.readers.pcsc_rig import LOCKS, NAME, PcscRig
from tests.contracts.readers.rigs import Listener, listening
from tests.contracts.simulator import Simulator
from validator.config.devices import PASSES_APDUS
from validator.domain.events import (
    LeftEarly,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.readers.pcsc import ABILITIES
from validator.lane.readers.pcsc.library import PcscLite
from validator.lane.readers.pcsc.reader import PcscReader
from validator.lane.readers.printed_number import ReadsNumbers

pytestmark = pytest.mark.parametrize("rig", ["pcsc"], indirect=True)

FIRST, SECOND, THIRD = "0489ab12cd34ef", "04a1b2c3d4e5f6", "0411223344aabb"
NUMBER = "1234567890123456"
BACK_S = 20.0  # the promise is 5 s after pcscd is there again; a busy machine gets four times that
# Holds the card in a slot exclusively until its standard input ends.
HOLDER = """
import ctypes as c, sys
pcsc = c.CDLL("libpcsclite.so.1")
context, card, protocol = c.c_long(), c.c_long(), c.c_ulong()
assert pcsc.SCardEstablishContext(c.c_ulong(2), None, None, c.byref(context)) == 0
assert pcsc.SCardConnect(context, sys.argv[1].encode(), c.c_ulong(1), c.c_ulong(3),
                         c.byref(card), c.byref(protocol)) == 0
print("held", flush=True)
sys.stdin.read()
"""


def lost(listener: Listener, wait_s: float = 10.0) -> str:
    """Return the reason of the next ReaderLost; skip cards."""
    event: ReaderEvent | None = listener.armed_event(wait_s)
    while event is not None and not isinstance(event, ReaderLost):
        event = listener.armed_event(wait_s)
    assert event is not None
    return event.reason


def test_a_swap_without_an_event_is_noticed(rig: PcscRig, listener: Listener) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    for uid in (SECOND, FIRST, THIRD):
        rig.swap(uid)
        assert listener.uid() == uid
    assert listener.armed_event(0.5) is None


def test_a_card_that_is_laid_again_at_once_is_reported_again(
    rig: PcscRig, listener: Listener
) -> None:
    for _ in range(5):
        rig.present(FIRST)
        assert listener.uid() == FIRST
        rig.remove()


@pytest.mark.parametrize("fault", ["no-uid", "odd-uid", "failed", "empty"])
def test_a_card_without_a_whole_uid_is_unsupported_and_the_next_is_read(
    rig: PcscRig, listener: Listener, fault: str
) -> None:
    listener.reader.arm()
    rig.fault(fault)
    rig.present(FIRST)
    assert isinstance(listener.event(10.0), Unsupported)
    assert listener.armed_event(0.3) is None
    rig.fault("none")
    assert listener.uid() == FIRST


def test_a_card_that_left_before_it_was_read_is_reported_once(
    rig: PcscRig, listener: Listener
) -> None:
    listener.reader.arm()
    rig.present(FIRST, leaves="before-reply")
    assert isinstance(listener.event(10.0), LeftEarly)
    assert listener.armed_event(1.0) is None


def test_a_card_that_another_program_holds_makes_the_reader_in_use_until_it_lets_go(
    rig: PcscRig, listener: Listener
) -> None:
    rig.present(FIRST)
    assert listener.uid() == FIRST
    with holder(f"{NAME} 00 00"):
        assert "in use by another program" in lost(listener)
        assert listener.armed_event(1.0) is None, "it is reported once"
    listener.back()
    assert listener.armed_event(0.5) is None, "the card that lay there was reported before"
    rig.remove()
    rig.present(SECOND)
    assert listener.uid() == SECOND


@contextmanager
def holder(slot: str) -> Iterator[None]:
    """Let another program hold the card meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, slot], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"held\n"
        yield
        program.communicate()


def test_an_endpoint_that_stalls_takes_the_reader_away_until_it_is_plugged_in_again(
    rig: PcscRig, listener: Listener
) -> None:
    rig.fault("stall")
    rig.present(FIRST)
    assert "no longer answers pcscd" in lost(listener, BACK_S), "libccid clears no halted endpoint"
    rig.fault("none")
    rig.unplug()
    rig.replug()
    assert listener.uid(BACK_S) == FIRST


@pytest.mark.parametrize("card_lies", [True, False])
def test_a_pcscd_that_died_is_reported_and_its_successor_serves(
    rig: PcscRig, listener: Listener, *, card_lies: bool
) -> None:
    if card_lies:
        rig.present(FIRST)
        assert listener.uid() == FIRST
    rig.pcscd.kill()
    assert "pcscd does not run" in lost(listener)
    assert listener.armed_event(0.5) is None, "it is reported once"
    rig.pcscd.start()
    listener.back(BACK_S)
    assert listener.armed_event(1.0) is None, "a card that was reported is no other one"
    if card_lies:
        rig.remove()
    rig.present(SECOND)
    assert listener.uid() == SECOND


@pytest.mark.parametrize("card_lies", [True, False])
def test_a_pcscd_that_hangs_holds_neither_the_loop_nor_the_end_of_the_lane(
    rig: PcscRig, listener: Listener, *, card_lies: bool
) -> None:
    if card_lies:
        rig.present(FIRST)
        assert listener.uid() == FIRST
    rig.pcscd.signal(signal.SIGSTOP)
    assert "no longer answers" in lost(listener)
    rig.pcscd.signal(signal.SIGCONT)
    listener.back(BACK_S)
    rig.pcscd.signal(signal.SIGSTOP)
    assert "no longer answers" in lost(listener)
    started = time.monotonic()
    listener.reader.close()
    assert time.monotonic() - started < 5.0
    rig.pcscd.signal(signal.SIGCONT)


def test_a_pattern_that_names_two_slots_lists_them_and_one_that_names_one_serves(
    rig: PcscRig,
) -> None:
    other = Simulator("ccid", "--model", "acr1252u")
    try:
        with listening(PcscReader(PcscLite(), "ACS ACR1252*", LOCKS)) as both:
            assert lost(both).endswith(
                "2 readers match: 'ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 01 00',"
                " 'ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 02 00';"
                " write more of one's name"
            )
        with listening(PcscReader(PcscLite(), "ACS ACR1252*PICC*", LOCKS)) as one:
            one.back()
            one.reader.arm()
            other.say(f"present {FIRST}", "present")
            assert one.uid() == FIRST
            with listening(rig.reader()) as listener:
                listener.back()
                listener.reader.arm()
                rig.present(SECOND)
                assert listener.uid() == SECOND
    finally:
        other.close()


@pytest.mark.usefixtures("rig")
def test_a_pattern_that_names_no_slot_lists_what_pcscd_has() -> None:
    with listening(PcscReader(PcscLite(), "SONY*", LOCKS)) as listener:
        assert lost(listener) == (
            f"pcsc at SONY*: there is no such device; pcscd has '{NAME} 00 00'; is it plugged in?"
        )


def test_an_acr122u_that_libccid_refuses_is_named(rig: PcscRig) -> None:
    rig.simulator.close()
    rig.simulator = Simulator("ccid", "--release", "0100")
    with listening(rig.reader()) as listener:
        reasons = [event.reason for event in listener.events(2.0) if isinstance(event, ReaderLost)]
        assert reasons[-1].endswith(
            "the ACR122U on the USB has firmware 1.00, and libccid drives 2.06 and later; take"
            " another reader"
        )


def test_the_printed_number_is_read_behind_the_event(rig: PcscRig) -> None:
    assert ABILITIES.apdus
    assert "pcsc" in PASSES_APDUS
    reader = PcscReader(PcscLite(), rig.path, LOCKS, reads_numbers=True)
    with listening(reader) as listener:
        assert isinstance(reader, ReadsNumbers)
        listener.back()
        for uid, number in ((FIRST, NUMBER), ("11223344", None), (SECOND, NUMBER)):
            listener.reader.arm()
            option = f" number={number}" if number else ""
            rig.simulator.say(f"present {uid}{option}", "present")
            assert listener.uid() == uid
            assert listener.timed(reader.read_number) == number
            assert listener.timed(reader.read_number) is None, "once for each event"
            assert listener.armed_event(0.5) is None
            rig.remove()


def test_a_reader_that_wants_no_numbers_sends_a_card_no_apdu(rig: PcscRig) -> None:
    with listening(PcscReader(PcscLite(), rig.path, LOCKS)) as listener:
        listener.back(60.0)
        assert isinstance(listener.reader, ReadsNumbers)
        rig.simulator.say(f"present {FIRST} number={NUMBER}", "present")
        assert listener.uid() == FIRST
        assert listener.reader.read_number() is None
