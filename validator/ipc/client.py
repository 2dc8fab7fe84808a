"""The lane socket from the courier's side: courier.ports.LaneReports on a Unix socket. docs/lane-socket.md describes what is said."""

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from validator.errors import LaneGoneError, one_line
from validator.formats.shown import shown
from validator.reports.stored_report import StoredReport

ANSWER_BYTES_MAX = 1 << 18  # twenty reports are 14 KB, a status 2 KB
ANSWER_S = 5.0  # for a whole answer: a clerk that adopts a list on a slow disk answers late


class _Reports(msgspec.Struct):
    reports: tuple[StoredReport, ...]


class _Forgotten(msgspec.Struct):
    forgotten: int


class _PutAside(msgspec.Struct):
    put_aside: int


class _WaitingAgain(msgspec.Struct):
    waiting_again: int


class _Status(msgspec.Struct):
    status: dict[str, Any]


_Answer = TypeVar("_Answer")
_reports = msgspec.json.Decoder(_Reports, strict=True)
_forgotten = msgspec.json.Decoder(_Forgotten, strict=True)
_put_aside = msgspec.json.Decoder(_PutAside, strict=True)
_waiting_again = msgspec.json.Decoder(_WaitingAgain, strict=True)
_status = msgspec.json.Decoder(_Status, strict=True)


class LaneClient:
    """One lane, connected when it is asked something. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See courier.ports.LaneReports."""
        request = {"request": "reports", "max": count_max, "skip": skipped}
        reports = self._answer(_reports, request).reports
        if len(reports) > count_max:
            raise self._gone(f"told {len(reports)} reports where {count_max} are the most")
        return reports

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See courier.ports.LaneReports."""
        count = self._answer(_forgotten, {"request": "delivered", "ids": report_ids}).forgotten
        if count < len(report_ids):
            raise self._gone(
                f"has forgotten {count} of {len(report_ids)} reports that are in the city"
            )

    def rejected(self, report_id: str, reason: str) -> None:
        """See courier.ports.LaneReports."""
        request = {"request": "rejected", "id": report_id, "reason": reason[:200]}
        if not self._answer(_put_aside, request).put_aside:
            raise self._gone("has not put aside a report that the back office does not take")

    def retry(self) -> int:
        """Let some reports wait again that were put aside; how many. Raises LaneGoneError."""
        return self._answer(_waiting_again, {"request": "retry"}).waiting_again

    def status(self) -> Mapping[str, Any]:
        """How the lane fares. Raises LaneGoneError."""
        return self._answer(_status, {"request": "status"}).status

    def list_changed(self) -> None:
        """Tell it that a list was installed. Raises LaneGoneError."""
        self._ask({"request": "list_changed"})

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _answer(
        self, decoder: msgspec.json.Decoder[_Answer], request: Mapping[str, Any]
    ) -> _Answer:
        """What it answers. Raises LaneGoneError."""
        line = self._ask(request)
        try:
            return decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._gone(f"its answer cannot be read ({one_line(error)})") from error

    def _ask(self, request: Mapping[str, Any]) -> bytes:
        """The line that answers. Raises LaneGoneError; asked again later, it connects anew."""
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(ANSWER_S)
                self._socket.connect(str(self._path))
            self._socket.settimeout(ANSWER_S)
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
            line = self._line(self._socket)
        except OSError as error:
            raise self._gone(error.strerror or "no answer") from error
        if line.startswith(b'{"error"'):
            raise self._gone(shown(line[:200].decode("utf-8", "replace")))
        return line

    def _line(self, lane: socket.socket) -> bytes:
        """One line, whole in time and alone."""
        received, ends_s = bytearray(), time.monotonic() + ANSWER_S
        while not received.endswith(b"\n"):
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(0, "no whole answer in time")
            lane.settimeout(left_s)
            part = lane.recv(65_536)
            if not part:
                raise OSError(0, "it hung up")
            received += part
            if len(received) > ANSWER_BYTES_MAX:
                raise OSError(0, f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        if received.count(b"\n") > 1:
            raise OSError(0, "it said more than it was asked")
        return bytes(received[:-1])

    def _gone(self, why: str) -> LaneGoneError:
        with suppress(OSError):
            self.close()
        return LaneGoneError(f"{self._path}: {why}")
