"""The disk under an outbox: it fails, is full, cannot be written, or loses its files."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gate.outboxes import (
    ids,
    nearly_full,
    outbox,
    report,
    seqs,
)
from validator.lane.outbox.outbox import OutboxLimits
from validator.lane.ports import OutboxError

pytestmark = pytest.mark.filterwarnings("error")


def test_the_reserve_of_the_disk_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    monkeypatch.setattr("validator.lane.outbox.folder.os.statvfs", nearly_full)
    box.prepare()
    assert not box.append(report())
    assert box.trouble.endswith("outbox: the disk is full; make room on it")
    monkeypatch.undo()
    assert box.append(report())


def test_a_disk_that_fails_is_reported_once_and_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    box = outbox(tmp_path, monotonic_s=lambda: clock[0])
    assert box.append(report(1))

    def broken(_path: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr("validator.lane.outbox.folder.os.statvfs", broken)
        box.prepare()
        assert [box.append(report(tap)) for tap in range(3)] == [False] * 3
        assert "Input/output error" in box.trouble
        assert len(box.oldest(1)) == 1, "reports that can be read are returned all the same"
    assert len(box.news) == 1
    assert not box.append(report(5)), "it is not tried again before a second has gone by"
    clock[0] += 1.1
    assert box.append(report(6))
    assert (box.trouble, box.refused) == ("", 4)
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(1, 0), (2, 4)]


def test_a_disk_that_cannot_be_checked_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    box = outbox(tmp_path, monotonic_s=lambda: clock[0])
    monkeypatch.setattr("validator.lane.outbox.folder.os.statvfs", _gone)
    box.prepare()
    for _ in range(5):
        clock[0] += 1.1
        assert not box.append(report())
    assert len(box.news) == 1


def test_opening_writes_little_however_many_wait(tmp_path: Path) -> None:
    box = outbox(tmp_path, OutboxLimits(reserve_bytes=0))
    with box._database.cache.transact():  # one sync for all
        for tap in range(5_000):
            assert box.append(report(tap))
    box.close()
    before = _written_bytes()
    again = outbox(tmp_path, OutboxLimits(reserve_bytes=0))
    assert again.waiting == 5_000
    assert _written_bytes() - before < 150_000, "an index that is made again would be twice that"


def _written_bytes() -> int:
    """By this process, so far (proc_pid_io(5))."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])


def test_two_lanes_never_share_an_outbox(tmp_path: Path) -> None:
    first, second = outbox(tmp_path), outbox(tmp_path, open_=False)
    assert not second.open()
    assert "another lane keeps its reports here" in second.trouble
    assert not second.append(report())
    assert first.append(report())
    first.close()
    assert second.open()
    assert seqs(second) == [1]


def test_trouble_is_over_when_there_is_room_again_also_before_the_next_denial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    with monkeypatch.context() as full:
        full.setattr("validator.lane.outbox.folder.os.statvfs", nearly_full)
        box.prepare()
        assert not box.append(report())
        box.try_again()
        assert box.trouble.endswith("outbox: the disk is full; make room on it")
    box.try_again()
    assert box.trouble == ""


def test_how_much_room_there_is_can_be_asked_and_need_not_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    assert (box.free_bytes() or 0) > 0
    monkeypatch.setattr("validator.lane.outbox.folder.os.statvfs", _gone)
    assert box.free_bytes() is None


def _gone(_path: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def log_removed(folder: Path) -> None:
    (folder / "cache.db-wal").unlink()


def moved_away(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize("gone", [emptied, removed, log_removed, moved_away])
def test_reports_whose_files_are_removed_under_the_lane_are_kept_again(
    gone: Callable[[Path], None], tmp_path: Path
) -> None:
    """SQLite also writes to removed files, and all of that is gone when the lane ends."""
    box = outbox(tmp_path)
    for tap in range(5):
        assert box.append(report(tap))
    box.reject(ids(box)[0], "for a test")
    gone(tmp_path / "outbox")
    assert box.append(report(7)), "SQLite does not notice it"
    before = box.oldest(9)
    assert len(before) == 5
    box.prepare()  # as the clerk does first
    box.try_again()
    assert box.trouble == ""
    assert "were removed or replaced while the lane ran" in box.news[0]
    assert (box.waiting, box.rejected, box.oldest(9)) == (5, 1, before)
    assert box.append(report(8))
    box.try_again()
    assert len(box.news) == 1
    after = box.oldest(9)
    shutil.copytree(tmp_path / "outbox", tmp_path / "left" / "outbox")  # as a power cut leaves it
    again = outbox(tmp_path / "left")
    assert (again.news, again.oldest(9), again.rejected) == ([], after, 1)


def test_a_report_is_deleted_by_its_id_also_after_its_place_has_changed(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(5):
        assert box.append(report(tap))
    box.forget(ids(box, 2))
    first, second, third = ids(box)  # in places 3 to 5
    removed(tmp_path / "outbox")
    box.try_again()  # in places 1 to 3
    box.forget([first])
    assert ids(box)[-2:] == [second, third]
    box.forget([first])
    assert ids(box) == [second, third]


def read_only(*_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("is_restarted", [False, True])
def test_reports_on_a_disk_that_takes_nothing_still_reach_the_city(
    is_restarted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    for tap in range(30):
        box.append(report(tap))
    box.reject(ids(box)[0], "for a test")
    before = box.oldest(100)
    files = {path.name: path.read_bytes() for path in (tmp_path / "outbox").iterdir()}
    with monkeypatch.context() as failing:
        failing.setattr("validator.lane.outbox.folder.OutboxFolder.require_writable", read_only)
        failing.setattr("validator.lane.outbox.folder.OutboxFolder.lock", read_only)
        if is_restarted:
            left = tmp_path / "left" / "outbox"
            shutil.copytree(tmp_path / "outbox", left)  # its log is not in the database yet
            box = outbox(tmp_path / "left", open_=False)
            assert not box.open()
            assert (box.waiting, box.rejected) == (None, None), "not known is not 0"
            files = {path.name: path.read_bytes() for path in left.iterdir()}
        box.try_again()
        assert "Read-only file system" in box.trouble
        assert (box.waiting, box.rejected) == (29, 1)
        assert box.oldest(100) == before
        assert box.forget(ids(box, 20)) == 20
        assert box.oldest(100) == before[20:]
        assert box.reject(before[20].report_id, "why") == 1
        assert (box.waiting, box.rejected) == (8, 2)
        assert not box.append(report(99))
        assert box.refused == 1
    folder = tmp_path / "left" / "outbox" if is_restarted else tmp_path / "outbox"
    if is_restarted:
        assert files == {path.name: path.read_bytes() for path in folder.iterdir()}, (
            "nothing was written"
        )
    assert box.open()
    assert (box.waiting, box.rejected, box.trouble) == (29, 1, ""), (
        "deletions in the copy are not those on the disk"
    )
    assert box.oldest(100) == before


def test_an_outbox_that_is_too_large_for_memory_is_left_alone_on_such_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.close()
    monkeypatch.setattr("validator.lane.outbox.view.VIEW_BYTES_MAX", 1_000)
    monkeypatch.setattr("validator.lane.outbox.folder.OutboxFolder.lock", read_only)
    box = outbox(tmp_path, open_=False)
    assert not box.open()
    box.try_again()
    assert (box.waiting, box.rejected) == (None, None)
    with pytest.raises(OutboxError, match="Read-only file system"):
        box.oldest(1)
