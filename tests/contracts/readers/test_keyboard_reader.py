"""What is true of a reader that types alone: its many ways of typing, repeats, lost keys, console.

These tests run in the input rig: test_in_input_rig.py starts them with the reader contract.
"""

import fcntl
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.readers.keyboard_rig import KeyboardRig, keyboard_reader
from tests.contracts.readers.rigs import Listener, listening, threads_and_descriptors
from validator.domain.events import (
    CardSeen,
    LeftEarly,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.readers.keyboard.encoding import Encoding
from validator.lane.readers.keyboard.input_device import (
    EVIOCGRAB,
    InputDevice,
    OtherDeviceError,
)
from validator.lane.readers.keyboard.reader import REPEAT_NS, KeyboardReader, Typing

LONG, SHORT, OTHER = "0489ab12cd34ef", "1a2b3c4d", "04a1b2c3d4e5f6"
UNPLUGS = 30
GAP_S = 0.4  # longer than a pause that ends a line
BOTH, SEVEN, FOUR = frozenset({4, 7}), frozenset({7}), frozenset({4})


@pytest.fixture(params=["keyboard"])
def rig(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[KeyboardRig]:
    del request
    rig = KeyboardRig(tmp_path / "reader")
    yield rig
    rig.close()


@pytest.fixture
def listener(rig: KeyboardRig) -> Iterator[Listener]:
    with listening(rig.reader()) as listener:
        listener.back(60.0)
        yield listener


def events_of(
    folder: Path, options: list[str], typing: Typing, uids: list[str]
) -> list[ReaderEvent]:
    """Lay cards one after the other on a reader with these options; return what is reported."""
    rig = KeyboardRig(folder / "other", *options)
    events = []
    try:
        with listening(KeyboardReader(rig.path, typing)) as listener:
            listener.back(60.0)
            for uid in uids:
                rig.present(uid)
                event = listener.armed_event(10.0)
                assert event is not None, uid
                events.append(event)
                rig.remove()
            assert rig.console_keys() == 0
    finally:
        rig.close()
    return events


def uids_of(events: list[ReaderEvent]) -> list[str]:
    assert all(isinstance(event, CardSeen) for event in events), events
    return [event.card.uid.raw.hex() for event in events if isinstance(event, CardSeen)]


@pytest.mark.parametrize(
    ("options", "typing"),
    [
        (["--upper"], Typing(Encoding("hex", "printed"), BOTH)),
        (["--order", "reversed", "--end", "tab"], Typing(Encoding("hex", "reversed"), BOTH)),
        (["--separator", ":", "--upper"], Typing(Encoding("hex", "printed", ":"), BOTH)),
        (["--base", "decimal"], Typing(Encoding("decimal", "printed"), BOTH)),
        (
            ["--base", "decimal", "--order", "reversed"],
            Typing(Encoding("decimal", "reversed"), BOTH),
        ),
    ],
)
@pytest.mark.parametrize("rig", ["keyboard"], indirect=True)
def test_each_way_of_typing_gives_whole_uids(
    rig: KeyboardRig, tmp_path: Path, options: list[str], typing: Typing
) -> None:
    del rig
    assert uids_of(events_of(tmp_path, options, typing, [LONG, SHORT])) == [LONG, SHORT]


def test_a_reader_without_enter_serves_one_length(rig: KeyboardRig, tmp_path: Path) -> None:
    del rig
    typing = Typing(Encoding("hex", "printed"), SEVEN, ends_with_pause=True)
    events = events_of(tmp_path, ["--end", "none"], typing, [LONG, SHORT, OTHER])
    assert isinstance(events.pop(1), Unsupported)
    assert uids_of(events) == [LONG, OTHER]


@pytest.mark.parametrize("kind", ["first4", "last4", "marked"])
def test_a_piece_of_a_uid_is_no_card_of_a_gate_with_long_uids(
    rig: KeyboardRig, tmp_path: Path, kind: str
) -> None:
    del rig
    typing = Typing(Encoding("hex", "printed"), SEVEN)
    (event,) = events_of(tmp_path, ["--long-uids", kind], typing, [LONG])
    assert isinstance(event, Unsupported)


def test_a_marked_piece_is_no_card_of_a_gate_with_short_uids(
    rig: KeyboardRig, tmp_path: Path
) -> None:
    del rig
    typing = Typing(Encoding("decimal", "reversed"), FOUR)
    options = ["--long-uids", "marked", "--base", "decimal", "--order", "reversed"]
    piece, whole = events_of(tmp_path, options, typing, [LONG, SHORT])
    assert isinstance(piece, Unsupported)
    assert uids_of([whole]) == [SHORT]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("dropped", LeftEarly),
        ("doubled", LeftEarly),
        ("no-end", LeftEarly),
        ("stops=400", LeftEarly),
        ("garbage", Unsupported),
        ("zeros", Unsupported),
    ],
)
def test_what_is_no_whole_uid_is_reported_and_is_no_card(
    rig: KeyboardRig, listener: Listener, fault: str, expected: type[ReaderEvent]
) -> None:
    rig.fault(fault)
    for uid in (LONG, SHORT):
        rig.present(uid)
        assert isinstance(listener.armed_event(10.0), expected)
        rig.console_keys()  # the rest of a line that stopped is typed
        while listener.armed_event(GAP_S) is not None:
            pass
        rig.remove()


def test_the_rest_of_a_long_uid_is_no_short_uid(rig: KeyboardRig, tmp_path: Path) -> None:
    """A pause after 6 of 14 digits leaves 8: exactly those of a UID of four bytes."""
    del rig
    options = ["--fault", "stops=400"]
    typing = Typing(Encoding("hex", "printed"), BOTH)
    for uid in (LONG, "04112233445566", "04000000000001"):
        (event,) = events_of(tmp_path, options, typing, [uid])
        assert isinstance(event, LeftEarly)


def test_a_card_that_lies_there_and_is_typed_again_and_again_is_reported_once(
    rig: KeyboardRig, listener: Listener
) -> None:
    rig.fault("repeats=150")
    rig.present(LONG)
    assert listener.uid(10.0) == LONG
    assert listener.armed_event(2 * REPEAT_NS / 1e9) is None
    rig.present(OTHER)
    assert listener.uid(10.0) == OTHER
    assert listener.armed_event(2.0) is None, "both lie there"


def test_a_card_that_repeats_while_the_lane_is_busy_is_reported_once(
    rig: KeyboardRig, listener: Listener
) -> None:
    rig.fault("repeats=150")
    rig.present(LONG)
    assert listener.uid(10.0) == LONG
    assert listener.event(2 * REPEAT_NS / 1e9) is None, "not armed"
    assert listener.armed_event(1.0) is None
    time.sleep(2 * REPEAT_NS / 1e9)  # the lane does not run, and the kernel's buffer overflows
    events = listener.events(1.0)
    assert not any(isinstance(event, CardSeen) for event in events), events


def test_a_card_that_could_not_be_answered_is_reported_when_it_is_typed_again(
    rig: KeyboardRig, listener: Listener
) -> None:
    rig.fault("repeats=150")
    rig.present(LONG)
    for _ in range(3):
        assert listener.uid(10.0) == LONG
        listener.reader.forget()


def test_no_key_reaches_the_console_while_the_lane_has_the_reader(
    rig: KeyboardRig, listener: Listener
) -> None:
    rig.present(LONG)
    assert listener.uid(10.0) == LONG
    assert rig.console_keys() == 0
    listener.reader.close()
    rig.remove()
    rig.present(OTHER)
    assert rig.console_keys() == len(OTHER) + 1


def test_a_machine_that_stalls_while_a_card_is_typed_loses_the_card_and_opens_for_no_other(
    rig: KeyboardRig, listener: Listener
) -> None:
    listener.reader.arm()
    rig.present(LONG)
    rig.console_keys()  # all is typed
    event = listener.event(2.0)
    assert isinstance(event, LeftEarly), "90 events; the kernel keeps 64"
    rig.remove()
    rig.present(OTHER)
    assert listener.uid(10.0) == OTHER


@pytest.mark.parametrize("back_ms", [50, 300])
def test_a_reader_that_is_unplugged_in_the_middle_of_a_card_reports_no_card(
    rig: KeyboardRig, listener: Listener, back_ms: int
) -> None:
    listener.reader.arm()
    rig.fault(f"unplug={back_ms}")
    rig.present(LONG)
    assert isinstance(listener.event(10.0), ReaderLost)
    rig.remove()
    listener.back()
    assert listener.armed_event(1.5) is None
    rig.present(OTHER)
    assert listener.uid(10.0) == OTHER


def test_a_reader_that_another_program_has_taken_is_in_use_until_it_is_let_go(
    rig: KeyboardRig,
) -> None:
    taken = os.open(rig.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(taken, EVIOCGRAB, 1)
        with listening(rig.reader()) as listener:
            lost = listener.event(10.0)
            assert isinstance(lost, ReaderLost)
            assert "in use by another program" in lost.reason
            fcntl.ioctl(taken, EVIOCGRAB, 0)
            assert isinstance(listener.event(10.0), ReaderBack)
    finally:
        os.close(taken)


def test_another_model_in_its_place_is_not_taken_from_the_console(rig: KeyboardRig) -> None:
    own = InputDevice(rig.path)
    own.close()
    InputDevice(rig.path, own.ids).close()
    with pytest.raises(OtherDeviceError, match=r"^another device, ffff:0035, is where 1a86:dd01"):
        InputDevice(rig.path, (0x1A86, 0xDD01))
    rig.present(LONG)
    assert rig.console_keys() == len(LONG) + 1


@pytest.mark.parametrize("kind", ["file", "folder", "null"])
def test_what_is_no_input_device_is_refused_with_what_to_name(
    rig: KeyboardRig, tmp_path: Path, kind: str
) -> None:
    del rig
    (tmp_path / "file").touch()
    path = {"file": str(tmp_path / "file"), "folder": str(tmp_path), "null": "/dev/null"}[kind]
    with listening(keyboard_reader(path)) as listener:
        lost = listener.event(10.0)
        assert isinstance(lost, ReaderLost)
        assert "no input device; name the reader's link in /dev/input/by-id" in lost.reason


def test_plugging_in_and_out_again_and_again_leaves_nothing_behind(rig: KeyboardRig) -> None:
    rng = random.Random(1)
    with listening(rig.reader()) as listener:
        listener.back()
        before = threads_and_descriptors()
        for _ in range(UNPLUGS):
            rig.unplug()
            assert isinstance(listener.armed_event(10.0), ReaderLost)
            listener.event(rng.uniform(0.0, 0.1))
            rig.replug()
            listener.back()
        assert threads_and_descriptors() == before
        rig.present(LONG)
        assert listener.uid(10.0) == LONG
