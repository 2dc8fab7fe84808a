"""The outbox: which reports it keeps, in which order and with which numbers, and which it refuses.

Its disk is in test_outbox_disk.py. Damage is in test_outbox_damage.py, test_outbox_log.py (rot in
the log) and test_outbox_rot.py (rot in the rows).
"""

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
    outbox,
    report,
    seal,
    seqs,
)
from tests.support.gate.reports import stored
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin
from validator.reports.ids import uuid7

pytestmark = pytest.mark.filterwarnings("error")


def test_a_report_is_kept_with_all_of_its_fields(tmp_path: Path) -> None:
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


def test_what_was_delivered_out_of_order_is_not_returned_again(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(5):
        box.append(report(tap))
    handed_out = ids(box)
    assert box.forget([handed_out[3], handed_out[1]]) == 2
    assert (seqs(box), box.waiting) == ([1, 3, 5], 3)
    assert box.forget([handed_out[1], "an unknown id"]) == 0


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


def test_a_full_outbox_refuses_the_newest_and_the_next_kept_one_has_their_number(
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
def test_how_many_were_refused_outlives_a_restart_and_is_reported_once(
    tmp_path: Path, *, ends_well: bool
) -> None:
    two = OutboxLimits(reports_max=2, reserve_bytes=0)
    box = outbox(tmp_path, two)
    assert [box.append(report(tap)) for tap in range(5)] == [True, True, False, False, False]
    for _ in range(2):
        if ends_well:
            box.close()
        else:
            # As kill -9 leaves the folder.
            shutil.copytree(tmp_path / "outbox", tmp_path / "cut" / "outbox", dirs_exist_ok=True)
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
        def execute(*arguments: object) -> None:
            kept(self)(*arguments)
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


def test_a_report_that_could_not_be_read_again_is_refused(tmp_path: Path) -> None:
    box = DiskOutbox(tmp_path / "outbox", Origin("g" * 65, 1, "boot 1"), seal, lambda: 5)
    assert box.open()
    assert not box.append(report())
    assert "could not be read again" in box.trouble
    assert (box.waiting, box.refused) == (0, 1)


def test_a_rejected_report_is_quarantined_and_the_rest_goes_on(tmp_path: Path) -> None:
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
            printed = process.stdout.read().count("\n") + round_ * 7 + 1
        box = outbox(tmp_path)
        acknowledged += printed
        assert box.waiting is not None
        # One more may have been committed and not printed.
        assert acknowledged <= box.waiting <= acknowledged + 1
        acknowledged = box.waiting
        assert seqs(box) == list(range(1, acknowledged + 1))
        assert box.news == []
        box.close()


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


def test_it_writes_nothing_that_names_the_card(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.close()
    for path in (tmp_path / "outbox").iterdir():
        content = path.read_bytes()
        assert UID not in content
        assert UID.hex().encode() not in content.lower()
