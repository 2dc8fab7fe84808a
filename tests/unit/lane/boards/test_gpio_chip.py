"""The kernel's chips as the driver finds and asks them; gpiod is replaced, the kernel is not here.

tests/machine tries the same on a chip of the real kernel.
"""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from validator.lane.boards.gpio.lines import ChipError
from validator.lane.boards.gpio.wiring import Input, Output
from validator.lane.ports import IN_USE

chip = pytest.importorskip("validator.lane.boards.gpio.chip", reason="the extra gpio is missing")


class KernelChip:
    """What gpiod.Chip shows of one chip."""

    labels: dict[str, str | int]  # by device name: a label, or the errno of opening it
    request_error = 0
    consumer = "turnike"
    asked: dict[str, Any]

    def __init__(self, path: str) -> None:
        found = self.labels[Path(path).name]
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        self.label = found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(label=self.label, num_lines=8)

    def get_line_info(self, line: int) -> SimpleNamespace:
        return SimpleNamespace(used=line == 3, consumer=self.consumer)

    def request_lines(self, config: dict[int, Any], **named: Any) -> SimpleNamespace:
        if self.request_error:
            raise OSError(self.request_error, os.strerror(self.request_error))
        KernelChip.asked = {"config": config, **named}
        reader, writer = os.pipe()
        os.close(writer)
        return SimpleNamespace(fd=reader, release=lambda: os.close(reader))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[KernelChip]:
    """A kernel whose chips a test names in `labels`."""

    class Kernel(KernelChip):
        labels: dict[str, str | int] = {}  # noqa: RUF012 — each test has a class of its own

    monkeypatch.setattr(chip.gpiod, "Chip", Kernel)

    def glob(folder: Path, pattern: str) -> list[Path]:
        assert (str(folder), pattern) == ("/dev", "gpiochip*")
        return [tmp_path / name for name in Kernel.labels]

    monkeypatch.setattr(chip.Path, "glob", glob)
    return Kernel


def refusal(label: str = "sim", outputs: tuple[Output, ...] = (Output(3),)) -> str:
    with pytest.raises(ChipError) as caught:
        chip.open_lines(label, outputs, ())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_chip_is_found_by_its_label_whatever_its_number(kernel: type[KernelChip]) -> None:
    kernel.labels = {"gpiochip0": "other", "gpiochip1": errno.ENODEV, "gpiochip7": "sim"}
    lines = chip.open_lines("sim", (Output(3, active_low=True),), (Input(4, debounce_ms=30),))
    assert lines.fileno() >= 0
    config = kernel.asked["config"]
    assert config[3].active_low
    assert config[3].output_value is chip.Value.INACTIVE, "a relay does not twitch at the start"
    assert config[4].debounce_period.total_seconds() == 0.03
    assert config[4].edge_detection is chip.Edge.BOTH
    assert config[4].bias is chip.Bias.PULL_UP
    assert kernel.asked["consumer"] == "turnike"
    lines.close()


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "this machine has no GPIO chip"),
        ({"gpiochip0": "b", "gpiochip1": "a"}, "no chip has this label; there are a, b"),
        ({"gpiochip0": "sim", "gpiochip2": "sim"}, "both have this label; leave one plugged in"),
        ({"gpiochip0": errno.EACCES}, "is deploy/udev in place, or this user in their group?"),
        ({"gpiochip0": errno.EPERM}, "is deploy/udev in place, or this user in their group?"),
    ],
)
def test_a_chip_that_is_not_there_is_explained(
    kernel: type[KernelChip], labels: dict[str, str | int], told: str
) -> None:
    kernel.labels = labels
    assert told in refusal()


def test_a_line_that_the_chip_lacks_is_named(kernel: type[KernelChip]) -> None:
    kernel.labels = {"gpiochip0": "sim"}
    assert refusal(outputs=(Output(8),)) == "it has no line 8, only 0 to 7"


@pytest.mark.parametrize(
    ("consumer", "told"),
    [
        ("turnike", "line 3 is in use by 'turnike'; does a lane run on it already?"),
        ("spi0 CS0", "'spi0 CS0' has line 3; wire another line, or switch that off (`gpioinfo`)"),
        ("", "another driver or program has line 3; wire another line, or switch that off (`gpi"),
        (
            "a\x1b[2J\n",
            r"'a\x1b[2J\n' has line 3; wire another line, or switch that off (`gpioinfo",
        ),
    ],
)
def test_the_holder_of_a_line_is_named(kernel: type[KernelChip], consumer: str, told: str) -> None:
    kernel.labels = {"gpiochip0": "sim"}
    kernel.request_error = errno.EBUSY
    kernel.consumer = consumer
    assert refusal().startswith(told)
    assert (IN_USE in refusal()) == (consumer == "turnike"), "a note of `check` for a lane alone"


def test_what_else_the_kernel_refuses_stays_its_error(kernel: type[KernelChip]) -> None:
    kernel.labels = {"gpiochip0": "sim"}
    kernel.request_error = errno.ENXIO
    with pytest.raises(OSError, match="No such device or address"):
        chip.open_lines("sim", (), (Input(4),))


def test_a_descriptor_that_hangs_up_is_a_chip_that_left(kernel: type[KernelChip]) -> None:
    kernel.labels = {"gpiochip0": "sim"}
    lines = chip.open_lines("sim", (Output(3),), ())
    with pytest.raises(OSError, match="No such device"):
        lines.edges()  # the other end of the pipe is closed
    lines.close()
