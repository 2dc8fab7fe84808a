"""Rot in an outbox's rows: whatever the column and the next request, the counts stay right."""

import itertools
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.gate.outboxes import database, ids, outbox, report
from validator.lane.outbox.folder import PAGE_BYTES
from validator.lane.outbox.outbox import DiskOutbox
from validator.lane.ports import OutboxError
from validator.reports.stored_report import StoredReport

pytestmark = pytest.mark.filterwarnings("error")

READABLE = {
    "raw": "raw = 0",
    "raw of another type": "raw = 'x'",
    "mode": "mode = 0",
    "mode that unpickles": "mode = 4",
    "mode that reads a file": "mode = 3, filename = '../../../etc/hostname'",
    "a filename": "filename = 'x'",
    "an expiry long ago": "expire_time = 1.5",
    "an expiry of another type": "expire_time = x'00'",
    "a size": "size = x'ffff'",
    "a tag": "tag = 3",
    "the same record as a blob": "value = CAST(value AS BLOB)",
}
UNREADABLE = {
    "a letter of the record": "value = replace(value, 'denied', 'denier')",
    "half of the record": "value = substr(value, 1, 100)",
    "an empty record": "value = ''",
    "no record": "value = NULL",
    "a number as record": "value = 7",
    "a pickle as record": "value = x'80054b01', mode = 4",
    "a record that is no text": "value = x'ff'",
}
WRONG_KEY = {
    "a fraction as key": "key = key + 0.5",
    "a key of many digits": "key = key + (1 << 60)",
    "a blob as key": "key = x'03'",
    "a text as key": "key = 'x'",
    "a rejected key as a blob": "key = CAST('rejected/3' AS BLOB)",
    "no key": "key = NULL",
}
ROT = READABLE | UNREADABLE | WRONG_KEY


def rejected(box: DiskOutbox) -> None:
    for report_id in ids(box)[:1]:
        box.reject(report_id, "for a test")


REQUESTS: dict[str, Callable[[DiskOutbox, list[str]], object]] = {
    "reports": lambda box, _: box.oldest(20),
    "reports after some": lambda box, _: box.oldest(20, 2),
    "delivered": lambda box, handed_out: box.forget(handed_out),
    "rejected": lambda box, handed_out: [box.reject(report_id, "why") for report_id in handed_out],
    "retry": lambda box, _: box.retry(20),
    "status": lambda box, _: (
        box.waiting,
        box.rejected,
        box.refused,
        box.trouble,
        box.free_bytes(),
    ),
    "another report": lambda box, _: box.append(report(50)),
}


def rot_row(opened: sqlite3.Connection, rot: str, key: int) -> None:
    """Let a column rot in the row of a key."""
    opened.execute(f"UPDATE Cache SET {rot} WHERE key = ?", (key,))  # noqa: S608 — a constant


def rows(folder: Path) -> tuple[int, int]:
    """Count the rows that wait and those that were rejected, as another program does."""
    with database(folder) as opened:
        (waiting,) = opened.execute(
            "SELECT count(*) FROM Cache WHERE typeof(key) = 'integer'"
        ).fetchone()
        (rejected_rows,) = opened.execute(
            "SELECT count(*) FROM Cache WHERE key LIKE 'rejected/%'"
        ).fetchone()
        return waiting, rejected_rows


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("rot", ROT)
def test_whatever_rots_in_a_row_every_request_is_answered_and_the_counts_are_right(
    rot: str, request_: str, tmp_path: Path
) -> None:
    box = outbox(tmp_path)
    for tap in range(6):
        box.append(report(tap))
    rejected(box)
    handed_out = ids(box)
    with database(tmp_path) as opened:
        rot_row(opened, ROT[rot], 3)
    REQUESTS[request_](box, handed_out)
    box.oldest(20)  # only reading shows that a record is unreadable
    assert (box.waiting, box.rejected) == rows(tmp_path)
    for name in (*REQUESTS, *reversed(REQUESTS)):
        REQUESTS[name](box, ids(box))
        box.oldest(20)
        assert (box.waiting, box.rejected) == rows(tmp_path), name
    box.close()
    again = outbox(tmp_path)
    assert (again.waiting, again.rejected) == rows(tmp_path)
    assert again.append(report(9))


@pytest.mark.parametrize("rot", READABLE)
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_report_whose_record_is_whole_is_returned_whatever_rots_beside_it(
    rot: str, is_restarted: bool, tmp_path: Path
) -> None:
    box = outbox(tmp_path)
    for tap in range(4):
        box.append(report(tap))
    before = box.oldest(9)
    if is_restarted:
        box.close()
    with database(tmp_path) as opened:
        rot_row(opened, READABLE[rot], 3)
    if is_restarted:
        box = outbox(tmp_path)
    assert box.oldest(9) == before
    assert box.forget(ids(box)) == 4
    assert (box.waiting, box.rejected) == rows(tmp_path) == (0, 0)


@pytest.mark.parametrize("rot", UNREADABLE)
def test_a_record_that_rots_between_its_return_and_its_rejection_is_quarantined_once(
    rot: str, tmp_path: Path
) -> None:
    """A TypeError once ended the clerk's thread here, and `waiting` was one too low."""
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    handed_out = ids(box)
    with database(tmp_path) as opened:
        rot_row(opened, UNREADABLE[rot], 2)
    assert len(box.oldest(9)) == 2, "it is quarantined, and the others are returned"
    assert [box.reject(report_id, "why") for report_id in handed_out] == [1, 0, 1]
    assert (box.waiting, box.rejected) == rows(tmp_path)
    assert box.waiting == 0
    assert box.retry(9) == 2
    assert (box.waiting, box.rejected) == rows(tmp_path)


def test_a_head_that_rots_gives_no_number_twice(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(9):
        box.append(report(tap))
    (outbox_id,) = {stored.outbox_id for stored in box.oldest(9)}
    box.forget(ids(box))
    box.close()
    with database(tmp_path) as opened:
        changed = opened.execute(
            "UPDATE Cache SET value = replace(value, ':10,', ':00,') WHERE key = 'head'"
        )
        assert changed.rowcount == 1
        opened.execute("UPDATE Cache SET value = replace(value, ':00,', ':20,') WHERE key = 'head'")
    again = outbox(tmp_path)
    assert "its head cannot be read" in again.news[0]
    assert again.append(report())
    assert [(stored.seq, stored.outbox_id != outbox_id) for stored in again.oldest(9)] == [
        (1, True)
    ]


def test_a_head_as_older_versions_wrote_it_is_read(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    before = box.oldest(9)
    box.close()
    with database(tmp_path) as opened:
        opened.execute("UPDATE Cache SET value = substr(value, 10) WHERE key = 'head'")
        ((head,),) = opened.execute("SELECT value FROM Cache WHERE key = 'head'").fetchall()
        assert head.startswith("{")
    again = outbox(tmp_path)
    assert (again.news, again.oldest(9)) == ([], before)


def test_damage_that_only_a_use_meets_is_rescued_at_the_next_opening(tmp_path: Path) -> None:
    """A column's name rots in the schema: all reports are whole, but none can be appended."""
    box = outbox(tmp_path)
    for tap in range(3):
        box.append(report(tap))
    before = {stored.report_id for stored in box.oldest(9)}
    box.close()
    path = tmp_path / "outbox" / "cache.db"
    content = path.read_bytes()
    assert content.count(b" store_time REAL") == 1
    path.write_bytes(content.replace(b" store_time REAL", b" stose_time REAL"))
    again = outbox(tmp_path, open_=False)
    again.open()
    if not again.append(report(7)):
        assert again.open()
    assert again.append(report(8))
    assert before <= {stored.report_id for stored in again.oldest(9)}


# Every bit of the file: a sample here

FILE_FLIPS = 400


def database_and_reports(folder: Path) -> tuple[bytes, dict[str, StoredReport]]:
    """Return the database file of eight reports, two of them rejected, and the reports."""
    box = outbox(folder)
    for tap in range(8):
        box.append(report(tap))
    held = {stored.report_id: stored for stored in box.oldest(9)}
    for report_id in ids(box)[2:4]:
        box.reject(report_id, "for a test")
    box.close()
    return (folder / "outbox" / "cache.db").read_bytes(), held


def flips(content: bytes) -> Iterator[int]:
    """Yield bits to flip, drawn evenly, none in the middle of a free page."""
    used = [at for at in range(len(content)) if any(content[max(at - 8, 0) : at + 8])]
    draw = random.Random(17)  # the same sample each time
    return (8 * at + draw.randrange(8) for at in draw.sample(used, FILE_FLIPS))


def outcome(folder: Path, content: bytes, bit: int, held: dict[str, StoredReport]) -> None:
    """Flip one bit, start, use the outbox in every way, and start again.

    At most the reports of one page are lost, and each loss is in the news.
    """
    rotten = bytearray(content)
    rotten[bit // 8] ^= 1 << bit % 8
    (folder / "outbox" / "cache.db").write_bytes(rotten)
    box = outbox(folder, open_=False)
    found: dict[str, StoredReport] = {}
    for _ in range(4):  # the first use may meet the bit, and the next opening rescues
        with suppress(OutboxError):
            if box.open():
                box.retry(20)
                found = {stored.report_id: stored for stored in box.oldest(20)}
                if box.append(report(20)):
                    break
    assert box.trouble == "", bit
    assert all(held[report_id] == stored for report_id, stored in found.items()), bit
    lost = len(held) - len(found)
    assert lost <= PAGE_BYTES // 300, bit
    assert not lost or box.news, bit
    newest = box.oldest(20)[-1]
    assert newest.seq not in {
        stored.seq for stored in held.values() if stored.outbox_id == newest.outbox_id
    }, bit
    box.reject(newest.report_id, "why")
    assert (box.waiting, box.rejected) == rows(folder), bit
    box.close()
    again = outbox(folder)
    assert (again.waiting, again.rejected) == rows(folder), bit
    again.close()


def test_no_bit_that_rots_in_the_database_ends_the_clerk_or_loses_more_than_its_page(
    tmp_path: Path,
) -> None:
    content, held = database_and_reports(tmp_path / "first")
    for number, bit in enumerate(flips(content)):
        folder = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "first", folder)
        outcome(folder, content, bit, held)
        shutil.rmtree(folder)


@pytest.mark.parametrize("bit", range(8))
def test_no_bit_that_rots_under_a_running_outbox_ends_the_clerk(bit: int, tmp_path: Path) -> None:
    """SQLite checks no page that it reads again. Its cache is emptied, as a long queue does."""
    content, _ = database_and_reports(tmp_path / "first")
    used = [at for at in range(100, len(content)) if any(content[max(at - 8, 0) : at + 8])]
    for number, at in enumerate(itertools.islice(used, bit * 13, None, len(used) // 12)):
        folder = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "first", folder)
        box = outbox(folder)
        handed_out = ids(box)
        with (folder / "outbox" / "cache.db").open("r+b") as file:
            file.seek(at)
            file.write(bytes([content[at] ^ 1 << bit]))
        box._database.cache._con.execute("PRAGMA shrink_memory")
        for name in ("reports", "rejected", "delivered", "retry", "status", "another report"):
            with suppress(OutboxError):
                REQUESTS[name](box, handed_out)
        box.close()
        again = outbox(folder, open_=False)
        while not again.open():
            assert "damaged" not in again.trouble
        assert again.append(report(7)) or again.open()
        again.close()
