"""`firmware-sim board` as a process on its pty, with pyserial and golden frames."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial
from click.testing import CliRunner

from firmware_sim.cli import main
from tests.support.machine.programs import WAIT_S, Program, program

FRAMES = {
    golden["name"]: bytes.fromhex(golden["frame"])
    for golden in json.loads(
        (Path(__file__).parent.parent / "golden" / "board_frames.json").read_text()
    )
}
HELLO = FRAMES["hello"]
OPEN_42 = FRAMES["open entry"]  # seq 7, 5000 ms
NOTICE = FRAMES["show notice with date"]  # seq 8


def unstuffed(frame: bytes) -> bytes:
    """COBS undone by hand, for frames without long runs."""
    out = bytearray()
    while frame:
        out += frame[1 : frame[0]] + b"\0"
        frame = frame[frame[0] :]
    return bytes(out[:-1])


class Port:
    """The lane's end of the line: frames as payloads without their CRC, heartbeats aside."""

    def __init__(self, path: str) -> None:
        self.serial = serial.Serial(path, 115200, timeout=WAIT_S, exclusive=True)
        self.serial.reset_input_buffer()

    def say(self, *frames: bytes) -> None:
        self.serial.write(b"".join(frames))

    def hear(self, kind: int) -> bytes:
        """Seq and body of the next frame of a type; others are passed over."""
        while True:
            frame = self.serial.read_until(b"\0")
            assert frame.endswith(b"\0"), "the board sent nothing in time"
            payload = unstuffed(frame[:-1])
            if payload and payload[0] == kind:
                return payload[1:-2]

    def greet(self) -> None:
        """Begin a session; the board's first heartbeat shows that it has begun."""
        self.say(HELLO)
        self.hear(0x2F)


@contextmanager
def board(folder: Path, *arguments: str) -> Iterator[tuple[Program, Port]]:
    link = folder / "board"
    with program("firmware_sim", "board", "--link", str(link), *arguments) as running:
        assert running.first_line() == str(link)
        port = Port(str(link))
        try:
            port.greet()
            running.event("session")
            yield running, port
        finally:
            port.serial.close()


def test_a_passage_by_golden_frames(tmp_path: Path) -> None:
    with board(tmp_path, "--passenger", "manual") as (running, port):
        before_ns = time.monotonic_ns()
        port.say(OPEN_42, NOTICE)
        assert [port.hear(0x02)[1], port.hear(0x02)[1]] == [7, 8]
        opened = running.event("open")
        assert (opened["tap"], opened["direction"], opened["hold_ms"]) == (42, "entry", 5000)
        assert before_ns < opened["at_ns"] < time.monotonic_ns()
        shown = running.event("show", by="lane")
        assert (shown["outcome"], shown["date"], shown["lamp"]) == (
            "admitted_with_notice",
            "2021-01-15",
            "green",
        )
        running.say("pass")
        assert port.hear(0x20)[1:5] == (42).to_bytes(4, "big")
        assert running.event("passed")["tap"] == 42


def test_a_passenger_walks_through_by_himself(tmp_path: Path) -> None:
    with board(tmp_path, "--walk-ms", "20") as (_, port):
        port.say(OPEN_42)
        assert port.hear(0x20)[1:] == bytes.fromhex("0000002a 0014")


def test_an_event_without_an_ack_comes_four_times_and_then_a_new_session(tmp_path: Path) -> None:
    with board(tmp_path, "--passenger", "manual") as (running, port):
        running.say("push")
        assert [port.hear(0x22) for _ in range(4)] == [b"\0"] * 4
        assert "not acknowledge" in running.event("lane_lost")["reason"]
        assert port.hear(0x01)


def test_real_timing_still_opens(tmp_path: Path) -> None:
    with board(tmp_path, "--timing", "real", "--walk-ms", "5") as (running, port):
        started_ns = time.monotonic_ns()
        port.say(OPEN_42)
        opened = running.event("open")
        # 13 bytes at 115200 baud, stamped when the last of them is through.
        assert opened["at_ns"] - started_ns >= 1_000_000
        assert port.hear(0x20)[5:] == bytes.fromhex("0005")


def test_unplugged_and_back_behind_the_same_link(tmp_path: Path) -> None:
    with board(tmp_path) as (running, port):
        running.say("unplug")
        running.event("unplugged")
        with pytest.raises((OSError, serial.SerialException)):
            port.serial.read(4096)  # more than can have come: it would wait for the rest
        assert not (tmp_path / "board").exists()
        running.say("replug")
        running.event("replugged")
        again = Port(str(tmp_path / "board"))
        again.greet()
        again.serial.close()


def test_emergency_reaches_a_lane_that_comes_later() -> None:
    with program("firmware_sim", "board") as running:
        path = running.first_line()
        running.say("emergency on")
        running.event("emergency", on=True)
        port = Port(path)
        port.say(HELLO)
        assert port.hear(0x2F)[-1] == 0x01
        port.serial.close()


def test_its_own_reader_sends_a_card(tmp_path: Path) -> None:
    with board(tmp_path, "--reader") as (running, port):
        running.say("present 04a1b2c3d4e5f6")
        assert port.hear(0x25)[1:] == bytes.fromhex("01 00 20 0344 04a1b2c3d4e5f6")


def test_restart_in_the_middle_of_a_passage(tmp_path: Path) -> None:
    with board(tmp_path, "--fault", "restart-on-open") as (running, port):
        port.say(OPEN_42)
        running.event("open")
        running.event("started")
        hello = port.hear(0x01)
        assert hello[:2] == b"\x80\x02", "the board, protocol 2"
        port.greet()
        running.event("session")
        running.say("status")
        assert running.event("status")["arms"] == "locked"


def test_a_bad_verb_is_one_error_and_changes_nothing(tmp_path: Path) -> None:
    with board(tmp_path) as (running, _):
        running.say("status")
        before = running.event("status")
        running.say("dance")
        assert "dance" in running.event("error")["message"]
        running.say("status")
        after = running.event("status")
        assert {**after, "at_ns": 0} == {**before, "at_ns": 0}


def test_quit_leaves_no_link(tmp_path: Path) -> None:
    with board(tmp_path) as (running, _):
        running.say("quit")
        assert running.process.wait(WAIT_S) == 0
    assert not os.path.lexists(tmp_path / "board")


def test_sigterm_leaves_no_link(tmp_path: Path) -> None:
    with board(tmp_path) as (running, _):
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(WAIT_S) == 0
    assert not os.path.lexists(tmp_path / "board")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timing", "fast"],
        ["--fault", "flood"],
        ["--fault", "delayed"],
        ["--walk-ms", "-1"],
        ["--link", "/nowhere/board"],
        ["--lnk", "x"],
        ["extra"],
    ],
)
def test_bad_arguments_get_one_line_and_exit_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["board", *arguments])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("firmware-sim: board: ")
