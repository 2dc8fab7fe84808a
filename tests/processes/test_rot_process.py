"""Bits rot under a running courier and lane: one line, no traceback, the list is back in a poll."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.processes.courier_rig import CourierGate, courier_town, state
from tests.support.city.town import Town, uid
from tests.support.machine.programs import program
from tests.support.machine.rot import flipped, write_over
from validator.lists.segment import HEADER_BYTES

FIRST, SECOND, THIRD = uid(1), uid(2), uid(3)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A city that has suspended one card."""
    with courier_town(tmp_path) as made:
        made.publish(FIRST)
        yield made


@pytest.fixture
def gate(town: Town, tmp_path: Path) -> CourierGate:
    """A gate that asks each second."""
    return CourierGate(tmp_path / "gate", town)


def base(gate: CourierGate) -> Path:
    """The segment on the SD card."""
    [path] = (gate.folder / "lists").glob("*.seg")
    return path


def devices(gate: CourierGate, stack: ExitStack) -> None:
    """Reader and board of the gate's lane."""
    for kind in ("board", "pn532"):
        link = str(gate.folder / ("board" if kind == "board" else "reader"))
        stack.enter_context(program("firmware_sim", kind, "--link", link)).first_line()


@pytest.mark.parametrize("bit", [8 * 20, 8 * HEADER_BYTES], ids=["of the header", "of a card"])
def test_a_base_that_rots_before_the_lane_starts_is_back_within_a_poll(
    town: Town, gate: CourierGate, bit: int
) -> None:
    with ExitStack() as stack:
        devices(gate, stack)
        courier = stack.enter_context(closing(gate.courier()))
        state(courier, "fresh", list_version=1)
        path = base(gate)
        write_over(path, flipped(path.read_bytes(), bit))
        lane = stack.enter_context(closing(gate.lane()))
        courier.event("courier problem", problem=f"{path.name}: damaged, and replaced")
        lane.event("list", list_version=1)
        town.publish(SECOND)
        state(courier, "fresh", list_version=2)
        lane.event("list", list_version=2)
        assert courier.process.poll() is None
        assert not [line for line in courier.heard if "text" in line], "no traceback"


def test_every_file_of_a_running_courier_may_rot_and_it_goes_on(
    town: Town, gate: CourierGate
) -> None:
    with closing(gate.courier()) as courier:
        state(courier, "fresh", list_version=1)
        town.publish(SECOND)
        state(courier, "fresh", list_version=2)
        version = 2
        for folder in ("lists", "recent", "lists/pieces"):
            for path in sorted((gate.folder / folder).iterdir()):
                if path.is_file():
                    write_over(path, flipped(path.read_bytes(), 8 * 20))
                    version = town.publish(
                        *([THIRD] if version % 2 else []), lifted=() if version % 2 else (THIRD,)
                    )
                    state(courier, "fresh", list_version=version)
        assert not [line for line in courier.heard if "text" in line], "no traceback"
        assert courier.end() == 0


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_planted_in_the_list_folder_blocks_no_start_and_is_not_followed(
    town: Town, gate: CourierGate, kind: str
) -> None:
    with closing(gate.courier()) as courier:
        state(courier, "fresh", list_version=1)
        names = [path.name for path in (gate.folder / "lists").iterdir() if path.is_file()]
        assert courier.end() == 0
    elsewhere = gate.folder / "elsewhere"
    elsewhere.write_bytes(b"somebody's")
    for name in names:
        for path in (gate.folder / "lists" / name, gate.folder / "lists" / f".new-{name}"):
            path.unlink(missing_ok=True)
            match kind:
                case "pipe":
                    os.mkfifo(path)
                case "link":
                    path.symlink_to(elsewhere)
                case _:
                    path.mkdir()
    town.publish(SECOND)
    with closing(gate.courier()) as courier:
        state(courier, "fresh", list_version=2)
        assert courier.end() == 0
    assert elsewhere.read_bytes() == b"somebody's"
    assert all((gate.folder / "lists" / name).is_file() for name in ("accepted.json", "root.json"))


def test_a_gate_of_an_earlier_version_starts_without_a_network_and_is_covered_then(
    gate: CourierGate,
) -> None:
    with closing(gate.courier()) as courier:
        state(courier, "fresh", list_version=1)
        assert courier.end() == 0
    lists = gate.folder / "lists"
    (lists / "accepted.copy.json").unlink()
    for path in (lists / "accepted.json", lists / "1.1.manifest.json"):
        content = path.read_bytes()
        path.write_bytes(b"{" + content[46 + 1 :])
    shutil.rmtree(gate.folder / "recent")
    with closing(gate.courier(url="http://127.0.0.1:9/")) as courier:
        state(courier, "unreachable", list_version=1)
        assert courier.end() == 0
    for name in ("accepted.json", "accepted.copy.json", "1.1.manifest.json"):
        assert (lists / name).read_bytes().startswith(b'{"checksum":"')
