"""A gate whose SD card the kernel has made read-only: a real ext4 that has met an error. What can go on goes on, and what cannot is said."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.courier_rig import CourierGate, courier_town, state
from tests.processes.lane_on_a_disk import Ext4, missing
from tests.programs import program
from tests.town import Town, uid
from validator.adapters.mounts import read_only
from validator.check import Finding, examine
from validator.config import load

LONG_S = 90.0
DISK_BYTES = 160 << 20  # sparse; pieces leave 64 MiB free


@contextmanager
def ext4(mount: Path) -> Iterator[Ext4]:
    """A disk, mounted there until the end; nothing is under it."""
    if why := missing("ext4"):
        pytest.skip(why)
    disk = Ext4(mount, DISK_BYTES)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=False)
        subprocess.run(["umount", "--lazy", str(mount)], check=False)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A city that has published once."""
    with courier_town(tmp_path / "town") as made:
        made.publish(uid(1))
        yield made


def found(gate: CourierGate, subject: str) -> list[Finding]:
    """What `turnike check` says of it."""
    return [finding for finding in examine(load(gate.configured())) if finding.subject == subject]


def test_a_courier_whose_disk_becomes_read_only_says_so_at_the_next_poll_and_keeps_asking(
    tmp_path: Path, town: Town
) -> None:
    gate = CourierGate(tmp_path / "gate", town)
    config = str(gate.configured())
    with ext4(gate.folder / "lists") as disk, program("validator", "courier", "--config", config) as courier_:
        state(courier_, "fresh", list_version=1)
        disk.do("break")
        told = state(courier_, "disk", list_version=1)
        assert "Read-only file system; nothing new can be kept" in told["problem"]
        assert gate.status()["state"] == "disk"
        (courier_finding,) = found(gate, "courier")
        assert (courier_finding.mark, "Read-only file system" in courier_finding.text) == ("note", True)
        (disk_finding,) = found(gate, "disk")
        assert (disk_finding.mark, "Read-only file system" in disk_finding.text) == ("note", True)
        courier_.kill()
        with program("validator", "courier", "--config", config) as again:
            told = state(again, "disk", list_version=1)
            assert "Read-only file system" in told["problem"]
            town.publish(uid(2))
            told = again.wait_for(lambda line: "list 2 is signed" in line.get("problem", ""), LONG_S)
            assert (told["list_version"], told["accepted_version"]) == (1, 1)
            assert not list((gate.folder / "recent").glob("*.2.manifest.json")), (
                "what cannot be kept is not used"
            )
            again.kill()


@pytest.mark.parametrize("name", ["lists", "recent", "lists/pieces", "lists and recent"])
def test_folders_that_are_removed_under_a_running_courier_are_made_again(
    name: str, tmp_path: Path, town: Town
) -> None:
    gate = CourierGate(tmp_path / "gate", town)
    with program("validator", "courier", "--config", str(gate.configured())) as courier_:
        state(courier_, "fresh", list_version=1)
        for each in name.split(" and "):
            (gate.folder / each).rename(tmp_path / "gone")
            shutil.rmtree(tmp_path / "gone")
        town.publish(uid(2))
        courier_.event("courier", LONG_S, state="fresh", list_version=2)
        assert (gate.folder / "lists" / "pieces").is_dir()


def test_a_second_courier_is_refused_also_after_the_folder_was_removed(tmp_path: Path, town: Town) -> None:
    gate = CourierGate(tmp_path / "gate", town)
    with program("validator", "courier", "--config", str(gate.configured())) as first:
        state(first, "fresh", list_version=1)
        shutil.rmtree(gate.folder / "lists")
        town.publish(uid(2))
        first.event("courier", LONG_S, state="fresh", list_version=2)
        with program("validator", "courier", "--config", str(gate.configured())) as second:
            assert second.process.wait(LONG_S) == 2
            assert second.process.stderr is not None
            assert b"another courier writes here" in second.process.stderr.read()


def test_what_an_ext4_that_met_an_error_says_of_itself_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with ext4(tmp_path / "disk") as disk:
        (tmp_path / "disk" / "file").touch()
        assert read_only(tmp_path / "disk", "file") == ""
        disk.do("break")
        assert read_only(tmp_path / "disk", "file") == f"{tmp_path}/disk: Read-only file system"
