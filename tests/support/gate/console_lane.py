"""Lines of a lane for tests of the console, and a lane socket that sends what a test gives it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from validator.console.lane_words import Tap, heard
from validator.domain.latency import LatencyHistogram
from validator.ipc.answers import Counts, LaneStatus

Line = dict[str, Any]
NOW_UNIX_S = 1_780_000_000
CARDS = ("04a1b2c3d4e5f6", "08c0ffee", "04A1B2C3D4E5F6", "0123456789abcdef0123")
"""Numbers that a faulty lane might let out."""


def summary(count: int = 0) -> Line:
    """Percentiles of so many."""
    return {"count": count, "p50": 11, "p99": 24, "p999": 31, "max": 40}


def courier(**changes: Any) -> Line:
    """A lane's status of a courier that is well."""
    says = {
        "state": "fresh",
        "problem": "",
        "since_unix_s": NOW_UNIX_S - 3_600,
        "polled_unix_s": NOW_UNIX_S - 20,
        "list_version": 7,
        "upload": {"state": "fresh", "problem": ""},
        "silent": False,
        "asks_within_s": 36,
    }
    return says | changes


def unheard_courier(problem: str = "") -> Line:
    """A lane's status of a courier that has written nothing."""
    return dict.fromkeys(courier()) | {"state": "unknown", "problem": problem}


def status_line(**changes: Any) -> Line:
    """A status of a lane that is well."""
    status = {
        "gate_id": "kadikoy-03",
        "lane": 1,
        "version": "0.1.0",
        "run_id": "00112233aabbccdd",
        "uptime_s": 60,
        "devices": {"reader": "ready", "board": "ready"},
        "emergency": False,
        "tamper": False,
        "forced": 0,
        "taps": [
            {"outcome": "admitted", "ground": "in table", "count": 5},
            {"outcome": "denied", "ground": "in table", "count": 2},
            {"outcome": "denied", "ground": "list missing", "count": 1},
            {"outcome": "try_again", "ground": "", "count": 1},
        ],
        "unix_s": NOW_UNIX_S,
        "clock_synchronised": True,
        "list_state": "fresh",
        "list_version": 7,
        "list_issued_unix_s": NOW_UNIX_S - 40,
        "list_expires_unix_s": NOW_UNIX_S + 345_560,
        "list_cards": 8_260_000,
        "list_problems": [],
        "reports_waiting": 2,
        "reports_refused": 0,
        "reports_rejected": 0,
        "reports_delivered": 3,
        "reports_trouble": "",
        "notes_dropped": 0,
        "disk_free_bytes": 5_000_000_000,
        "decided_us": summary(9),
        "told_us": summary(9),
        "filed_us": summary(3),
        "told_before_durable": 0,
        "courier": courier(),
    }
    return {"status": status | changes}


def tap_line(**changes: Any) -> Line:
    """A tap, as the lane's clerk sends it."""
    tap = {
        "event": "tap",
        "tap": 9,
        "token": "4f1a",
        "outcome": "denied",
        "read_ns": 1_234_567_890,
        "decided_us": 12,
        "report_us": 310,
        "told_us": 402,
        "waited": False,
        "reported": True,
        "verdict": "deny",
        "ground": "in table",
        "rule": "matched",
        "list_state": "fresh",
        "list_version": 7,
        "reports_waiting": 3,
        "unix_s": NOW_UNIX_S,
        "clock_synchronised": True,
    }
    return tap | changes


def histogram_line(
    durations_ns: Mapping[str, list[int]] | None = None, run_id: str = "00112233aabbccdd"
) -> Line:
    """The lane's own histograms of these durations."""
    stages = {}
    for stage in ("decided", "filed", "told"):
        histogram = LatencyHistogram()
        for duration_ns in (durations_ns or {}).get(stage, []):
            histogram.add(duration_ns)
        stages[stage] = {"counts": histogram.buckets(), "max_ns": histogram.max_ns}
    return {"histograms": stages, "run_id": run_id}


def status(**changes: Any) -> LaneStatus:
    """The same as the console reads it."""
    said = heard(json.dumps(status_line(**changes)).encode())
    assert isinstance(said, LaneStatus)
    return said


def tap(**changes: Any) -> Tap:
    """The same as the console reads it."""
    said = heard(json.dumps(tap_line(**changes)).encode())
    assert isinstance(said, Tap)
    return said


def counts(
    durations_ns: Mapping[str, list[int]] | None = None, run_id: str = "00112233aabbccdd"
) -> Counts:
    """The same as the console reads it."""
    said = heard(json.dumps(histogram_line(durations_ns, run_id)).encode())
    assert isinstance(said, Counts)
    return said


Answers = Callable[[str], bytes]


def well(request: str) -> bytes:
    """What a lane that is well answers."""
    answers: dict[str, Line] = {
        "status": status_line(),
        "histograms": histogram_line(),
        "watch": {"watching": True},
        "list_changed": {"looking": True},
    }
    return json.dumps(answers[request]).encode() + b"\n"


class FakeLane:
    """A lane socket that answers each request with the bytes of `answers`; empty bytes hang up."""

    def __init__(self, path: Path, answers: Answers = well) -> None:
        self.path = path
        self.answers = answers
        self.calls = 0
        self.asked: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._caller: socket.socket | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, daemon=True).start()

    def wait_for(self, wanted: Callable[["FakeLane"], bool]) -> None:
        """Wait until this is so."""
        with self._changed:
            assert self._changed.wait_for(lambda: wanted(self), 20.0), (
                self.calls,
                self.asked[-10:],
            )

    def say(self, data: bytes) -> None:
        """Send this to the last caller."""
        assert self._caller is not None
        with suppress(OSError):
            self._caller.sendall(data)

    def hang_up(self) -> None:
        """As a lane that was killed: the socket stays, without a listener."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._caller is not None:
            with suppress(OSError):
                self._caller.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                with self._changed:
                    self._caller = caller
                    self.calls += 1
                    self._changed.notify_all()
                with suppress(OSError), caller, caller.makefile("rb") as lines:
                    self._answer(caller, lines)

    def _answer(self, caller: socket.socket, lines: Any) -> None:
        for line in lines:
            request = json.loads(line)["request"]
            answer = self.answers(request)
            with self._changed:
                self.asked.append(request)
                self._changed.notify_all()
            if not answer:
                return
            caller.sendall(answer)


@contextmanager
def fake_lane(path: Path, answers: Answers = well) -> Iterator[FakeLane]:
    """One for the length of a test."""
    lane = FakeLane(path, answers)
    try:
        yield lane
    finally:
        with suppress(OSError):
            lane.hang_up()
        path.unlink(missing_ok=True)
