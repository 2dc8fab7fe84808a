"""The lane socket from the courier's side: carrier_ports.LaneReports on a Unix socket. docs/lane-socket.md describes what is said."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from validator.carrier_ports import LaneGoneError
from validator.formats.stored_report import StoredReport

ANSWER_BYTES_MAX = 1 << 18  # twenty reports are 14 KB, a status 2 KB
ANSWER_S = 5.0  # a clerk that adopts a list on a slow disk answers late


class _Reports(msgspec.Struct):
    reports: tuple[StoredReport, ...]


_reports = msgspec.json.Decoder(_Reports, strict=True)
_any = msgspec.json.Decoder(dict[str, Any])


class LaneClient:
    """One lane, connected when it is asked something. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._rest = b""

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See carrier_ports.LaneReports."""
        line = self._ask({"request": "reports", "max": count_max, "skip": skipped})
        try:
            return _reports.decode(line).reports
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise self._gone(f"its reports cannot be read ({error})") from error

    def delivered(self, report_ids: Sequence[str]) -> None:
        """See carrier_ports.LaneReports."""
        self._ask({"request": "delivered", "ids": report_ids})

    def rejected(self, report_id: str, reason: str) -> None:
        """See carrier_ports.LaneReports."""
        self._ask({"request": "rejected", "id": report_id, "reason": reason[:200]})

    def status(self) -> Mapping[str, Any]:
        """How the lane fares. Raises LaneGoneError."""
        return dict(_any.decode(self._ask({"request": "status"}))["status"])

    def list_changed(self) -> None:
        """Tell it that a list was installed. Raises LaneGoneError."""
        self._ask({"request": "list_changed"})

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket, self._rest = None, b""

    def _ask(self, request: Mapping[str, Any]) -> bytes:
        """The line that answers. Raises LaneGoneError; asked again later, it connects anew."""
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(ANSWER_S)
                self._socket.connect(str(self._path))
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
            line = self._line(self._socket)
        except OSError as error:
            raise self._gone(error.strerror or "no answer") from error
        if line.startswith(b'{"error"'):
            raise self._gone(line.decode(errors="replace")[:200])
        return line

    def _line(self, lane: socket.socket) -> bytes:
        while b"\n" not in self._rest:
            part = lane.recv(65_536)
            if not part or len(self._rest) > ANSWER_BYTES_MAX:
                raise OSError(0, "it hung up")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _gone(self, why: str) -> LaneGoneError:
        with suppress(OSError):
            self.close()
        return LaneGoneError(f"{self._path}: {why}")
