"""Reports for tests, as a gate would have stored them: always the same for the same number."""

import hashlib
from typing import Any

import msgspec

from validator.domain.report import ReportKind
from validator.reports.stored_report import StoredReport

NOW_UNIX_S = 1_800_000_000
OUTBOX = "0" * 32


def stored(seq: int, *, gate_id: str = "gate", **more: Any) -> StoredReport:
    """The report of this number; `more` replaces fields."""
    random = hashlib.sha256(f"{gate_id} {seq} {more.get('outbox_id')}".encode()).hexdigest()
    unix_ms = (NOW_UNIX_S + seq) * 1_000
    text = f"{unix_ms:012x}"
    report = StoredReport(
        report_id=f"{text[:8]}-{text[8:]}-7{random[:3]}-8{random[3:6]}-{random[6:18]}",
        kind=ReportKind.DENIED_BOARDING,
        gate_id=gate_id,
        lane=1,
        outbox_id=OUTBOX,
        seq=seq,
        refused_before=0,
        boot_id="boot",
        boottime_ns=seq,
        unix_s=NOW_UNIX_S + seq,
        clock_synced=True,
        list_version=7,
        rule="suspended",
        sealed="sealed",
        sealed_to="key",
    )
    return msgspec.structs.replace(report, **more)
