"""A lane's socket, for the other programs of its gate: courier.ports.LaneReports and more.

    lane = LaneClient(Path("/run/turnike/lane-1.sock"))
    lane.status().list_version      # connects at the first request
    lane.close()

Every method raises LaneGoneError for a lane that does not answer, in time and in full. The next
call connects again. docs/lane-socket.md describes requests and answers.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from validator.errors import LaneGoneError, one_line
from validator.formats.shown import shown
from validator.ipc.answers import (
    Forgotten,
    LaneStatus,
    LearningAnswer,
    ListStatus,
    Looking,
    NotableStatus,
    OutboxStatus,
    PutAside,
    ReportsAnswer,
    StatusAnswer,
    WaitingAgain,
)
from validator.learning.signed_text import SignedText
from validator.reports.stored_report import StoredReport

ANSWER_BYTES_MAX = 1 << 18  # twenty reports take 14 KB, a status 2 KB
ANSWER_S = 5.0  # for a whole answer: a clerk that reads a slow disk answers late


class _ListStatusAnswer(msgspec.Struct):
    status: ListStatus


class _OutboxStatusAnswer(msgspec.Struct):
    status: OutboxStatus


class _NotableStatusAnswer(msgspec.Struct):
    status: NotableStatus


class _StatusJson(msgspec.Struct):
    status: msgspec.Raw


_Answer = TypeVar("_Answer")
_reports = msgspec.json.Decoder(ReportsAnswer, strict=True)
_forgotten = msgspec.json.Decoder(Forgotten, strict=True)
_put_aside = msgspec.json.Decoder(PutAside, strict=True)
_waiting_again = msgspec.json.Decoder(WaitingAgain, strict=True)
_learning = msgspec.json.Decoder(LearningAnswer, strict=True)
_looking = msgspec.json.Decoder(Looking, strict=True)
_status = msgspec.json.Decoder(StatusAnswer, strict=True)
_list_status = msgspec.json.Decoder(_ListStatusAnswer, strict=True)
_notable_status = msgspec.json.Decoder(_NotableStatusAnswer, strict=True)
_status_json = msgspec.json.Decoder(_StatusJson, strict=True)
_outbox_status = msgspec.json.Decoder(_OutboxStatusAnswer, strict=True)


class LaneClient:
    """One lane, connected at the first request. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def oldest(self, count_max: int, skipped: int) -> Sequence[StoredReport]:
        """See courier.ports.LaneReports."""
        request = {"request": "reports", "max": count_max, "skip": skipped}
        reports = self._answer(_reports, request).reports
        if len(reports) > count_max:
            raise self._gone(f"sent {len(reports)} reports where {count_max} are the most")
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
            raise self._gone("has not quarantined a report that the back office does not take")

    def retry(self) -> int:
        """Let some quarantined reports wait again.

        Returns:
            How many; 0 once none is left.

        Raises:
            LaneGoneError: no answer.
        """
        return self._answer(_waiting_again, {"request": "retry"}).waiting_again

    def status(self) -> LaneStatus:
        """Return everything that the lane reports of itself.

        Raises:
            LaneGoneError: no answer, or one without a key that LaneStatus must have.
        """
        return self._answer(_status, {"request": "status"}).status

    def list_status(self) -> ListStatus:
        """Return the part of the status about the list. An older lane may lack its keys.

        Raises:
            LaneGoneError: no answer.
        """
        return self._answer(_list_status, {"request": "status"}).status

    def outbox_status(self) -> OutboxStatus:
        """Return the part of the status about reports. An older lane may lack its keys.

        Raises:
            LaneGoneError: no answer.
        """
        return self._answer(_outbox_status, {"request": "status"}).status

    def status_to_forward(self) -> tuple[msgspec.Raw, NotableStatus]:
        """Return the status as the lane wrote it, for the city, and the notable keys of it.

        The city may know keys that this program does not, so the JSON goes on unchanged.

        Raises:
            LaneGoneError: no answer.
        """
        line = self._ask({"request": "status"})
        notable = self._decoded(_notable_status, line).status
        return self._decoded(_status_json, line).status, notable

    def list_changed(self) -> None:
        """Ask the lane to scan its list folder now, because a list was installed.

        Returns before the scan ends.

        Raises:
            LaneGoneError: no answer. The lane finds the list by itself within a second.
        """
        self._answer(_looking, {"request": "list_changed"})

    def learn(self, order: SignedText) -> LearningAnswer:
        """Hand over an order to learn a card; the same one again is no error.

        Raises:
            LaneGoneError: no answer.
        """
        return self._answer(_learning, {"request": "learn", "order": order})

    def learn_here(self, public_key: str, wait_s: int) -> LearningAnswer:
        """Learn a card for this person, whose X25519 key it is sealed to.

        Raises:
            LaneGoneError: no answer.
        """
        request = {"request": "learn_here", "public_key": public_key, "wait_s": wait_s}
        return self._answer(_learning, request)

    def learned(self) -> LearningAnswer:
        """Return how far the lane is with the last order.

        Raises:
            LaneGoneError: no answer.
        """
        return self._answer(_learning, {"request": "learned"})

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _answer(
        self, decoder: msgspec.json.Decoder[_Answer], request: Mapping[str, Any]
    ) -> _Answer:
        """Send a request and decode the answer. Raises LaneGoneError."""
        return self._decoded(decoder, self._ask(request))

    def _decoded(self, decoder: msgspec.json.Decoder[_Answer], line: bytes) -> _Answer:
        try:
            return decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._gone(f"its answer cannot be read ({one_line(error)})") from error

    def _ask(self, request: Mapping[str, Any]) -> bytes:
        """Send a request and return the line that answers. Raises LaneGoneError."""
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
        """Receive one line, in full, in time and alone."""
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
            raise OSError(0, "it answered more than it was asked")
        return bytes(received[:-1])

    def _gone(self, why: str) -> LaneGoneError:
        with suppress(OSError):
            self.close()
        return LaneGoneError(f"{self._path}: {why}")
