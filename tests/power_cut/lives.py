"""What an outbox goes through on the recording file system.

Each life is a process that ends without closing anything, as after kill -9. Each step is reported
twice: before it begins, and when the outbox has acknowledged it. truth.py knows what each report
makes certain.
"""

import itertools
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import diskcache
import msgspec

from tests.power_cut.truth import Found, Step, StepMark
from tests.support.gate.reports import stored
from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.host import durable
from validator.lane.outbox import folder as outbox_folder
from validator.lane.outbox import rows as outbox_rows
from validator.lane.outbox.head import Head, encode_head
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin, Recorder
from validator.reports.ids import uuid7
from validator.reports.stored_report import decode, encode

NOW_UNIX_S = 1_800_000_000
ROOMY = OutboxLimits(reports_max=100_000, reserve_bytes=0)

Witness = Callable[[StepMark], None]


def report(tap: int) -> Report:
    """The report of a tap."""
    uid = CardUid(tap.to_bytes(7, "big"))
    return Report(
        ReportKind.DENIED_BOARDING,
        tap,
        uid,
        "suspended",
        7,
        NOW_UNIX_S + tap,
        clock_synchronised=True,
    )


def _seal(uid: bytes) -> tuple[str, str]:
    return f"sealed {uid.hex()}" + "=" * 64, "key 1"


class WitnessedRecorder(Recorder):
    """A recorder that reports each record before the outbox writes it."""

    def __init__(self, origin: Origin, boottime_ns: Callable[[], int], witness: Witness) -> None:
        super().__init__(origin, boottime_ns)
        self._witness = witness
        self.newest = ""

    def record(self, report: Report, head: Head, sealed: str, sealed_to: str) -> str:
        """Make the record, and report it unless it is the one that is only tried out."""
        record = super().record(report, head, sealed, sealed_to)
        if sealed:
            stored = decode(record)
            self.newest = stored.report_id
            self._witness(StepMark(Step.HANDED, (stored.report_id,), record=stored.json()))
        return record


class WitnessedOutbox(DiskOutbox):
    """An outbox that reports each request and each answer of its own."""

    _recorder: WitnessedRecorder

    def __init__(self, folder: Path, witness: Witness, limits: OutboxLimits = ROOMY) -> None:
        origin, boottime_ns = Origin("gate", 1, "boot 1"), itertools.count(5).__next__
        super().__init__(folder, origin, _seal, boottime_ns, limits)
        self._recorder = WitnessedRecorder(origin, boottime_ns, witness)
        self._witness = witness

    def begin(self) -> None:
        """Open the outbox. From now on its reports are known outside, so it must keep them."""
        self._witness(StepMark(Step.OPENING))
        assert self.open(), self.trouble
        self.report_opened()

    def report_opened(self) -> None:
        """Report what the outbox holds."""
        self._witness(StepMark(Step.OPENED, tuple(self.ids(1_000_000)), self.quarantined()))

    def ids(self, count_max: int) -> list[str]:
        """Return the ids of the oldest reports."""
        return [stored.report_id for stored in self.oldest(count_max)]

    def quarantined(self) -> tuple[str, ...]:
        """Return the ids of the rejected reports."""
        return tuple(self._rejected_records())

    def found(self) -> Found:
        """Return all that the outbox holds."""
        waiting = {stored.report_id: stored.json() for stored in self.oldest(1_000_000)}
        return Found(
            waiting,
            {report_id: record.encode() for report_id, record in self._rejected_records().items()},
        )

    def _rejected_records(self) -> dict[str, str]:
        keys = (
            key
            for key in self._database.cache.iterkeys()
            if isinstance(key, str) and key.startswith("rejected/")
        )
        records = [self._database.cache.get(key) for key in keys]
        return {decode(record).report_id: record.partition(" ")[2] for record in records}

    def append(self, report: Report) -> bool:
        """Append, and report the answer."""
        kept = super().append(report)
        self._witness(
            StepMark(Step.KEPT if kept else Step.REFUSED, (self._recorder.newest,) if kept else ())
        )
        return kept

    def forget(self, report_ids: Iterable[str]) -> int:
        """Forget reports, and report both steps."""
        ids = tuple(report_ids)
        self._witness(StepMark(Step.FORGETTING, ids))
        count = super().forget(ids)
        self._witness(StepMark(Step.FORGOTTEN, ids))
        return count

    def reject(self, report_id: str, reason: str) -> int:
        """Reject a report, and report both steps."""
        self._witness(StepMark(Step.REJECTING, (report_id,)))
        count = super().reject(report_id, reason)
        self._witness(StepMark(Step.REJECTED, (report_id,)))
        return count

    def retry(self, count_max: int) -> int:
        """Let all rejected reports wait again, and report both steps."""
        ids = self.quarantined()
        self._witness(StepMark(Step.RETRYING, ids))
        count = super().retry(count_max)
        assert count == len(ids)
        self._witness(StepMark(Step.RETRIED, ids))
        return count


def _ends(life: Callable[[], None]) -> None:
    """Run `life` in a process of its own that ends without closing anything."""
    child = os.fork()
    if child == 0:
        ending = 1
        try:
            life()
            ending = 0
        finally:
            os._exit(ending)
    assert os.waitpid(child, 0)[1] == 0


def days_of_a_lane(folder: Path, witness: Witness) -> None:
    """First start, appends, delivery, rejections, restarts, a drain, a full outbox, and a retry."""

    def first() -> None:
        box = WitnessedOutbox(folder, witness)
        box.begin()
        for tap in range(1, 7):
            box.append(report(tap))
        box.forget(box.ids(3))
        box.reject(box.ids(20)[0], "not a report")
        for tap in range(7, 20):
            box.append(report(tap))

    def drains() -> None:
        box = WitnessedOutbox(folder, witness)
        box.begin()
        box.forget(reversed(box.ids(20)))
        for tap in range(20, 26):
            box.append(report(tap))
        box.reject(box.ids(20)[2], "not a report")
        box.close()

    def fills_up() -> None:
        box = WitnessedOutbox(folder, witness, OutboxLimits(reports_max=9, reserve_bytes=0))
        box.begin()
        assert [box.append(report(tap)) for tap in range(26, 30)] == [True, True, False, False]
        box.forget(box.ids(1))
        assert box.append(report(30))
        box.forget(box.ids(5))
        box.retry(20)
        box.append(report(31))
        box.reject(box.ids(20)[1], "not a report")
        box.forget(box.ids(1))

    for life in (first, drains, fills_up):
        _ends(life)


def a_long_queue(folder: Path, witness: Witness) -> None:
    """So many appends that SQLite writes its log to the database, while the courier delivers."""

    def lives() -> None:
        box = WitnessedOutbox(folder, witness)
        box.begin()
        for tap in range(1, 261):
            box.append(report(tap))
            if tap % 70 == 0:
                box.forget(box.ids(20))

    _ends(lives)
    _ends(lambda: a_start(folder, witness))


def a_start(folder: Path, witness: Witness) -> None:
    """A start with what is in the folder, and the first taps."""
    box = WitnessedOutbox(folder, witness)
    box.begin()
    box.append(report(901))
    box.forget(box.ids(1))
    box.append(report(902))


def two_starts(folder: Path, witness: Witness) -> None:
    """A start that ends without closing, and another."""
    _ends(lambda: a_start(folder, witness))
    _ends(lambda: a_start(folder, witness))


def diskcache_as_it_comes(folder: Path, witness: Witness) -> None:
    """A queue in diskcache with diskcache's own settings."""

    def lives() -> None:
        cache: Any = diskcache.Cache(str(folder))
        witness(StepMark(Step.OPENED))
        for seq in range(1, 31):
            one = stored(seq, report_id=uuid7(NOW_UNIX_S))
            witness(StepMark(Step.HANDED, (one.report_id,), record=one.json()))
            cache.push(encode(one))
            witness(StepMark(Step.KEPT, (one.report_id,)))

    _ends(lives)


LIVES: dict[str, Callable[[Path, Witness], None]] = {
    life.__name__: life
    for life in (days_of_a_lane, a_long_queue, two_starts, diskcache_as_it_comes)
}


def _written_and_renamed(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    path.with_suffix(".new").rename(path)


def _transact(cache: object, *, retry: bool = False) -> AbstractContextManager[None]:
    del cache, retry
    return nullcontext()


def _as_at_first(head: Head) -> str:
    return encode_head(msgspec.structs.replace(head, next_seq=1))


def _no_sync(folder: Path) -> None:
    del folder


PLANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "": nullcontext,
    "the database is synced as diskcache does it": lambda: patch.dict(
        outbox_rows.SETTINGS, sqlite_synchronous=1
    ),
    "the identity is not synced": lambda: patch.object(
        outbox_folder, "replace_file", _written_and_renamed
    ),
    "the name of the identity is not synced": lambda: patch.object(
        durable, "sync_folder", _no_sync
    ),
    "the next number is not written down when reports go": lambda: patch.object(
        outbox_rows, "encode_head", _as_at_first
    ),
    "a report is rejected in two transactions": lambda: patch.object(
        diskcache.Cache, "transact", _transact
    ),
}
"""Mistakes that the test must find."""
