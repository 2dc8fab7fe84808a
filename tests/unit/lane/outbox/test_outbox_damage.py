"""A damaged outbox: distinguished from an empty one, and rescued as far as it can be read.

Rows, settings and triggers that no outbox wrote have no effect.
"""

import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gate.outboxes import database, ids, middle_of_garbage, outbox, report, seqs
from validator.lane.outbox.folder import PAGE_BYTES
from validator.lane.outbox.outbox import OutboxLimits
from validator.reports.stored_report import StoredReport, decode

pytestmark = pytest.mark.filterwarnings("error")


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def no_database(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 500)


@pytest.mark.parametrize("damage", [cut_to_nothing, gone, middle_of_garbage, no_database])
def test_damage_is_distinguished_from_emptiness_and_a_new_outbox_is_begun(
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
        opened.execute(
            "UPDATE Cache SET value = replace(value, 'suspended', 'suspanded') WHERE key = 7"
        )
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
        failing.setattr("validator.lane.outbox.rescue._opened", full)
        for _ in range(3):
            again = outbox(tmp_path, open_=False)
            assert not again.open()
            assert "full" in again.trouble
    assert again.open()
    assert again.oldest(10) == before


def test_a_planted_pickle_is_removed_unread(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.close()
    witness = tmp_path / "witness"
    bomb = pickle.dumps(_Bomb(witness))
    (tmp_path / "outbox" / "bomb.val").write_bytes(bomb)
    with database(tmp_path) as opened:
        insert = (
            "INSERT INTO Cache (key, raw, mode, filename, value, size) VALUES (?, ?, ?, ?, ?, 0)"
        )
        opened.execute(insert, (2, 1, 4, None, bomb))  # a value that diskcache unpickles
        opened.execute(insert, (3, 1, 4, "bomb.val", None))
        opened.execute(insert, (bomb, 0, 1, None, "x"))  # a key that it unpickles
        opened.execute(
            insert, (4, 1, 3, "../../../etc/hostname", None)
        )  # a file that it reads and deletes
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


def test_a_record_that_rots_or_is_planted_in_use_is_quarantined_and_the_others_are_returned(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path)
    for tap in range(5):
        box.append(report(tap))
    with database(tmp_path) as opened:
        opened.execute(
            "INSERT INTO Cache (key, raw, mode, value, size) VALUES (0, 1, 1, '00000000 {}', 0)"
        )
        opened.execute("UPDATE Cache SET value = replace(value, 'denied', 'denier') WHERE key = 2")
        opened.execute(
            "UPDATE Cache SET mode = 4, value = x'80054b01' WHERE key IN (3, 5)"
        )  # a pickle
    assert seqs(box) == [1, 4]
    assert "4 reports cannot be read any more" in box.news[0]
    assert box.rejected == 2, "texts are kept for the operator"
    assert (seqs(box), box.trouble, len(box.news)) == ([1, 4], "", 1)
    assert box.append(report())
    box.close()
    again = outbox(tmp_path)
    assert (seqs(again), again.waiting, again.rejected) == ([1, 4, 6], 3, 2)


def _kept(folder: Path) -> list[StoredReport]:
    with database(folder) as opened:
        records = opened.execute(
            "SELECT value FROM Cache WHERE typeof(key) = 'integer' ORDER BY key"
        )
        return [decode(record) for (record,) in records]


@pytest.mark.parametrize("bit", range(8))
def test_a_record_of_which_any_bit_rots_costs_no_other_report(bit: int, tmp_path: Path) -> None:
    """The highest bit makes a byte that is no UTF-8, for which sqlite3 fails the whole query.

    That error once closed the outbox at each use.
    """
    box = outbox(tmp_path)
    for tap in range(5):
        box.append(report(tap))
    box.close()
    path = tmp_path / "outbox" / "cache.db"
    content = path.read_bytes()
    (second,) = [stored for stored in _kept(tmp_path) if stored.seq == 2]
    at = content.index(second.report_id.encode())
    path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
    again = outbox(tmp_path)
    assert seqs(again) == [1, 3, 4, 5]
    assert (again.waiting, again.rejected, again.trouble) == (4, 1, "")
    assert again.append(report())
    assert seqs(again) == [1, 3, 4, 5, 6]


def test_a_page_that_is_lost_behind_thousands_that_were_delivered_costs_only_its_own_reports(
    tmp_path: Path,
) -> None:
    """Row numbers only rise: the first row that waits may have a high one."""
    box = outbox(tmp_path, OutboxLimits(reserve_bytes=0))
    with box._database.cache.transact():
        for tap in range(5_200):
            box.append(report(tap))
    while (oldest := box.oldest(200)) and oldest[0].seq <= 5_000:
        box.forget(stored.report_id for stored in oldest)
    box.close()
    first, *_, last = (stored.seq for stored in _kept(tmp_path))
    path = tmp_path / "outbox" / "cache.db"
    content = bytearray(path.read_bytes())
    at = content.index(f'"seq":{first},'.encode()) // PAGE_BYTES * PAGE_BYTES
    content[at : at + PAGE_BYTES] = b"\xa5" * PAGE_BYTES
    path.write_bytes(content)
    saved = seqs(outbox(tmp_path))
    assert saved == list(range(saved[0], last + 1))
    assert first < saved[0] <= first + 3


def test_a_rescue_leaves_no_log_as_large_as_what_it_saved(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(50):
        box.append(report(tap))
    box.close()
    with database(tmp_path) as opened:
        opened.execute("DELETE FROM Cache WHERE key = 'head'")
    assert outbox(tmp_path).waiting == 50
    assert (tmp_path / "outbox" / "cache.db-wal").stat().st_size == 0


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE Settings SET key = 'disk_pickle_protocnl' WHERE key = 'disk_pickle_protocol'",
        "INSERT OR REPLACE INTO Settings VALUES ('disk_x', 1)",
        "INSERT OR REPLACE INTO Settings VALUES (x'6162', 'x')",
        "INSERT OR REPLACE INTO Settings VALUES ('set', 'x')",
        "INSERT OR REPLACE INTO Settings VALUES ('sqlite_synchronous', 0)",
        (
            "CREATE TRIGGER mine AFTER INSERT ON Cache"
            " BEGIN DELETE FROM Cache WHERE rowid = new.rowid; END"
        ),
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


def test_a_row_that_was_planted_in_the_next_place_is_overwritten(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.append(report(1))
    with database(tmp_path) as opened:
        opened.execute(
            "INSERT INTO Cache (key, raw, mode, value, size) VALUES (2, 1, 4, x'80054b01', 0)"
        )
    assert box.append(report(2))
    assert (seqs(box), box.waiting, box.news) == ([1, 2], 2, [])
    box.close()
    again = outbox(tmp_path)
    assert (seqs(again), again.waiting) == ([1, 2], 2)


def test_a_planted_index_costs_no_report_that_waits(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    assert box.append(report())
    box.close()
    with database(tmp_path) as opened:
        opened.execute("CREATE UNIQUE INDEX planted ON Cache (size) WHERE typeof(key) = 'integer'")
    again = outbox(tmp_path)
    before = again.oldest(9)
    assert not again.append(report())
    assert "UNIQUE" in again.trouble
    assert again.open(), "the planted index stays in the quarantined outbox"
    assert (again.oldest(9), again.append(report())) == (before, True)
    assert (again.waiting, again.refused) == (2, 1)


def test_a_first_start_that_was_cut_short_is_no_damage(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    box.close()
    (tmp_path / "outbox" / "outbox.json").unlink()
    again = outbox(tmp_path)
    assert (again.news, again.waiting) == ([], 0)
    assert again.append(report())


def test_a_used_outbox_that_lost_its_name_is_damaged_even_when_nothing_waits(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path)
    box.append(report())
    box.forget(ids(box))
    box.close()
    (tmp_path / "outbox" / "outbox.json").unlink()
    again = outbox(tmp_path)
    assert "0 reports were saved" in again.news[0]
