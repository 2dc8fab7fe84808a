"""The chip of an RC-S380 carries out steps on a line that a test plays itself."""

import errno
from collections import deque
from collections.abc import Generator

import pytest

from validator.lane.readers.rcs380 import frames
from validator.lane.readers.rcs380.chip import (
    ANSWER_NS,
    STRAYS_MAX,
    TRANSFERS_MAX,
    Chip,
    NoAnswerError,
    start,
)
from validator.lane.readers.rcs380.radio import ChipError, Pause, Send, WrongAnswerError
from validator.lane.readers.rcs380.usb_line import FloodError, UsbLine

ACK = bytes.fromhex("0000ff00ff00")
ERROR = bytes.fromhex("0000ffffff")


def answer(code: int, body: bytes) -> bytes:
    data = bytes((0xD7, code + 1)) + body
    size = len(data).to_bytes(2, "little")
    return ERROR + size + bytes((-sum(size) & 0xFF,)) + data + bytes((-sum(data) & 0xFF, 0))


class Table:
    """A line: what the chip sends is put there by the test."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.coming: deque[bytes] = deque()
        self.now_ns = 0
        self.listened = 0
        self.closed = False
        self.is_sending = False

    def fileno(self) -> int:
        return -1

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def listen(self) -> bytes | None:
        self.listened += 1
        return self.coming.popleft() if self.coming else None

    def wait(self, wait_s: float) -> None:
        self.now_ns += int(wait_s * 1e9)

    def close(self) -> None:
        self.closed = True


def steps() -> Generator[Send | Pause, bytes, str]:
    first = yield Send(0x20, b"")
    yield Pause(6_000_000)
    second = yield Send(0x06, b"\x00")
    return f"{first.hex()} {second.hex()}"


@pytest.fixture
def line() -> Table:
    return Table()


@pytest.fixture
def chip(line: Table) -> Chip:
    return Chip(line, clock=lambda: line.now_ns)


def test_steps_go_on_as_answers_come_and_pauses_end(line: Table, chip: Chip) -> None:
    chip.begin(steps())
    assert line.sent == [bytes.fromhex("0000ffffff0200fed6200a00")]
    assert chip.advance() is None
    line.coming += [ACK, answer(0x20, b"\x11\x01")]
    assert chip.advance() is None
    assert chip.deadline_ns() == 6_000_000
    assert len(line.sent) == 1
    line.now_ns = 6_000_000
    assert chip.advance() is None
    assert len(line.sent) == 2
    line.coming += [ACK, answer(0x06, b"\x00")]
    assert chip.advance() == "1101 00"
    assert chip.is_idle
    assert chip.advance() is None, "a result is returned once"


def test_an_answer_without_its_acknowledgement_counts(line: Table, chip: Chip) -> None:
    chip.begin(steps())
    line.coming.append(answer(0x20, b"\x11\x01"))
    chip.advance()
    assert chip.deadline_ns() == 6_000_000


def test_an_acknowledgement_alone_is_no_answer(line: Table, chip: Chip) -> None:
    chip.begin(steps())
    line.coming.append(ACK)
    line.now_ns = ANSWER_NS
    with pytest.raises(NoAnswerError, match="no longer answers"):
        chip.advance()
    assert chip.is_idle


def test_a_chip_that_has_not_taken_a_command_is_given_half_a_second(
    line: Table, chip: Chip
) -> None:
    chip.begin(steps())
    line.is_sending = True
    for _ in range(3):
        line.now_ns += ANSWER_NS
        assert chip.advance() is None
    line.now_ns += ANSWER_NS
    with pytest.raises(NoAnswerError):
        chip.advance()


def test_an_answer_that_waited_while_this_machine_did_not_run_counts(
    line: Table, chip: Chip
) -> None:
    chip.begin(steps())
    line.coming += [ACK, answer(0x20, b"\x11\x01")]
    line.now_ns = 60_000_000_000
    assert chip.advance() is None
    assert not chip.is_idle


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x00",
        ERROR,
        answer(0x22, b"\x00\x01"),
        answer(0x20, b"\x11\x01")[:-3],
        answer(0x20, b"\x11\x01") + b"\x00",
        answer(0x20, b"\x11\x01")[:-2] + b"\x00\x00",
        answer(0x20, b"\x11\x01").replace(b"\xd7", b"\xd6"),
        frames.command(0x20, b""),
        bytes(320),
    ],
)
def test_what_is_no_answer_to_the_command_ends_the_steps(
    line: Table, chip: Chip, wrong: bytes
) -> None:
    chip.begin(steps())
    line.coming += [ACK, wrong]
    with pytest.raises(WrongAnswerError):
        chip.advance()
    assert chip.is_idle


def test_what_comes_in_a_pause_is_dropped(line: Table, chip: Chip) -> None:
    chip.begin(chip.radio.restart())
    assert line.sent == [ACK]
    line.coming += [answer(0x04, b"late"), ERROR]
    assert chip.advance() is None
    assert not chip.is_idle


def test_a_chip_that_floods_is_read_a_little_at_a_time_and_lost(line: Table, chip: Chip) -> None:
    line.coming += [answer(0x04, bytes(8))] * (2 * STRAYS_MAX)
    for _ in range(STRAYS_MAX // TRANSFERS_MAX):
        before = line.listened
        chip.advance()
        assert line.listened - before == TRANSFERS_MAX
    with pytest.raises(FloodError, match="without being asked"):
        chip.advance()


def test_a_chip_that_acknowledges_for_ever_is_silent(line: Table, chip: Chip) -> None:
    chip.begin(steps())
    line.coming += [ACK] * 100
    line.now_ns = ANSWER_NS
    with pytest.raises(NoAnswerError):
        chip.advance()


def test_a_command_that_the_chip_refuses_is_named(line: Table, chip: Chip) -> None:
    chip.begin(chip.radio.reset_field())
    line.coming += [ACK, answer(0x06, b"\x01")]
    with pytest.raises(ChipError, match="PARAMETER_ERROR"):
        chip.advance()
    assert chip.is_idle


def test_a_silent_chip_is_closed_all_the_same(line: Table, chip: Chip) -> None:
    chip.close()
    assert line.closed
    assert line.sent[-1] == frames.command(0x06, b"\x00"), "it was asked to switch the field off"
    assert line.now_ns <= 2 * ANSWER_NS


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0" * 9, ERROR, ERROR + b"\2", answer(0x10, b"\0"), answer(0x2A, b"")[:-4]],
    ids=["nothing", "zeros", "error", "a head", "another answer", "cut off"],
)
def test_garbage_at_the_start_is_no_fault_of_the_library_that_reads_it(
    garbage: bytes,
) -> None:
    class Babbling(UsbLine):
        """A line whose device acknowledges, and sends garbage for every answer."""

        def __init__(self) -> None:
            self._coming: deque[bytes] = deque()

        def limit_reads(self, transfers_max: int | None) -> None:
            """Each command brings two transfers."""

        def write(self, frame: bytes, timeout: float = 0) -> None:
            assert timeout >= 0
            if frame != ACK:
                self._coming.extend((ACK, garbage))

        def read(self, timeout: float = 0) -> bytearray:
            assert timeout >= 0
            if not self._coming:
                raise OSError(errno.ETIMEDOUT, "it does not answer")
            return bytearray(self._coming.popleft())

        def close(self) -> None:
            """Nothing to close."""

    with pytest.raises((WrongAnswerError, OSError)):
        start(Babbling())
