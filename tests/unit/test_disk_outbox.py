"""The outbox on the disk: what it keeps, in which order, what it refuses, and what becomes of damage, plants and full disks."""

import errno
import itertools
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from validator.adapters.disk_outbox import REJECTED_MAX, DiskOutbox, Origin, OutboxLimits, uuid7
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.formats.stored_report import StoredReport
from validator.ports import OutboxError

UID = bytes.fromhex("04a1b2c3d4e5f6")
NOW_UNIX_S = 1_800_000_000
SMALL = OutboxLimits(reports_max=1_000, reserve_bytes=0)

pytestmark = pytest.mark.filterwarnings("error")


def report(tap: int = 1) -> Report:
    return Report(
        ReportKind.DENIED_BOARDING,
        tap,
        CardUid(UID),
        "suspended",
        7,
        NOW_UNIX_S + tap,
        clock_synchronised=True,
    )


def seal(uid: bytes) -> tuple[str, str]:
    return f"sealed {len(uid)}", "key 1"


def outbox(folder: Path, limits: OutboxLimits = SMALL, *, open_: bool = True) -> DiskOutbox:
    made = DiskOutbox(
        folder / "outbox", Origin("gate", 1, "boot 1"), seal, itertools.count(5).__next__, limits
    )
    if open_:
        assert made.open(), made.trouble
    return made


def seqs(box: DiskOutbox, count_max: int = 10_000) -> list[int]:
    return [stored.seq for stored in box.oldest(count_max)]


def ids(box: DiskOutbox, count_max: int = 10_000) -> list[str]:
    return [stored.report_id for stored in box.oldest(count_max)]


def database(folder: Path) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(folder / "outbox" / "cache.db", isolation_level=None))


def test_a_report_is_kept_with_all_that_it_says(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert box.append(report(3))
    (stored,) = box.oldest(20)
    assert stored == StoredReport(
        report_id=stored.report_id,
        kind=ReportKind.DENIED_BOARDING,
        gate_id="gate",
        lane=1,
        outbox_id=stored.outbox_id,
        seq=1,
        refused_before=0,
        boot_id="boot 1",
        boottime_ns=5,
        unix_s=NOW_UNIX_S + 3,
        clock_synced=True,
        list_version=7,
        rule="suspended",
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


def test_a_full_outbox_refuses_the_newest_and_the_next_kept_one_says_how_many(tmp_path: Path) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=2, reserve_bytes=0))
    assert [box.append(report(tap)) for tap in range(5)] == [True, True, False, False, False]
    assert (box.waiting, box.refused, len(box.news)) == (2, 3, 1)
    box.forget(ids(box, 1))
    assert box.append(report(9))
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(2, 0), (3, 3)]
    assert box.trouble == ""


def _nearly_full(_path: object) -> SimpleNamespace:
    return SimpleNamespace(f_bavail=255, f_frsize=4_096)


def test_the_reserve_of_the_disk_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    monkeypatch.setattr("validator.adapters.outbox_folder.os.statvfs", _nearly_full)
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
    assert 0 < again.rejected < REJECTED_MAX


def test_an_id_sorts_by_time_and_is_a_version_7_uuid() -> None:
    made = [uuid7(unix_s) for unix_s in range(NOW_UNIX_S, NOW_UNIX_S + 50)]
    assert made == sorted(made)
    assert {(one[14], one[19] in "89ab") for one in made} == {("7", True)}
    assert int(made[0].replace("-", "")[:12], 16) // 1_000 == NOW_UNIX_S


KILLED = """
import itertools, sys
from pathlib import Path
from tests.unit.test_disk_outbox import outbox, report
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
        assert acknowledged <= box.waiting <= acknowledged + 1  # one may have been committed and not told
        acknowledged = box.waiting
        assert seqs(box) == list(range(1, acknowledged + 1))
        assert box.news == []
        box.close()


# Damage


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def middle_of_garbage(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))


def no_database(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 500)


@pytest.mark.parametrize("damage", [cut_to_nothing, gone, middle_of_garbage, no_database])
def test_damage_is_told_from_emptiness_and_a_new_outbox_is_begun(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    box = outbox(tmp_path)
    for tap in range(400):
        box.append(report(tap))
    before = {stored.report_id: stored for stored in box.oldest(1_000)}
    box.close()
    damage(tmp_path / "outbox" / "cache.db")
    again = outbox(tmp_path)
    assert len(again.news) == 1
    assert f"{again.waiting} reports were saved" in again.news[0]
    saved = again.oldest(1_000)
    assert all(before[stored.report_id] == stored for stored in saved)
    assert again.append(report())
    *_, newest = again.oldest(1_000)
    assert newest.seq == 1
    assert newest.outbox_id not in {stored.outbox_id for stored in before.values()}
    again.close()
    assert outbox(tmp_path).news == []


def test_what_can_be_read_of_a_damaged_outbox_is_saved(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(400):
        box.append(report(tap))
    before = box.oldest(1_000)
    box.close()
    with database(tmp_path) as opened:
        opened.execute("DELETE FROM Cache WHERE key = 'head'")
        opened.execute("UPDATE Cache SET value = replace(value, 'suspended', 'suspanded') WHERE key = 7")
    again = outbox(tmp_path)
    assert [stored.seq for stored in again.oldest(1_000)] == [
        stored.seq for stored in before if stored.seq != 7
    ]


def test_a_damaged_outbox_on_a_full_disk_is_saved_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    for tap in range(5):
        box.append(report(tap))
    before = box.oldest(10)
    box.close()
    with database(tmp_path) as opened:
        opened.execute("DELETE FROM Cache WHERE key = 'head'")

    def full(path: Path) -> sqlite3.Connection:
        if path.parent.name != "damaged":
            return sqlite3.connect(path, isolation_level=None)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as failing:
        failing.setattr("validator.adapters.outbox_rescue._opened", full)
        for _ in range(3):
            again = outbox(tmp_path, open_=False)
            assert not again.open()
            assert "full" in again.trouble
    assert again.open()
    assert again.oldest(10) == before


def test_garbage_in_the_log_becomes_no_report(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(50):
        box.append(report(tap))
    before = {stored.report_id for stored in box.oldest(100)}
    middle_of_garbage(tmp_path / "outbox" / "cache.db-wal")
    shutil.copytree(tmp_path / "outbox", tmp_path / "copy" / "outbox")  # as it stands after a power cut
    again = outbox(tmp_path / "copy", open_=False)
    assert again.open()
    assert {stored.report_id for stored in again.oldest(100)} <= before


def test_a_planted_pickle_is_removed_unread(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.close()
    witness = tmp_path / "witness"
    bomb = pickle.dumps(_Bomb(witness))
    (tmp_path / "outbox" / "bomb.val").write_bytes(bomb)
    with database(tmp_path) as opened:
        insert = "INSERT INTO Cache (key, raw, mode, filename, value, size) VALUES (?, ?, ?, ?, ?, 0)"
        opened.execute(insert, (2, 1, 4, None, bomb))  # a value that would be unpickled
        opened.execute(insert, (3, 1, 4, "bomb.val", None))
        opened.execute(insert, (bomb, 0, 1, None, "x"))  # a key that would be
        opened.execute(
            insert, (4, 1, 3, "../../../etc/hostname", None)
        )  # a file that would be read, and deleted
        opened.execute(insert, (5, 1, None, None, None))
    again = outbox(tmp_path)
    assert (again.waiting, seqs(again)) == (1, [1])
    assert "5 rows that no outbox wrote were removed" in again.news[0]
    assert again.append(report())
    assert not witness.exists()


class _Bomb:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.witness),))


def test_a_record_planted_while_it_runs_is_harmless(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    with database(tmp_path) as opened:
        opened.execute("INSERT INTO Cache (key, raw, mode, value, size) VALUES (0, 1, 1, '00000000 {}', 0)")
    with pytest.raises(OutboxError, match="checksum"):
        box.oldest(10)
    assert box.trouble


def test_a_disk_that_fails_is_told_once_and_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path)
    assert box.append(report(1))
    clock = [0.0]
    monkeypatch.setattr("validator.adapters.disk_outbox.time.monotonic", lambda: clock[0])

    def broken(_path: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr("validator.adapters.outbox_folder.os.statvfs", broken)
        assert [box.append(report(tap)) for tap in range(3)] == [False] * 3
        assert "Input/output error" in box.trouble
        with pytest.raises(OutboxError):
            box.oldest(1)
    assert len(box.news) == 1
    assert not box.append(report(5)), "it is not tried again before a second has gone by"
    clock[0] += 1.1
    assert box.append(report(6))
    assert (box.trouble, box.refused) == ("", 4)
    assert [(stored.seq, stored.refused_before) for stored in box.oldest(9)] == [(1, 0), (2, 4)]


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


def test_a_first_start_that_was_cut_short_is_no_damage(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.close()
    (tmp_path / "outbox" / "outbox.json").unlink()
    again = outbox(tmp_path)
    assert (again.news, again.waiting) == ([], 0)
    assert again.append(report())


def test_a_used_outbox_that_lost_its_name_is_damaged_even_when_nothing_waits(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.forget(ids(box))
    box.close()
    (tmp_path / "outbox" / "outbox.json").unlink()
    again = outbox(tmp_path)
    assert "0 reports were saved" in again.news[0]


def test_trouble_is_over_when_there_is_room_again_also_before_the_next_denial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(tmp_path, OutboxLimits(reports_max=9, reserve_bytes=1 << 20))
    with monkeypatch.context() as full:
        full.setattr("validator.adapters.outbox_folder.os.statvfs", _nearly_full)
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
    monkeypatch.setattr("validator.adapters.outbox_folder.os.statvfs", _gone)
    assert box.free_bytes() is None


def _gone(_path: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE Settings SET key = 'disk_pickle_protocnl' WHERE key = 'disk_pickle_protocol'",
        "INSERT OR REPLACE INTO Settings VALUES ('disk_x', 1)",
        "INSERT OR REPLACE INTO Settings VALUES (x'6162', 'x')",
        "INSERT OR REPLACE INTO Settings VALUES ('set', 'x')",
        "INSERT OR REPLACE INTO Settings VALUES ('sqlite_synchronous', 0)",
        "CREATE TRIGGER mine AFTER INSERT ON Cache BEGIN DELETE FROM Cache WHERE rowid = new.rowid; END",
    ],
)
def test_what_was_planted_among_the_settings_or_as_a_trigger_does_nothing(
    tmp_path: Path, planted: str
) -> None:
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    box.close()
    with database(tmp_path) as opened:
        opened.execute(planted)
    again = outbox(tmp_path)
    assert again.append(report())
    assert seqs(again) == [1, 2, 3, 4]
    assert again.forget(ids(again)) == 4
