"""Fixtures that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import Gate, serving
from tests.support.gate.console_lane import (
    FakeLane,
    fake_lane,
)
from tests.support.gate.console_process import Console, console, with_console
from tests.support.machine.programs import Program, lane_config


@pytest.fixture(scope="module")
def watched(devices: Gate) -> Iterator[tuple[Gate, Program, Console]]:
    """A gate with a lane and a console."""
    with (
        serving(devices) as lane,
        console(with_console(devices.config, devices.folder / "lane.sock")) as made,
    ):
        made.program.event("lane", up=True)
        yield devices, lane, made


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[FakeLane, Console]]:
    """A console with a fake lane that sends what the test gives it."""
    with (
        fake_lane(tmp_path / "lane.sock") as lane,
        console(with_console(lane_config(tmp_path), lane.path)) as made,
    ):
        made.program.event("lane", up=True)
        yield lane, made
