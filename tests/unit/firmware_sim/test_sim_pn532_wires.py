"""The simulated wire: pacing, speeds, the link, and the hang-up when the plug comes out."""

import os
import termios
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import serial

from firmware_sim.wires import LINE_MAX_BYTES, Line, Wire


def test_an_ideal_line_carries_at_once_and_keeps_the_order() -> None:
    line = Line(real=False)
    line.push(b"ab", 5, 9600)
    line.push(b"c", 5, 9600)
    assert line.pop(5) == b"abc"
    assert line.due_ns() is None


def test_a_real_line_takes_ten_bits_a_byte_and_one_chunk_after_the_other() -> None:
    line = Line(real=True)
    line.push(bytes(10), 0, 100_000)
    line.push(bytes(5), 0, 100_000)
    assert line.due_ns() == 1_000_000
    assert line.pop(999_999) == b""
    assert line.pop(1_000_000) == bytes(10)
    assert line.due_ns() == 1_500_000


def test_a_line_without_a_reader_drops_and_counts() -> None:
    line = Line(real=True)
    line.push(bytes(LINE_MAX_BYTES), 0, 9600)
    line.push(b"x", 0, 9600)
    assert line.dropped_bytes == 1
    assert len(line.pop(10**15)) == LINE_MAX_BYTES


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path / "reader", real=False, random=Random(1))
    yield made
    made.close()


def test_bytes_pass_both_ways_at_equal_speeds(wire: Wire) -> None:
    with serial.Serial(wire.path, 115200, timeout=5) as port:
        port.write(b"\x00\xff\n\r")
        wire.fill(0)
        assert wire.received(0) == b"\x00\xff\n\r"
        wire.send(b"\x11\x13\x7f\x00", 0)
        wire.flush(0)
        assert port.read(4) == b"\x11\x13\x7f\x00"


def test_bytes_at_another_speed_are_garbage_without_a_zero(wire: Wire) -> None:
    with serial.Serial(wire.path, 921600, timeout=5) as port:
        assert wire.host_baud() == 921600
        port.write(bytes(80))
        wire.fill(0)
        heard = wire.received(0)
        assert len(heard) == 10
        assert 0 not in heard
        wire.send(bytes(2), 0)
        wire.flush(0)
        assert 0 not in port.read(16)


def test_a_program_that_sets_no_speed_is_understood(wire: Wire) -> None:
    descriptor = os.open(wire.path, os.O_RDWR | os.O_NOCTTY)
    os.write(descriptor, b"x")
    wire.fill(0)
    assert wire.received(0) == b"x"
    os.close(descriptor)


def test_a_pulled_plug_is_a_hang_up_and_the_link_comes_back_with_the_plug(wire: Wire) -> None:
    with serial.Serial(wire.path, 115200, timeout=5) as port:
        wire.unplug()
        assert not os.path.lexists(wire.path)
        with pytest.raises((OSError, termios.error)):
            port.read(1)
    wire.plug()
    with serial.Serial(wire.path, 115200, timeout=5) as port:
        port.write(b"again")
        wire.fill(0)
        assert wire.received(0) == b"again"


def test_what_was_under_way_is_lost_with_the_plug(tmp_path: Path) -> None:
    wire = Wire(tmp_path / "reader", real=True, random=Random(1))
    wire.send(b"late", 0)
    wire.unplug()
    assert wire.due_ns() is None
    wire.send(b"too late", 0)
    wire.flush(10**12)
    assert wire.received(10**12) == b""


def test_an_old_link_is_taken_over_and_a_file_is_not(tmp_path: Path) -> None:
    link = tmp_path / "reader"
    link.symlink_to("/dev/null")
    first = Wire(link, real=False, random=Random(1))
    second = Wire(link, real=False, random=Random(1))
    target = link.readlink()
    first.close()
    assert link.readlink() == target  # it was the second's by then
    second.close()
    assert not os.path.lexists(link)
    link.write_text("precious")
    with pytest.raises(FileExistsError, match="symlink"):
        Wire(link, real=False, random=Random(1))
    assert link.read_text() == "precious"


def test_a_link_without_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="folder"):
        Wire(tmp_path / "none" / "reader", real=False, random=Random(1))
