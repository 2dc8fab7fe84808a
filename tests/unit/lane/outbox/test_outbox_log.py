"""Rot in an outbox's log (SQLite's write-ahead log), on a disk that had all of it."""

import errno
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gate.outboxes import ids, middle_of_garbage, outbox, report, seqs
from validator.lane.outbox.wal import read_log

pytestmark = pytest.mark.filterwarnings("error")


def test_garbage_in_the_log_becomes_no_report(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    for tap in range(50):
        box.append(report(tap))
    before = {stored.report_id for stored in box.oldest(100)}
    middle_of_garbage(tmp_path / "outbox" / "cache.db-wal")
    shutil.copytree(tmp_path / "outbox", tmp_path / "copy" / "outbox")  # as a power cut leaves it
    again = outbox(tmp_path / "copy", open_=False)
    assert again.open()
    assert {stored.report_id for stored in again.oldest(100)} <= before


FRAME_BYTES = 24 + 1_024


def _log_of(folder: Path, *, delivered: int = 0) -> tuple[dict[str, int], str, bytes]:
    """Append twelve reports. Returns those that wait, the outbox's id, and its log."""
    outbox(folder).close()
    box = outbox(folder)
    for tap in range(12):
        assert box.append(report(tap))
        if tap == 6 and delivered:
            box.forget(ids(box, delivered))
    waiting = {stored.report_id: stored.seq for stored in box.oldest(100)}
    shutil.copytree(folder / "outbox", folder / "left" / "outbox")
    log = (folder / "outbox" / "cache.db-wal").read_bytes()
    return waiting, box.oldest(1)[0].outbox_id, log


def _after_a_power_cut(folder: Path, log: bytes, into: Path) -> Path:
    shutil.copytree(folder / "left" / "outbox", into / "outbox")
    (into / "outbox" / "cache.db-wal").write_bytes(log)
    return into


def _last_transaction(log: bytes) -> int:
    """Return the offset of the last transaction."""
    frames = range(32, len(log), FRAME_BYTES)
    commits = [at for at in frames if any(log[at + 4 : at + 8])]
    assert len(commits) >= 12
    return commits[-2] + FRAME_BYTES


@pytest.mark.parametrize("delivered", [0, 4])
def test_no_bit_that_rots_in_the_log_hides_a_report_or_gives_a_number_twice(
    tmp_path: Path, delivered: int
) -> None:
    waiting, outbox_id, log = _log_of(tmp_path, delivered=delivered)
    last = _last_transaction(log)
    places = [*range(0, 32, 4), *range(32, last, 331)]
    assert len(places) > 100
    for place in places:
        rotten = bytearray(log)
        rotten[place] ^= 4
        box = outbox(_after_a_power_cut(tmp_path, bytes(rotten), tmp_path / f"{place}"))
        found = {stored.report_id: stored for stored in box.oldest(100)}
        assert len(waiting.keys() - found.keys()) <= 1, "all but the one report that holds the bit"
        assert box.append(report())
        newest = box.oldest(100)[-1]
        assert "is damaged, and not at its end" in box.news[0]
        assert (newest.seq, newest.outbox_id != outbox_id) == (1, True)
        box.close()


def test_a_log_that_ends_in_the_middle_of_its_last_transaction_is_no_damage(tmp_path: Path) -> None:
    waiting, outbox_id, log = _log_of(tmp_path)
    last = _last_transaction(log)
    torn = [log[:end] for end in range(last, len(log), 97)]
    torn += [log[:at] + bytes(512) + log[at + 512 :] for at in range(last, len(log) - 512, 512)]
    for number, left in enumerate(one for one in torn if one != log):
        box = outbox(_after_a_power_cut(tmp_path, left, tmp_path / f"{number}"))
        assert (box.news, seqs(box)) == ([], list(range(1, 12)))
        assert {stored.outbox_id for stored in box.oldest(100)} == {outbox_id}
        assert {stored.report_id for stored in box.oldest(100)} < waiting.keys()
        box.close()


def test_what_a_torn_transaction_left_is_gone_before_another_is_written(tmp_path: Path) -> None:
    _, _, log = _log_of(tmp_path)
    last = _last_transaction(log)
    torn = log[:last] + bytes(24) + log[last + 24 :]
    folder = _after_a_power_cut(tmp_path, torn, tmp_path / "torn")
    with pytest.MonkeyPatch.context() as stopped:
        stopped.setattr("validator.lane.outbox.rescue._opened", _not_now)
        assert not outbox(folder, open_=False).open()
    assert (folder / "outbox" / "cache.db-wal").read_bytes() == log[:last]


def _not_now(path: Path) -> sqlite3.Connection:
    raise OSError(errno.EIO, "Input/output error", str(path))


def test_a_rescue_of_a_rotten_log_that_is_cut_short_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, _, log = _log_of(tmp_path)
    rotten = bytearray(log)
    rotten[32 + 2 * FRAME_BYTES + 40] ^= 1
    folder = _after_a_power_cut(tmp_path, bytes(rotten), tmp_path / "cut")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(
            "validator.lane.outbox.folder.replace_file", full
        )  # after all was read and the log is gone
        again = outbox(folder, open_=False)
        assert not again.open()
    assert again.open()
    assert waiting.keys() <= set(ids(again))


@pytest.mark.parametrize(
    "log", [b"", bytes(31), bytes(32), bytes(5_000), b"\x37\x7f\x06\x82" + b"\xff" * 3_000]
)
def test_a_log_that_is_none_is_not_read(tmp_path: Path, log: bytes) -> None:
    (tmp_path / "log").write_bytes(log)
    assert read_log(tmp_path / "log") == (0, None)
    assert read_log(tmp_path / "gone") == (0, None)


@given(st.binary(max_size=3_000), st.booleans())
def test_nothing_planted_in_the_place_of_a_log_ends_the_reading_of_it(
    garbage: bytes, begins_well: bool
) -> None:
    header = b"\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00" if begins_well else b""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(header + garbage)
        assert read_log(path).behind_the_rot in (None, [])
