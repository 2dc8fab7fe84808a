"""Makes the stored report of a report: its id, its number, the gate's names, and the sealed UID."""

import secrets
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.lane.outbox.head import Head
from validator.reports.ids import uuid7
from validator.reports.stored_report import RecordError, StoredReport, decode, encode

_SEED_BITS = 256

# As long as a report of this gate can become, but for what a list has checked: its version and the
# names of its rules.
_LONGEST = Report(
    kind=ReportKind.DENIED_BOARDING,
    tap=0,
    uid=CardUid(bytes(4)),
    rule="",
    list_version=0,
    unix_s=(1 << 40) - 1,  # a list or a signed time carries the clock no further
    clock_synchronised=False,
)


class Origin(NamedTuple):
    """The gate, the lane and the boot that make the reports."""

    gate_id: str
    lane: int
    boot_id: str


class Recorder:
    """Makes records for one outbox. For one thread."""

    def __init__(self, origin: Origin, boottime_ns: Callable[[], int]) -> None:
        """Make a recorder of reports of `origin`; `boottime_ns` is the time since the boot."""
        self._origin = origin
        self._boottime_ns = boottime_ns
        # Ids must differ, not be secret. A generator of our own asks the system for no entropy
        # while a passenger waits.
        self._draw = Random(secrets.randbits(_SEED_BITS)).getrandbits  # noqa: S311

    def record(self, report: Report, head: Head, sealed: str, sealed_to: str) -> str:
        """Return the record of a report.

        Args:
            report: what happened; its UID does not go into the record.
            head: gives the report its number.
            sealed: the sealed UID in base64, or empty.
            sealed_to: the id of the key that opens it, or empty.
        """
        return encode(
            StoredReport(
                report_id=uuid7(report.unix_s, self._draw),
                kind=report.kind,
                gate_id=self._origin.gate_id,
                lane=self._origin.lane,
                outbox_id=head.outbox_id,
                seq=head.next_seq,
                refused_before=head.refused_before,
                boot_id=self._origin.boot_id,
                boottime_ns=self._boottime_ns(),
                unix_s=report.unix_s,
                clock_synced=report.clock_synchronised,
                list_version=report.list_version,
                rule=report.rule,
                sealed=sealed,
                sealed_to=sealed_to,
            )
        )

    def why_unreadable(self, head: Head) -> str:
        """Return why no report of this gate could be read again; empty if it can.

        It makes a record that is not kept: what could not be read must not be acknowledged.
        """
        try:
            decode(self.record(_LONGEST, head, "", ""))
        except RecordError as error:
            return str(error)
        return ""
