"""The outbox on the disk: what it keeps, in which order, what it refuses, and what becomes of a disk that fails. Damage is test_outbox_damage.py."""

import errno
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from diskcache import Cache

from tests.support.gate.outboxes import (
    NOW_UNIX_S,
    UID,
    database,
    ids,
    nearly_full,
    outbox,
    report,
    seal,
    seqs,
)
from tests.support.gate.reports import stored
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin
from validator.lane.ports import OutboxError
from validator.reports.ids import uuid7

pytestmark = pytest.mark.filterwarnings("error")


def test_a_report_is_kept_with_all_that_it_says(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert box.append(report(3))
    (kept,) = box.oldest(20)
    assert kept == stored(
        1,
        report_id=kept.report_id,
        outbox_id=kept.outbox_id,
        boot_id="boot 1",
        boottime_ns=5,
        unix_s=NOW_UNIX_S + 3,
        sealed="sealed 7",
        sealed_to="key 1",
    )


def test_the_oldest_come_first_and_a_drained_outbox_goes_on_counting(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(30):
        box.append(report(tap))
    assert seqs(box, 20) == list(range(1, 21))
    assert box.forget(ids(box)) == 30
    assert (box.waiting, seqs(box)) == (0, [])
    box.append(report())
    assert seqs(box) == [31]


def test_what_was_delivered_out_of_order_is_not_told_again(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(5):
        box.append(report(tap))
    told = ids(box)
    assert box.forget([told[3], told[1]]) == 2
    assert (seqs(box), box.waiting) == ([1, 3, 5], 3)
    assert box.forget([told[1], "never heard of"]) == 0


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    before = box.oldest(10)
    box.close()
    again = outbox(tmp_path)
    assert (again.oldest(10), again.waiting, again.news) == (before, 3, [])
    again.append(report())
    assert [stored.outbox_id for stored in again.oldest(10)] == [before[0].outbox_id] * 4
    assert seqs(again) == [1, 2, 3, 4]


def test_a_restart_after_a_drain_uses_no_number_twice(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.forget(ids(box))
    box.close()
    again = outbox(tmp_path)
    again.append(report())
    assert seqs(again) == [2]


def test_a_full_outbox_refuses_the_newest_and_the_next_kept_one_says_how_many(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=2, reserve_bytes=0))
    assert [box.append(report(tap)) for tap in range(5)] == [True, True, False, False, False]
    assert (box.waiting, box.refused, len(box.news)) == (2, 3, 1)
    box.forget(ids(box, 1))
    assert box.append(report(9))
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(2, 0), (3, 3)]
    assert box.trouble == ""


@pytest.mark.parametrize("ends_well", [True, False])
def test_how_many_were_refused_outlives_a_restart_and_is_told_once(
    tmp_path: Path, *, ends_well: bool
) -> None:
    two = OutboxLimits(reports_max=2, reserve_bytes=0)
    box = outbox(tmp_path, two)
    assert [box.append(report(tap)) for tap in range(5)] == [True, True, False, False, False]
    for _ in range(2):
        if ends_well:
            box.close()
        else:
            shutil.copytree(
                tmp_path / "outbox", tmp_path / "cut" / "outbox", dirs_exist_ok=True
            )  # as kill -9 leaves it
            box.close()
            shutil.rmtree(tmp_path / "outbox")
            (tmp_path / "cut" / "outbox").rename(tmp_path / "outbox")
        box = outbox(tmp_path, two)
        assert not box.append(report())
    box.forget(ids(box))
    assert box.append(report())
    box.close()
    box = outbox(tmp_path, two)
    assert box.append(report())
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(3, 5), (4, 0)]


def test_a_report_whose_failed_commit_was_done_all_the_same_is_not_counted_as_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=3, reserve_bytes=0))
    assert [box.append(report(tap)) for tap in range(5)] == [True, True, True, False, False]
    box.forget(ids(box))
    kept = Cache._sql.fget

    def kept_and_failed(self: Cache) -> Callable[..., None]:
        def execute(*told: object) -> None:
            kept(self)(*told)
            raise sqlite3.OperationalError("disk I/O error")

        return execute

    with monkeypatch.context() as failing:
        failing.setattr(Cache, "_sql", property(kept_and_failed))
        assert not box.append(report())
    assert not box.append(report()), "it is not tried again before a second has gone by"
    assert box.open()
    assert box.append(report())
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(4, 2), (5, 1)]
    assert box.refused == 3


def test_a_machine_that_has_been_up_for_years_reports_all_the_same(tmp_path: Path) -> None:
    years_ns = 10 * 365 * 86_400 * 10**9
    box = DiskOutbox(tmp_path / "outbox", Origin("gate", 1, "boot 1"), seal, lambda: years_ns)
    assert box.open()
    assert box.append(report())
    assert [stored.boottime_ns for stored in box.oldest(1)] == [years_ns]


def test_what_nobody_could_read_again_is_not_promised(tmp_path: Path) -> None:
    box = DiskOutbox(tmp_path / "outbox", Origin("g" * 65, 1, "boot 1"), seal, lambda: 5)
    assert box.open()
    assert not box.append(report())
    assert "could not be read again" in box.trouble
    assert (box.waiting, box.refused) == (0, 1)


def test_the_reserve_of_the_disk_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    monkeypatch.setattr("validator.lane.outbox.folder.os.statvfs", nearly_full)
    box.prepare()
    assert not box.append(report())
    assert "the disk is full" in box.trouble
    monkeypatch.undo()
    assert box.append(report())


def test_a_rejected_report_is_put_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    bad = ids(box)[0]
    assert box.reject(bad, "not a report") == 1
    assert (seqs(box), box.waiting, box.rejected) == ([2, 3], 2, 1)
    box.close()
    again = outbox(tmp_path)
    assert (again.waiting, again.rejected) == (2, 1)


def test_rejected_reports_take_the_room_of_others_and_none_is_thrown_away(tmp_path: Path) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=5, reserve_bytes=0))
    for tap in range(5):
        box.append(report(tap))
    for report_id in ids(box, 4):
        assert box.reject(report_id, "not a report") == 1
    assert not box.append(report())
    assert "1 reports wait and 4 were rejected" in box.trouble
    assert (seqs(box), box.waiting, box.rejected, box.refused) == ([5], 1, 4, 1)


def test_rejected_reports_wait_again_in_their_old_places(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(6):
        box.append(report(tap))
    before = box.oldest(10)
    for at in (0, 3, 5):
        box.reject(before[at].report_id, "not a report")
    assert [box.retry(2), box.retry(2), box.retry(2)] == [2, 1, 0]
    assert (box.oldest(10), box.waiting, box.rejected) == (before, 6, 0)
    box.append(report())
    box.close()
    again = outbox(tmp_path)
    assert (seqs(again), again.waiting, again.rejected) == ([1, 2, 3, 4, 5, 6, 7], 7, 0)
    assert again.forget(ids(again)) == 7


def test_rejected_reports_that_were_saved_from_a_damaged_outbox_wait_again_too(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path)
    for tap in range(4):
        box.append(report(tap))
    before = box.oldest(10)
    box.reject(before[1].report_id, "not a report")
    box.close()
    with database(tmp_path) as opened:
        opened.execute("DELETE FROM Cache WHERE key = 'head'")
    again = outbox(tmp_path)
    assert (again.waiting, again.rejected) == (3, 1)
    again.append(report(9))
    assert again.retry(10) == 1
    *saved, newest = again.oldest(10)
    assert sorted(saved, key=lambda stored: stored.seq) == list(before)
    assert newest.seq == 1


def test_what_is_planted_among_the_rejected_does_not_wait_again(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    insert = (
        "INSERT INTO Cache (key, raw, mode, filename, value, size) VALUES (?, 1, ?, NULL, ?, 0)"
    )
    with database(tmp_path) as opened:
        opened.execute(insert, ("rejected/2", 4, b"a pickle"))
        opened.execute(insert, ("rejected/99999999999999999999", 1, "x"))
        opened.execute(insert, ("rejected/1; --", 1, "x"))
        opened.execute(insert, ("rejected/3", 1, "no record"))
    while box.retry(20):
        pass
    assert seqs(box) == [1]
    assert box.append(report())
    assert seqs(box) == [1, 2]


def test_an_id_sorts_by_time_and_is_a_version_7_uuid() -> None:
    made = [uuid7(unix_s) for unix_s in range(NOW_UNIX_S, NOW_UNIX_S + 50)]
    assert made == sorted(made)
    assert {(one[14], one[19] in "89ab") for one in made} == {("7", True)}
    assert int(made[0].replace("-", "")[:12], 16) // 1_000 == NOW_UNIX_S


KILLED = """
import itertools, sys
from pathlib import Path
from tests.support.gate.outboxes import outbox, report
box = outbox(Path(sys.argv[1]))
for tap in itertools.count(1):
    assert box.append(report(tap))
    print(tap, flush=True)
"""


def test_kill_9_at_any_time_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for round_ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(round_ * 7 + 1):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().count("\n") + round_ * 7 + 1
        box = outbox(tmp_path)
        acknowledged += told
        assert box.waiting is not None
        assert (
            acknowledged <= box.waiting <= acknowledged + 1
        )  # one may have been committed and not told
        acknowledged = box.waiting
        assert seqs(box) == list(range(1, acknowledged + 1))
        assert box.news == []
        box.close()


def test_a_disk_that_fails_is_told_once_and_recovers_by_itself(
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
        assert len(box.oldest(1)) == 1, "what can be read is told all the same"
    assert len(box.news) == 1
    assert not box.append(report(5)), "it is not tried again before a second has gone by"
    clock[0] += 1.1
    assert box.append(report(6))
    assert (box.trouble, box.refused) == ("", 4)
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(1, 0), (2, 4)]


def test_a_disk_that_cannot_be_looked_at_is_told_once(
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
    assert _written_bytes() - before < 150_000, "an index made anew would be twice that"


def _written_bytes() -> int:
    """By this process, so far (proc_pid_io(5))."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])


def test_an_outbox_with_the_index_that_diskcache_makes_gets_the_smaller_one_and_keeps_its_reports(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path)
    for tap in range(50):
        box.append(report(tap))
    box.close()
    with database(tmp_path) as opened:
        opened.execute("DROP INDEX Cache_expire_time")
        opened.execute("CREATE INDEX Cache_expire_time ON Cache (expire_time)")
    again = outbox(tmp_path)
    assert seqs(again) == list(range(1, 51))
    again.close()
    with database(tmp_path) as opened:
        ((made_as,),) = opened.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'Cache_expire_time'"
        )
    assert made_as.endswith("WHERE expire_time IS NOT NULL")


def test_a_clock_far_ahead_makes_reports_that_can_be_read(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    furthest_s = (1 << 40) - 1
    assert box.append(replace(report(), unix_s=furthest_s))
    assert [stored.unix_s for stored in box.oldest(1)] == [furthest_s]


def test_two_lanes_never_share_an_outbox(tmp_path: Path) -> None:
    first, second = outbox(tmp_path), outbox(tmp_path, open_=False)
    assert not second.open()
    assert "another lane keeps its reports here" in second.trouble
    assert not second.append(report())
    assert first.append(report())
    first.close()
    assert second.open()
    assert seqs(second) == [1]


def test_it_writes_nothing_that_names_the_card(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.close()
    for path in (tmp_path / "outbox").iterdir():
        content = path.read_bytes()
        assert UID not in content
        assert UID.hex().encode() not in content.lower()


def test_trouble_is_over_when_there_is_room_again_also_before_the_next_denial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    with monkeypatch.context() as full:
        full.setattr("validator.lane.outbox.folder.os.statvfs", nearly_full)
        box.prepare()
        assert not box.append(report())
        box.try_again()
        assert "the disk is full" in box.trouble
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
    """SQLite goes on in files that have no name any more, and all of it is gone when the lane ends."""
    box = outbox(tmp_path)
    for tap in range(5):
        assert box.append(report(tap))
    box.reject(ids(box)[0], "for a test")
    gone(tmp_path / "outbox")
    assert box.append(report(7)), "SQLite has noticed nothing"
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
def test_on_a_disk_that_takes_nothing_the_reports_that_wait_still_reach_the_city(
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
        "what could not be kept was not claimed"
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
