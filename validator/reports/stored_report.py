"""A report as value and bytes: a JSON object, in the outbox and on its way to the city.

    stored = decode(record)         # "<crc-32, 8 hex digits> <JSON>", a record of the outbox
    body = stored.json()            # as it is uploaded, docs/reports.md

A report shows no card: the UID is sealed to the back office's key, and a thief of the gate cannot
open it.
"""

from typing import Annotated
from zlib import crc32

import msgspec
from msgspec import Meta, Struct

from validator.domain.report import ReportKind
from validator.errors import InvalidBytes, one_line

RECORD_CHARACTERS_MAX = 2_048  # three times the longest report
_CRC_DIGITS = 8

# `$` would let a newline pass at the end, and PostgreSQL takes no NUL.
NO_CONTROL = r"^[^\x00-\x1f\x7f]*\Z"
_Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
_Nanoseconds = Annotated[int, Meta(ge=0, lt=1 << 62)]  # a count would end after 104 days
_Number = Annotated[int, Meta(ge=1, lt=1 << 53)]
# No sum of them, over any gates, leaves 64 bits.
Refused = Annotated[int, Meta(ge=0, lt=1 << 32)]
_Name = Annotated[str, Meta(max_length=64, pattern=NO_CONTROL)]


class RecordError(InvalidBytes):
    """A record that is not what an outbox wrote; the text shows nothing of it."""


class StoredReport(Struct, frozen=True, forbid_unknown_fields=True):
    """One report.

    `seq` counts from 1 within an outbox, without gaps. `refused_before` is the number of reports
    that the outbox refused since the report before.
    """

    report_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
    kind: ReportKind
    gate_id: _Name
    lane: Annotated[int, Meta(ge=1, le=99)]
    outbox_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    seq: _Number
    refused_before: Refused
    boot_id: _Name
    boottime_ns: _Nanoseconds
    unix_s: _Count
    clock_synced: bool
    list_version: _Count
    rule: _Name
    # Base64; empty when the list named no key to seal to.
    sealed: Annotated[str, Meta(max_length=128, pattern=NO_CONTROL)]
    sealed_to: _Name  # the id of that key

    def json(self) -> bytes:
        """The JSON object."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredReport, strict=True)


def encode(report: StoredReport) -> str:
    """The record of a report."""
    content = report.json()
    return f"{crc32(content):0{_CRC_DIGITS}x} {content.decode()}"


def decode(record: object) -> StoredReport:
    """The report of a record. Raises RecordError, and no other error for any value."""
    if not isinstance(record, str) or len(record) > RECORD_CHARACTERS_MAX:
        raise RecordError("not a text of a report's length")
    crc, _, text = record.partition(" ")
    content = text.encode(errors="replace")
    if crc != f"{crc32(content):0{_CRC_DIGITS}x}" or not content:
        raise RecordError("its checksum is wrong")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(one_line(error)) from None
