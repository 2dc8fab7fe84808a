"""What an export holds, who may read it, and that the log knows each."""

import fcntl
import hashlib
import io
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from backoffice.home.folder import DAY_S
from backoffice.reports.export_file import (
    CHUNK_BYTES,
    ExportWriter,
)
from backoffice.reports.exports import SETTLED_S, export, export_steps
from tests.support.city.export_desk import EXPORT_UNIX_S, UIDS, Desk, header_of, read, refused
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, stored
from validator.errors import OperatorError
from validator.reports.sealing_keys import sealing_key_id

if TYPE_CHECKING:
    from pathlib import Path


def test_the_authority_reads_what_was_reported_and_of_whom(full: Desk) -> None:
    done = full.export()
    header, *lines = full.read()
    assert header == {
        "format": "turnike reports 1",
        "exporter": full.signing.public_key().public_bytes_raw().hex(),
        "who": "Ayşe Kaya",
        "to": sealing_key_id(bytes(full.authority.public_key)).hex(),
        "made_unix_s": EXPORT_UNIX_S,
        "from_unix_s": 0,
        "up_to_unix_s": NOW_UNIX_S + 1_000,
        "reports": 40,
    }
    assert {line["seq"]: line["uid"] for line in lines} == {
        seq: uid.hex() for seq, uid in enumerate(UIDS, start=1)
    }
    report = json.loads(stored(1).json())
    del report["sealed"], report["sealed_to"]
    first = min(lines, key=lambda line: line["seq"])
    assert first == report | {"received_unix_s": NOW_UNIX_S, "uid": UIDS[0].hex()}
    assert done.without == {}


def test_an_export_of_nothing_is_whole_as_well(desk: Desk) -> None:
    assert desk.export().logged.reports == 0
    (header,) = desk.read()
    assert header["reports"] == 0


def test_only_what_was_received_in_the_period_is_exported(desk: Desk) -> None:
    for seq in (1, 2, 3):
        desk.add(seq, UIDS[seq], now_unix_s=NOW_UNIX_S + 100 * seq)
    desk.export(from_unix_s=NOW_UNIX_S + 200, up_to_unix_s=NOW_UNIX_S + 300)
    assert [line["seq"] for line in desk.read()[1:]] == [2]


def test_a_uid_whose_key_is_not_given_is_left_out_and_reported(full: Desk) -> None:
    full.add_raw(41, sealed="", sealed_to="")
    done = export(full.store, full.opener(full.sealing[0]), full.order(), full.folder / "out")
    other = sealing_key_id(bytes(full.sealing[1].public_key)).hex()
    assert done.without == {
        f"sealed to {other}, a key that was not given": 20,
        "not sealed: the gate had no key to seal to": 1,
    }
    lines = full.read()[1:]
    assert sum(line["uid"] is None for line in lines) == 21
    assert all(("no_uid" in line) == (line["uid"] is None) for line in lines)


@pytest.mark.parametrize(
    "sealed",
    ["sealed", "!", "AAAA", "A" * 128, "ş"],
    ids=["no box", "no base64", "short", "random", "no ascii"],
)
def test_what_a_stolen_gate_sealed_wrongly_costs_its_own_report_alone(
    desk: Desk, sealed: str
) -> None:
    mine = sealing_key_id(bytes(desk.sealing[0].public_key)).hex()
    desk.add_raw(1, sealed=sealed, sealed_to=mine)
    desk.add(2, b"eleven chars")
    desk.add(3, UIDS[3])
    desk.add_raw(4, sealed="AAAA", sealed_to="\x1b[2J")
    assert desk.export().without == {
        "sealed, but not to a UID": 2,
        "sealed to no key that there could be, a key that was not given": 1,
    }
    assert [line["uid"] for line in desk.read()[1:]] == [None, None, UIDS[3].hex(), None]


def test_more_than_a_chunk_comes_through_in_order(desk: Desk) -> None:
    out = io.BytesIO()
    writer = ExportWriter(out, bytes(desk.authority.public_key), desk.signing)
    writer.line(header_of(desk, 2_000))
    lines = [{"n": n, "text": "x" * (n % 300)} for n in range(2_000)]
    for line in lines:
        writer.line(line)
    writer.end()
    writer.release()
    assert len(out.getvalue()) > 3 * CHUNK_BYTES
    assert read(out.getvalue(), desk.authority, desk.signing.public_key())[1:] == lines


def test_there_is_no_export_that_the_log_does_not_know_wherever_it_is_killed(full: Desk) -> None:
    path = full.folder / "out"
    killed = []  # kept: an end of the block would tidy up, as no kill does
    for steps in range(1, 100):
        before = len(full.store.export_log())
        run = export_steps(full.store, full.opener(), full.order(), path)
        killed.append(run)
        done = [step for step, _ in zip(run, range(steps), strict=False)]
        log = full.store.export_log()
        if len(log) == before:
            assert not path.exists()
            unread = max(
                full.folder.glob(".new-*"), key=lambda left: left.stat().st_mtime_ns, default=None
            )
            assert not done or (unread and "another key" in refused(full, unread.read_bytes())), (
                done
            )
        else:
            assert log[-1].reports == 40
        if path.exists():
            full.read()
            path.unlink()
        if len(done) < steps:
            break
    assert len(killed) > 4
    for each in killed:
        each.close()
    assert not list(full.folder.glob(".new-*"))


_KILLED = """
import os, signal, sys
from pathlib import Path
from backoffice.reports.exports import _begin
temporary, fd = _begin(Path(sys.argv[1]))
os.write(fd, b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_export_left_goes_with_the_next_and_nothing_else_does(full: Desk) -> None:
    writing = export_steps(full.store, full.opener(), full.order(), full.folder / "slow")
    assert next(writing) == "written"
    (being_written,) = full.folder.glob(".new-*-slow")
    others = [full.folder / name for name in (".new-mine", ".new-12345678", ".new-0123456g-out")]
    for other in others:
        other.write_bytes(b"somebody else's")
    (full.folder / ".new-0123abcd-link").symlink_to(".new-mine")
    killed = subprocess.run([sys.executable, "-c", _KILLED, full.folder / "killed"], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = full.folder.glob(".new-*-killed")
    assert left.read_bytes() == b"half"
    full.export()
    assert not left.exists()
    assert all(
        other.exists() for other in (being_written, full.folder / ".new-0123abcd-link", *others)
    )
    list(writing)
    assert len(full.read("slow")) == len(full.read("out")) == 41


def test_an_export_that_another_takes_for_a_left_one_before_its_lock_begins_again(
    full: Desk,
) -> None:
    really_lock = fcntl.flock
    taken: list[Path] = []

    def after_another_took_it(fd: int, how: int) -> None:
        if not taken:
            (mine,) = full.folder.glob(".new-*-out")
            mine.unlink()
            taken.append(mine)
        really_lock(fd, how)

    with patch("backoffice.reports.exports.fcntl.flock", after_another_took_it):
        full.export()
    assert taken
    assert len(full.read()) == 41


def test_of_two_exports_to_one_name_the_later_is_refused_and_the_earlier_is_whole(
    full: Desk,
) -> None:
    path = full.folder / "out"
    second = export_steps(full.store, full.opener(), full.order(), path)
    assert next(second) == "written"
    full.export()
    with pytest.raises(OperatorError, match="is there already"):
        list(second)
    assert len(full.read()[1]) > 0
    assert not list(full.folder.glob(".new-*"))


def test_the_log_names_who_took_what_for_whom_and_which_file_it_was(full: Desk) -> None:
    logged = full.export().logged
    assert full.store.export_log() == [logged]
    assert (logged.number, logged.who, logged.reports) == (1, "Ayşe Kaya", 40)
    assert logged.to == f"ministry {sealing_key_id(bytes(full.authority.public_key)).hex()}"
    assert logged.sha256 == hashlib.sha256((full.folder / "out").read_bytes()).hexdigest()


def test_an_export_is_never_overwritten_and_a_failed_one_leaves_nothing(full: Desk) -> None:
    (full.folder / "out").write_bytes(b"earlier")
    with pytest.raises(OperatorError, match="is there already"):
        full.export()
    assert (full.folder / "out").read_bytes() == b"earlier"
    (full.folder / "link").symlink_to("nowhere")
    with pytest.raises(OperatorError, match="is there already"):
        full.export("link")
    with pytest.raises(FileNotFoundError):
        full.export("gone/out")
    assert full.store.export_log() == []
    assert not list(full.folder.glob(".new-*"))


def test_a_period_that_reports_may_still_be_written_into_is_not_exported(desk: Desk) -> None:
    for up_to in (EXPORT_UNIX_S, EXPORT_UNIX_S - SETTLED_S + 1):
        with pytest.raises(OperatorError, match="the last 5 minutes cannot be exported yet"):
            desk.export(up_to_unix_s=up_to)
    with pytest.raises(OperatorError, match="ends before it begins"):
        desk.export(from_unix_s=100, up_to_unix_s=100)


def test_no_export_ends_after_any_gate_has_spoken_since_the_next_one_begins_there(
    desk: Desk,
) -> None:
    desk.add(1, UIDS[0])
    set_status(desk.store, "gate", NOW_UNIX_S, NOW_UNIX_S, "{}")
    ahead_unix_s = NOW_UNIX_S + 40 * DAY_S
    with pytest.raises(OperatorError, match="set the clock, or end the period earlier"):
        desk.export(up_to_unix_s=ahead_unix_s, made_unix_s=ahead_unix_s + SETTLED_S)
    assert desk.store.export_log() == []
    desk.export(up_to_unix_s=NOW_UNIX_S + DAY_S, made_unix_s=ahead_unix_s)
    assert [row.reports for row in desk.store.export_log()] == [1]


def test_what_comes_by_a_clock_that_went_back_after_an_export_is_in_the_next_one(
    desk: Desk,
) -> None:
    desk.add(1, UIDS[0])
    ended_unix_s = NOW_UNIX_S + 1_000
    desk.export(up_to_unix_s=ended_unix_s)
    desk.add(2, UIDS[1], now_unix_s=NOW_UNIX_S - 40 * DAY_S)
    assert [row["seq"] for row in desk.store.select(ended_unix_s, ended_unix_s + 1)] == [2]
