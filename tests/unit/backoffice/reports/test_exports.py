"""Exports for the authority: it alone reads them, it knows who made them, and each is logged.

And retention.
"""

import fcntl
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl import bindings
from nacl.public import PrivateKey

from backoffice.home.config import Config, ReportsConfig, RuleConfig
from backoffice.home.folder import DAY_S
from backoffice.reports import retention
from backoffice.reports.export_file import (
    CHUNK_BYTES,
    MAGIC,
    ExportError,
    ExportWriter,
    Header,
    read_export,
)
from backoffice.reports.exports import SETTLED_S, Done, Order, export, export_steps
from backoffice.reports.keys import Opener
from backoffice.reports.store import ReportStore
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, stored
from validator.domain.rules import Effect
from validator.errors import OperatorError
from validator.lane.outbox.sealing import Sealer
from validator.reports.sealing_keys import sealing_key_id

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # many fsyncs
UIDS = [bytes.fromhex(f"04{number:012x}") for number in range(0xA0B1C2, 0xA0B1C2 + 40)]
EXPORT_UNIX_S = NOW_UNIX_S + SETTLED_S + 1_000


def key(number: int) -> PrivateKey:
    return PrivateKey(bytes([number]) * 32)


@dataclass
class Desk:
    """A city's reports, the exporter with two sealing keys, and the authority."""

    folder: Path
    store: ReportStore
    sealing: tuple[PrivateKey, PrivateKey] = (key(1), key(2))
    authority: PrivateKey = field(default_factory=lambda: key(3))
    signing: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    )

    def add(self, seq: int, uid: bytes, sealing: PrivateKey | None = None, **more: Any) -> None:
        """A report comes, sealed by the gate's own code."""
        sealer = Sealer()
        sealer.seal_to(bytes((sealing or self.sealing[0]).public_key))
        sealed, sealed_to = sealer.seal(uid)
        self.add_raw(seq, **({"sealed": sealed, "sealed_to": sealed_to} | more))

    def add_raw(self, seq: int, now_unix_s: int = NOW_UNIX_S, **more: Any) -> None:
        """A report comes."""
        self.store.add("gate", [stored(seq, **more)], now_unix_s)

    def order(self, **more: Any) -> Order:
        """All that is held."""
        to = bytes(self.authority.public_key)
        order = Order(
            0, NOW_UNIX_S + 1_000, EXPORT_UNIX_S, "Ayşe Kaya", self.signing, "ministry", to
        )
        return order._replace(**more)

    def opener(self, *keys: PrivateKey) -> Opener:
        """With both keys, if none is named."""
        return Opener([bytes(each) for each in keys or self.sealing])

    def export(self, name: str = "out", **more: Any) -> Done:
        """Export with both keys."""
        return export(self.store, self.opener(), self.order(**more), self.folder / name)

    def read(self, name: str = "out") -> list[dict[str, Any]]:
        """As the authority reads it: the header, then the reports."""
        return read((self.folder / name).read_bytes(), self.authority, self.signing.public_key())


def read(content: bytes, authority: PrivateKey, signer: Ed25519PublicKey) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_export(io.BytesIO(content), bytes(authority), signer)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """One without reports, in a folder that costs no disk."""
    with tempfile.TemporaryDirectory(prefix="exports-", dir=SHELVES) as made:
        folder = Path(made)
        with ReportStore.open(f"sqlite:///{folder / 'registry.db'}") as store:
            yield Desk(folder, store)


@pytest.fixture
def full(desk: Desk) -> Desk:
    """One with forty reports, half of them sealed to each key."""
    for seq, uid in enumerate(UIDS, start=1):
        desk.add(seq, uid, desk.sealing[seq % 2])
    return desk


# Round trips


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


def header_of(desk: Desk, reports: int, **more: Any) -> Header:
    exporter = desk.signing.public_key().public_bytes_raw().hex()
    fields = {
        "exporter": exporter,
        "to": sealing_key_id(bytes(desk.authority.public_key)).hex(),
    } | more
    return Header(
        who="Ayşe", made_unix_s=1, from_unix_s=0, up_to_unix_s=1, reports=reports, **fields
    )


def test_the_file_is_as_the_runbook_describes_it_for_other_tools(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    assert content[:8] == bytes.fromhex("89 54 4E 4B 45 58 50 0A")
    file_key = bindings.crypto_box_seal_open(
        content[8:88], bytes(full.authority.public_key), bytes(full.authority)
    )
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, content[88:112], file_key)
    text, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, content[112:])
    assert tag == bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
    *before, last = text.splitlines(keepends=True)
    signature = bytes.fromhex(json.loads(last)["signature"])
    digest = hashlib.sha512(b"".join(before)).digest()
    full.signing.public_key().verify(signature, b"turnike reports 1\n" + digest)
    assert len(before) == 1 + json.loads(before[0])["reports"]


# Attacks


def refused(desk: Desk, content: bytes, *, authority: PrivateKey | None = None) -> str:
    with pytest.raises(ExportError) as caught:
        read(content, authority or desk.authority, desk.signing.public_key())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_than_the_authority_reads_nothing(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    assert "another key" in refused(full, content, authority=full.sealing[0])
    assert not any(uid in content or uid.hex().encode() in content for uid in UIDS)
    assert (full.folder / "out").stat().st_mode & 0o777 == 0o600


def test_an_export_that_was_changed_anywhere_is_refused_before_a_line_is_given(full: Desk) -> None:
    full.export()
    content = (full.folder / "out").read_bytes()
    places = random.Random(5)
    for _ in range(60):
        changed = bytearray(content)
        changed[places.randrange(len(content))] ^= 1 << places.randrange(8)
        refused(full, bytes(changed))
        refused(full, content[: places.randrange(len(content))])
    refused(full, content + b"x")
    assert "is no export" in refused(full, b"")
    assert "is no export" in refused(full, MAGIC)


def test_chunks_cannot_change_places_or_be_left_out(desk: Desk) -> None:
    content = written(desk, header_of(desk, 3_000), ["x" * 100] * 3_000)
    start = len(MAGIC) + 80 + 24
    size = CHUNK_BYTES + 17
    first, second = content[start : start + size], content[start + size : start + 2 * size]
    rest = content[start + 2 * size :]
    assert "damaged" in refused(desk, content[:start] + second + first + rest)
    assert "damaged" in refused(desk, content[:start] + first + rest)
    assert "cut short" in refused(desk, content[:start] + first + second)


def test_nothing_is_added_behind_a_last_chunk_that_is_full(desk: Desk) -> None:
    short = written(desk, header_of(desk, 1), [""])
    full = written(desk, header_of(desk, 1), ["x" * (CHUNK_BYTES - text_bytes(short))])
    assert text_bytes(full) == CHUNK_BYTES
    read(full, desk.authority, desk.signing.public_key())
    assert "goes on after its end" in refused(desk, full + b"x")


def text_bytes(content: bytes) -> int:
    """How long the text in one chunk is."""
    return len(content) - len(MAGIC) - 80 - 24 - 17


def written(
    desk: Desk, header: Any, lines: list[Any], signing: Ed25519PrivateKey | None = None
) -> bytes:
    out = io.BytesIO()
    writer = ExportWriter(out, bytes(desk.authority.public_key), signing or desk.signing)
    for line in (header, *lines):
        writer.line(line)
    writer.end()
    writer.release()
    return out.getvalue()


def test_an_export_that_another_exporter_signed_is_not_believed(desk: Desk) -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    assert "not that of this exporter" in refused(
        desk, written(desk, header_of(desk, 0), [], other)
    )
    named = header_of(desk, 0, exporter=other.public_key().public_bytes_raw().hex())
    assert "not that of this exporter" in refused(desk, written(desk, named, [], other))


def test_an_authority_cannot_pass_an_export_on_as_if_it_were_anothers(desk: Desk) -> None:
    theirs = header_of(desk, 0, to=sealing_key_id(bytes(key(9).public_key)).hex())
    assert "for another authority" in refused(desk, written(desk, theirs, []))


def test_what_an_exporter_wrote_wrongly_is_refused(desk: Desk) -> None:
    assert "its header counts 2 reports, and it has 1" in refused(
        desk, written(desk, header_of(desk, 2), [{}])
    )
    assert "no header" in refused(desk, written(desk, {}, []))
    assert "no header" in refused(desk, written(desk, [1], []))
    newer = header_of(desk, 0, format="turnike reports 2")
    assert "a format that this program does not read" in refused(desk, written(desk, newer, []))
    assert "too long" in refused(desk, written(desk, header_of(desk, 1), ["x" * 100_000]))


def test_a_file_that_is_swapped_while_it_is_read_is_noticed(desk: Desk) -> None:
    first, second = (written(desk, header_of(desk, 1), [{"of": name}]) for name in "ab")
    source = io.BytesIO(first)
    lines = read_export(source, bytes(desk.authority), desk.signing.public_key())
    begun = iter(lines)
    source.seek = lambda *_: (source.__init__(second), 0)[1]  # type: ignore[method-assign, misc]
    with pytest.raises(ExportError, match="was changed while it was read"):
        list(begun)


# The log


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


# Retention


def test_retention_ends_on_a_date(desk: Desk) -> None:
    config = Config(
        folder=desk.folder,
        rules=(RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=60),),
        reports=ReportsConfig(retention_days=30),
    )
    for seq, day in enumerate((0, 1, 1, 29), start=1):
        desk.add(seq, UIDS[seq], now_unix_s=NOW_UNIX_S + day * DAY_S, unix_s=NOW_UNIX_S)
    ended = NOW_UNIX_S + 30 * DAY_S
    set_status(desk.store, "gate", ended + DAY_S, ended + DAY_S, "{}")
    assert retention.forget_due(config, ended) == 0
    assert retention.forget_due(config, ended + 1) == 1
    assert retention.forget_due(config, ended + DAY_S + 1) == 2
    assert [row["seq"] for row in desk.store.select(0, 1 << 40)] == [4]
    (view,) = desk.store.outboxes()
    assert (view.received, view.missing) == (4, 0)
    with pytest.raises(OperatorError, match="no gate has sent a status"):
        retention.forget_due(config, ended + 400 * DAY_S)
    assert retention.forget_due(config, ended + 400 * DAY_S, is_clock_right=True) == 1
    assert desk.store.count() == 0


def test_a_server_clock_that_was_in_1970_deletes_nothing_of_then_when_it_is_right(
    desk: Desk,
) -> None:
    config = Config(
        folder=desk.folder,
        rules=(RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=60),),
        reports=ReportsConfig(retention_days=30),
    )
    desk.add(1, UIDS[0], now_unix_s=1_000)
    desk.add(2, UIDS[1], now_unix_s=NOW_UNIX_S - 40 * DAY_S)  # a clock that was weeks behind
    for days, left in ((1, 2), (29, 2), (31, 0)):
        now_unix_s = NOW_UNIX_S + days * DAY_S
        set_status(desk.store, "gate", now_unix_s, now_unix_s, "{}")
        retention.forget_due(config, now_unix_s)
        assert desk.store.count() == left, days


def test_reports_are_deleted_an_hour_at_a_time(desk: Desk) -> None:
    for seq in range(1, 31):
        desk.add_raw(seq, now_unix_s=NOW_UNIX_S + 600 * seq)
    slices: list[int] = []
    forget = desk.store.forget

    def noted(before_unix_s: int, now_unix_s: int) -> int:
        slices.append(forget(before_unix_s, now_unix_s))
        return slices[-1]

    with patch.object(desk.store, "forget", noted):
        assert retention.forget(desk.store, NOW_UNIX_S + 600 * 20, NOW_UNIX_S + 600 * 20) == 19
    assert slices == [6, 6, 6, 1]


def test_what_is_deleted_does_not_stay_behind_in_the_file(full: Desk) -> None:
    (row, *_) = full.store.select(0, 1 << 40)
    marks = [str(row[name]).encode() for name in ("sealed", "report_id")]
    others = [
        ReportStore.open(f"sqlite:///{full.folder / 'registry.db'}") for _ in range(2)
    ]  # as a receiver is
    assert all(mark in on_disk(full.folder) for mark in marks)
    retention.forget(full.store, 1 << 40, 1 << 40)
    for each in (full.store, *others):
        each.close()
    assert not any(mark in on_disk(full.folder) for mark in marks)


def on_disk(folder: Path) -> bytes:
    """All that the database's files hold."""
    return b"".join(path.read_bytes() for path in folder.glob("registry.db*"))
