"""A gate whose SD card the kernel has made read-only: a real ext4 that has met an error.

What can go on goes on, and what cannot is logged.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.courier_rig import CourierGate, courier_town, state
from tests.processes.lane_on_a_disk import Ext4, missing
from tests.processes.test_files_that_go import ask, clerk
from tests.support.city.town import Town, uid
from tests.support.machine.programs import program
from validator.check import Finding, examine
from validator.config import load
from validator.host.mounts import read_only

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
    """What `turnike check` prints."""
    return [finding for finding in examine(load(gate.configured())) if finding.subject == subject]


def test_a_courier_whose_disk_becomes_read_only_reports_it_at_the_next_poll_and_keeps_asking(
    tmp_path: Path, town: Town
) -> None:
    gate = CourierGate(tmp_path / "gate", town)
    config = str(gate.configured())
    with (
        ext4(gate.folder / "lists") as disk,
        program("validator", "courier", "--config", config) as courier_,
    ):
        state(courier_, "fresh", list_version=1)
        disk.do("break")
        told = state(courier_, "disk", list_version=1)
        assert "Read-only file system; nothing new can be kept" in told["problem"]
        assert gate.status()["state"] == "disk"
        (courier_finding,) = found(gate, "courier")
        assert (courier_finding.mark, "Read-only file system" in courier_finding.text) == (
            "note",
            True,
        )
        (disk_finding,) = found(gate, "disk")
        assert (disk_finding.mark, "Read-only file system" in disk_finding.text) == ("note", True)
        courier_.kill()
        with program("validator", "courier", "--config", config) as again:
            told = state(again, "disk", list_version=1)
            assert "Read-only file system" in told["problem"]
            town.publish(uid(2))
            told = again.wait_for(
                lambda line: "list 2 is signed" in line.get("problem", ""), LONG_S
            )
            assert (told["list_version"], told["accepted_version"]) == (1, 1)
            assert not list((gate.folder / "recent").glob("*.2.manifest.json")), (
                "what cannot be kept is not used"
            )
            again.kill()


def test_without_a_folder_in_memory_what_is_signed_is_verified_all_the_same(
    tmp_path: Path, town: Town
) -> None:
    gate = CourierGate(tmp_path / "gate", town)
    config = gate.configured()
    config.write_text(config.read_text().replace(f'recent = "{gate.folder}/recent"\n', ""))
    with ext4(gate.folder / "lists") as disk:
        with program("validator", "courier", "--config", str(config)) as courier_:
            state(courier_, "fresh", list_version=1)
            town.publish(uid(2))
            state(courier_, "fresh", list_version=2)
            disk.do("break")
            courier_.event("courier", LONG_S, state="disk", list_version=2)
            courier_.kill()
        told = [finding for finding in examine(load(config)) if finding.subject == "courier"]
        assert [finding.mark for finding in told] == ["note"]
        assert "Read-only file system" in told[0].text
        town.publish(uid(3))
        with program("validator", "courier", "--config", str(config)) as again:
            again.wait_for(lambda line: "list 3 is signed" in line.get("problem", ""), LONG_S)
            again.kill()


def test_reports_that_wait_on_a_disk_that_takes_nothing_reach_the_city_and_are_counted(
    tmp_path: Path,
) -> None:
    (tmp_path / "reports").mkdir()
    socket_ = tmp_path / "lane.sock"
    with ext4(tmp_path / "reports") as disk:
        lane = clerk(tmp_path, 1, 7)
        try:
            before = ask(socket_, request="reports")["reports"]
            assert len(before) == 7
            disk.do("break")
            lane.event("reports problem", LONG_S)
            told = ask(socket_, request="status")["status"]
            assert (
                told["reports_waiting"],
                "Read-only file system" in told["reports_trouble"],
            ) == (7, True)
            assert ask(socket_, request="reports")["reports"] == before
            ids = [each["report_id"] for each in before]
            assert ask(socket_, request="delivered", ids=ids[:5]) == {"forgotten": 5}
            assert ask(socket_, request="status")["status"]["reports_waiting"] == 2
        finally:
            lane.kill()
            lane.close()
        with program("tests.processes.denial_lane", str(tmp_path), "8", "0", "log") as again:
            again.event("reports problem", LONG_S)
            assert ask(socket_, request="reports")["reports"] == before, (
                "what could not be kept is not claimed"
            )
            assert ask(socket_, request="status")["status"]["reports_waiting"] == 7


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


def test_a_second_courier_is_refused_also_after_the_folder_was_removed(
    tmp_path: Path, town: Town
) -> None:
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


def test_the_state_that_an_ext4_with_an_error_reports_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with ext4(tmp_path / "disk") as disk:
        (tmp_path / "disk" / "file").touch()
        assert read_only(tmp_path / "disk", "file") == ""
        disk.do("break")
        assert read_only(tmp_path / "disk", "file") == f"{tmp_path}/disk: Read-only file system"
