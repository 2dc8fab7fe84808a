"""What is true of the PN532 alone: speeds, answers that cross requests, reasons, a faulty chip."""

import os
import random
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.readers.rigs import Listener, Pn532Rig, listening
from validator.domain.events import CardSeen, ReaderBack, ReaderLost
from validator.lane.readers.pn532.chip import Chip, open_chip
from validator.lane.readers.pn532.frames import FrameSplitter
from validator.lane.readers.pn532.line import EchoError, Line, LineClock, NoAnswerError
from validator.lane.readers.pn532.reader import Pn532Reader

UID = "0489ab12cd34ef"
ACK = bytes.fromhex("0000ff00ff00")
VERSION = bytes.fromhex("d50332010607")
LISTED = bytes.fromhex("d54b0101034420070489ab12cd34ef067577810280")
LISTED_DATA = bytearray(LISTED[2:])


def frame(data: bytes) -> bytes:
    return (
        b"\x00\x00\xff"
        + bytes((len(data), -len(data) & 0xFF))
        + data
        + bytes((-sum(data) & 0xFF, 0))
    )


@pytest.fixture(params=["ideal", "real"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pn532Rig]:
    rig = Pn532Rig(tmp_path / "reader", request.param)
    yield rig
    rig.close()


@pytest.mark.parametrize("left_at", [115_200, 230_400, 460_800, 921_600])
@pytest.mark.parametrize("speed", [115_200, 921_600])
def test_a_chip_left_at_any_speed_is_found(rig: Pn532Rig, left_at: int, speed: int) -> None:
    chip = open_chip(rig.path, left_at, lambda: True)
    chip.ask(2)
    chip.drop()
    with listening(Pn532Reader(rig.path, speed=speed)) as listener:
        listener.back(1.0)
        assert rig.status()["baud"] == speed
        rig.present(UID)
        assert listener.uid() == UID


def test_a_chip_that_keeps_its_speed_is_served_there(rig: Pn532Rig) -> None:
    rig.fault("stuck-baud")
    with listening(Pn532Reader(rig.path, speed=115_200)) as listener:
        listener.back()
        rig.present(UID)
        assert listener.uid() == UID


@pytest.mark.parametrize("armed", [True, False])
def test_closing_leaves_the_chip_as_a_fresh_program_expects_it(
    rig: Pn532Rig, *, armed: bool
) -> None:
    with listening(rig.reader()) as listener:
        listener.back()
        if armed:
            listener.reader.arm()
    status = rig.status()

    assert {name: status[name] for name in ("baud", "field", "running", "skipped_frames")} == {
        "baud": 115_200,
        "field": False,
        "running": None,
        "skipped_frames": 0,
    }


@pytest.mark.parametrize("seed", range(3))
def test_no_card_is_lost_when_a_new_request_crosses_its_answer(rig: Pn532Rig, seed: int) -> None:
    rng = random.Random(seed)
    with listening(rig.reader()) as listener:
        listener.back()
        listener.reader.arm()
        for number in range(25):
            uid = f"04{number:012x}"
            # A card answers after 0.2 ms or 5 to 10; most of these meet the new request half-way.
            early_ms = rng.uniform(-0.5, 1.0) if rng.random() < 0.5 else rng.uniform(4.0, 10.0)
            assert (
                listener.event(
                    (listener.reader.deadline_ns() - time.monotonic_ns()) / 1e9 - early_ms / 1e3
                )
                is None
            )
            rig.simulator.call(f"present {uid}")
            event = listener.event()
            assert isinstance(event, CardSeen)
            assert event.card.uid.raw.hex() == uid
            assert listener.armed_event(0.02) is None
            rig.remove()


@contextmanager
def bare_line() -> Iterator[tuple[int, Line]]:
    """Yield a pty without a chip: the test writes what the line receives."""
    master, slave = os.openpty()
    tty.setraw(slave)
    line = Line(os.ttyname(slave), 100)
    try:
        yield master, line
    finally:
        line.close()
        os.close(slave)
        os.close(master)


def test_an_answer_that_overtakes_the_next_acknowledgement_is_kept() -> None:
    with bare_line() as (master, line):
        os.write(master, frame(LISTED) + ACK)

        assert Chip(line).ask(2) == LISTED_DATA


def test_an_answer_in_one_piece_with_the_acknowledgement_belongs_to_the_new_request() -> None:
    with bare_line() as (master, line):
        chip = Chip(line)
        os.write(master, ACK + frame(LISTED))

        assert chip.ask(2) is None
        assert chip.has_answer
        assert chip.answer() == LISTED_DATA


def test_late_answers_to_other_commands_are_dropped() -> None:
    with bare_line() as (master, line):
        chip = Chip(line)
        os.write(master, frame(VERSION) + ACK + ACK + frame(b"\xd5\x53\x00") + frame(LISTED))

        assert chip.ask(2) is None
        assert chip.answer() == LISTED_DATA


def test_a_late_answer_is_not_taken_for_that_to_the_next_command() -> None:
    with bare_line() as (master, line):
        late = ACK + frame(b"\xd5\x33")  # of a command that was given up
        os.write(master, late + ACK + frame(VERSION))

        Chip(line).check()


def test_a_command_of_the_lane_that_comes_back_is_an_echo_and_no_answer() -> None:
    with bare_line() as (master, line):
        chip = Chip(line)
        os.write(master, ACK)
        assert chip.ask(2) is None
        os.write(master, frame(b"\xd4\x4a\x02\x00"))

        with pytest.raises(EchoError, match="the line echoes"):
            chip.answer()


def test_half_an_answer_is_waited_for_without_waiting() -> None:
    with bare_line() as (master, line):
        chip = Chip(line)
        for at in range(len(frame(LISTED)) - 2):
            os.write(master, frame(LISTED)[at : at + 1])
            assert chip.answer() is None
        assert chip.unfinished
        os.write(master, frame(LISTED)[-2:])

        assert chip.answer() == LISTED_DATA


def test_a_silent_port_is_no_answer() -> None:
    with bare_line() as (_, line), pytest.raises(NoAnswerError):
        Chip(line).ask(2)


def test_what_is_wrong_is_reported_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    reasons = {
        str(tmp_path / "missing"): "there is no such device; is it plugged in?",
        str(tmp_path / "file"): "not a working serial port",
        "/dev/null": "not a working serial port",
        str(tmp_path): "Is a directory",
    }
    for path, reason in reasons.items():
        with listening(Pn532Reader(path)) as listener:
            lost = listener.event()
            assert isinstance(lost, ReaderLost)
            assert lost.reason.startswith(f"pn532 at {path}: ")
            assert reason in lost.reason
            assert "\n" not in lost.reason


def test_a_port_without_a_chip_is_reported_as_that() -> None:
    with bare_line() as (_, line):
        path = os.ttyname(line.fileno())
        line.close()
        with listening(Pn532Reader(path)) as listener:
            lost = listener.event()
            assert isinstance(lost, ReaderLost)
            assert lost.reason == (
                f"pn532 at {path}: no answer at 115200, 921600, 460800, 230400 baud;"
                " is it wired and powered?"
            )


@pytest.mark.parametrize(
    ("speed", "targets_max", "rearm_ms"),
    [(9600, 2, 90), (115_200, 0, 90), (115_200, 3, 90), (115_200, 2, 0)],
)
def test_settings_that_the_chip_does_not_know_are_refused(
    speed: int, targets_max: int, rearm_ms: int
) -> None:
    with pytest.raises(ValueError, match="no such setting"):
        Pn532Reader("/dev/null", speed=speed, targets_max=targets_max, rearm_ms=rearm_ms)


def test_a_reader_whose_name_belongs_to_another_device_now_is_closed(
    rig: Pn532Rig, tmp_path: Path
) -> None:
    other = Pn532Rig(tmp_path / "other")
    try:
        with listening(rig.reader()) as listener:
            listener.back()
            port, link = Path(other.path).readlink(), Path(rig.path)
            link.unlink()
            link.symlink_to(port)
            lost = listener.armed_event()
            assert isinstance(lost, ReaderLost)
            assert "another device" in lost.reason
            listener.back()
            other.present(UID)
            assert listener.uid() == UID
    finally:
        other.close()


def faulty_answer(rng: random.Random) -> bytes:
    """Return bytes that a PN532 might send, or that it never sends."""
    known = (
        ACK,
        frame(VERSION),
        frame(LISTED),
        frame(b"\xd5\x4b\x02"),
        frame(b"\x7f"),
        frame(b"\xd5"),
    )
    likely = [
        frame(bytes((0xD5, code)) + rng.randbytes(rng.choice((0, 0, 1, 9))))
        for code in (0x11, 0x13, 0x15, 0x33, 0x4B, 0x53)
    ]
    sent = b"".join(
        rng.choice([*known, *likely, rng.randbytes(5)]) for _ in range(rng.randrange(4))
    )
    return ACK + sent if rng.random() < 0.8 else sent[: rng.randrange(40)]


def faulty_device(master: int, seed: int, stop: Callable[[], bool]) -> None:
    rng = random.Random(seed)
    while not stop():
        try:
            os.read(master, 4096)
            os.write(master, faulty_answer(rng) + (frame(VERSION) if rng.random() < 0.5 else b""))
        except BlockingIOError:
            time.sleep(0.0005)


def chip_that_dies(
    master: int, dead: threading.Event, stop: threading.Event, late_s: float
) -> None:
    """Acknowledge each command, and answer all but InListPassiveTarget.

    Once dead, the line echoes acknowledgements alone, `late_s` late.
    """
    splitter = FrameSplitter()
    back: deque[float] = deque()
    while not stop.is_set():
        while back and back[0] <= time.monotonic():
            back.popleft()
            os.write(master, ACK)
        try:
            splitter.feed(os.read(master, 4096))
        except BlockingIOError:
            time.sleep(0.0005)
            continue
        while (received := splitter.next_frame()) is not None:
            if dead.is_set():
                back.extend([time.monotonic() + late_s] if received == ACK else [])
            elif received != ACK:
                code = received[6]
                answer = VERSION if code == 0x02 else bytes((0xD5, code + 1))
                os.write(master, ACK + (b"" if code == 0x4A else frame(answer)))


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.08, 0.15])
def test_an_acknowledgement_alone_that_comes_back_proves_no_chip_alive(late_s: float) -> None:
    with bare_line() as (master, line):
        path = os.ttyname(line.fileno())
        line.close()
        os.set_blocking(master, False)
        dead, stop = threading.Event(), threading.Event()
        device = threading.Thread(target=chip_that_dies, args=(master, dead, stop, late_s))
        device.start()
        try:
            with listening(Pn532Reader(path, speed=115_200)) as listener:
                listener.back()
                assert listener.armed_event(0.3) is None
                dead.set()
                lost = listener.event(10.0)
                assert isinstance(lost, ReaderLost)
                assert "no longer answers" in lost.reason
        finally:
            stop.set()
            device.join()


@pytest.mark.parametrize("seed", range(4))
def test_a_faulty_device_neither_raises_nor_holds_the_loop(seed: int) -> None:
    with bare_line() as (master, line):
        path = os.ttyname(line.fileno())
        line.close()
        os.set_blocking(master, False)
        stop = threading.Event()
        device = threading.Thread(target=faulty_device, args=(master, seed, stop.is_set))
        device.start()
        try:
            with listening(Pn532Reader(path)) as listener:
                events = listen_for(listener, 3.0)
        finally:
            stop.set()
            device.join()

    assert events & {ReaderBack, ReaderLost, CardSeen}


def listen_for(listener: Listener, wait_s: float) -> set[type]:
    events: set[type] = set()
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        events.add(type(listener.armed_event(deadline - time.monotonic())))
    return events


def test_the_waits_of_a_chip_are_those_of_the_clock_that_it_is_given() -> None:
    asked_ns: list[int] = []
    slept_s: list[float] = []

    def monotonic_ns() -> int:
        asked_ns.append(len(asked_ns) * 1_000_000_000)  # a second goes by at each call
        return asked_ns[-1]

    clock = LineClock(monotonic_ns, slept_s.append)
    with bare_line() as (master, line):
        path = os.ttyname(line.fileno())
        line.close()
        timed = Line(path, 100, clock)
        chip = Chip(timed, clock)
        try:
            chip.await_echo()
            assert len(asked_ns) == 2, "it waits until 0.25 s have gone by on this clock"
            with pytest.raises(NoAnswerError):
                chip.ask(2)
            assert len(asked_ns) > 2
            os.write(master, ACK)
            assert chip.ask(2) is None
            chip.close()
        finally:
            timed.close()
    assert slept_s == [0.001], "the pause after the abort of the request that was acknowledged"
