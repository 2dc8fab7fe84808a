"""The lane socket's client against lanes that hang, die, or answer too much or something else."""

import json
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gate.reports import stored
from validator.courier.ports import ReportAnswer, Result
from validator.courier.report_upload import LOOK_S, ReportUpload
from validator.courier.waits import WAIT_S_MAX
from validator.errors import LaneGoneError, SourceState
from validator.ipc import client as lane_client
from validator.ipc.answers import ListStatus
from validator.ipc.client import LaneClient
from validator.reports.stored_report import StoredReport

LONG_S = 90.0  # what a test that passes never waits
REPORTS = [stored(seq) for seq in range(1, 4)]
TOLD = b'{"reports":[' + b",".join(report.json() for report in REPORTS) + b"]}\n"

Says = Callable[[socket.socket, bytes], bool]
"""What a lane does with a line that it is asked; whether it goes on."""


def saying(answer: bytes) -> Says:
    """Answer with these bytes, whatever the request."""

    def says(caller: socket.socket, _line: bytes) -> bool:
        caller.sendall(answer)
        return True

    return says


def dying_after(answer: bytes) -> Says:
    """Answer with these bytes, and die."""

    def says(caller: socket.socket, _line: bytes) -> bool:
        caller.sendall(answer)
        return False

    return says


class Lane:
    """A lane socket that the test plays."""

    def __init__(self, path: Path, says: Says) -> None:
        self.says = says
        self.asked: list[dict[str, object]] = []
        self.callers = 0
        self.stopping = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(LONG_S)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.callers += 1
            with caller, caller.makefile("rb") as lines:
                try:
                    for line in lines:
                        self.asked.append(json.loads(line))
                        if not self.says(caller, line):
                            break
                except OSError:
                    continue  # the client hung up


@contextmanager
def lane(folder: Path, says: Says) -> Iterator[tuple[Lane, LaneClient]]:
    path = folder / "lane.sock"
    path.unlink(missing_ok=True)
    with closing(Lane(path, says)) as other, closing(LaneClient(path)) as client:
        yield other, client


ASKS: Mapping[str, Callable[[LaneClient], object]] = {
    "oldest": lambda client: client.oldest(20, 0),
    "delivered": lambda client: client.delivered([REPORTS[0].report_id]),
    "rejected": lambda client: client.rejected(REPORTS[0].report_id, "no"),
    "status": lambda client: client.status(),
    "list_changed": lambda client: client.list_changed(),
}


def gone(client: LaneClient, ask: str) -> str:
    """Return the error of a lane that failed: one clear line that names the socket."""
    with pytest.raises(LaneGoneError) as caught:
        ASKS[ask](client)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 400
    assert "lane.sock: " in text
    return text.partition("lane.sock: ")[2]


def test_it_asks_and_is_answered_on_one_connection(tmp_path: Path) -> None:
    with lane(tmp_path, saying(TOLD)) as (other, client):
        assert list(client.oldest(20, 40)) == REPORTS
        other.says = saying(b'{"forgotten":3}\n')
        client.delivered([report.report_id for report in REPORTS])
        other.says = saying(b'{"put_aside":1}\n')
        client.rejected("id", "x" * 500)
        other.says = saying(b'{"status":{"list_version":7}}\n')
        assert client.list_status() == ListStatus(7)
        assert other.callers == 1
    assert [asked["request"] for asked in other.asked] == [
        "reports",
        "delivered",
        "rejected",
        "status",
    ]
    assert (other.asked[0]["max"], other.asked[0]["skip"], len(str(other.asked[2]["reason"]))) == (
        20,
        40,
        200,
    )


@pytest.mark.parametrize("ask", ASKS)
def test_a_lane_that_is_not_there_is_gone_and_one_that_comes_is_found(
    tmp_path: Path, ask: str
) -> None:
    client = LaneClient(tmp_path / "lane.sock")
    assert gone(client, ask) == "No such file or directory"
    with lane(tmp_path, dying_after(b"")):
        assert gone(client, ask) == "it hung up"
    assert gone(client, ask) == "Connection refused"
    client.close()


@pytest.mark.parametrize("ask", ASKS)
def test_a_lane_that_hangs_delays_no_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    monkeypatch.setattr(lane_client, "ANSWER_S", 0.1)

    def hangs(_caller: socket.socket, _line: bytes) -> bool:
        return True

    with lane(tmp_path, hangs) as (_, client):
        assert gone(client, ask) in ("no answer", "no whole answer in time")


def test_a_lane_that_answers_byte_by_byte_for_ever_delays_no_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, and their end never."""
    monkeypatch.setattr(lane_client, "ANSWER_S", 0.2)

    def drips(caller: socket.socket, _line: bytes) -> bool:
        while not other.stopping.wait(0.01):
            caller.sendall(b" ")
        return False

    with lane(tmp_path, drips) as (other, client):
        assert gone(client, "oldest") in ("no answer", "no whole answer in time")


def test_a_lane_that_reads_nothing_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_client, "ANSWER_S", 0.1)
    path = tmp_path / "lane.sock"
    with closing(socket.socket(socket.AF_UNIX)) as listener, closing(LaneClient(path)) as client:
        listener.bind(str(path))
        listener.listen(1)
        for _ in range(8):  # its queue fills with connections that it never accepts
            gone(client, "status")


def test_an_answer_that_breaks_off_at_any_byte_is_none_and_the_next_is_whole(
    tmp_path: Path,
) -> None:
    with lane(tmp_path, saying(b"")) as (other, client):
        for cut in range(0, len(TOLD), 7):
            other.says = dying_after(TOLD[:cut])
            assert gone(client, "oldest") == "it hung up"
        other.says = saying(TOLD)
        assert list(client.oldest(20, 0)) == REPORTS


@pytest.mark.parametrize(
    "answer",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\xff\xfe\x00\n",
        b"[" * 5_000 + b"\n",
        b"220 mail.example.org ESMTP\n",
        b'{"reports":{}}\n',
        b'{"reports":[{}]}\n',
        b'{"status":7}\n',
        b'{"forgotten":"all"}\n',
        b'{"forgotten":0}\n',
        b'{"put_aside":null}\n',
        b'{"put_aside":0}\n',
        b'{"error":"disk \xc3\xa9"}\n',
    ],
)
@pytest.mark.parametrize("ask", ["oldest", "delivered", "rejected", "status"])
def test_an_answer_that_is_none_is_a_lane_that_is_gone(
    tmp_path: Path, ask: str, answer: bytes
) -> None:
    with lane(tmp_path, saying(answer)) as (other, client):
        gone(client, ask)
        gone(client, ask)
        assert other.callers == 2, (
            "nothing of an answer that is wrong is left for the next question"
        )


def test_an_answer_without_an_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_client, "ANSWER_S", LONG_S)

    def endless(caller: socket.socket, _line: bytes) -> bool:
        while True:
            caller.sendall(b" " * 4_096)

    with lane(tmp_path, endless) as (_, client):
        assert (
            gone(client, "oldest") == f"an answer of more than {lane_client.ANSWER_BYTES_MAX} bytes"
        )


def test_more_reports_than_were_asked_for_are_none(tmp_path: Path) -> None:
    with lane(tmp_path, saying(TOLD)) as (_, client):
        with pytest.raises(LaneGoneError, match="sent 3 reports where 2 are the most"):
            client.oldest(2, 0)
        assert len(client.oldest(3, 0)) == 3


def test_a_second_answer_is_not_taken_for_that_to_the_next_question(tmp_path: Path) -> None:
    with lane(tmp_path, saying(b'{"forgotten":1}\n{"forgotten":1}\n')) as (_, client):
        assert gone(client, "delivered") == "it answered more than it was asked"


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(sorted(ASKS)))
def test_no_answer_raises_anything_but_lane_gone(tmp_path: Path, said: bytes, ask: str) -> None:
    with lane(tmp_path, dying_after(said + b"\n")) as (_, client), suppress(LaneGoneError):
        ASKS[ask](client)


class Office:
    """A back office that is well; it counts what it is sent."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, reports: Sequence[StoredReport]) -> Mapping[str, ReportAnswer]:
        """See courier.ports.ReportReceiver."""
        self.sent += 1
        return {report.report_id: ReportAnswer(Result.ALREADY) for report in reports}


@pytest.mark.parametrize("forgets", [b'{"forgotten":0}\n', b'{"error":"the disk is read-only"}\n'])
def test_a_lane_that_cannot_forget_is_not_sent_for_again_and_again(
    tmp_path: Path, forgets: bytes
) -> None:
    """Its disk may be read-only for days: the city must not get 200 reports at full speed."""
    count = 20 * 10

    def says(caller: socket.socket, line: bytes) -> bool:
        asked = json.loads(line)
        first = asked.get("skip", 0) + 1
        some = [stored(seq).json() for seq in range(first, min(first + 20, count + 1))]
        caller.sendall(
            forgets if asked["request"] == "delivered" else b'{"reports":[%b]}\n' % b",".join(some)
        )
        return True

    office = Office()
    with lane(tmp_path, says) as (_, client):
        carrier = ReportUpload([client], office, lambda: 0.999_999)
        told = [carrier.round() for _ in range(12)]
    waits = [wait_s for _, wait_s in told]
    assert waits[:3] == pytest.approx([2, 4, 8], rel=1e-3)
    assert waits[-1] == pytest.approx(WAIT_S_MAX, rel=1e-3)
    assert {(carried.state, carried.delivered) for carried, _ in told} == {(SourceState.FRESH, 0)}
    assert all(carried.problem for carried, _ in told), "and the problem is reported"
    assert office.sent == 12


def test_a_lane_that_is_gone_is_tried_again_every_other_second(tmp_path: Path) -> None:
    carrier = ReportUpload([LaneClient(tmp_path / "lane.sock")], Office(), random.Random(1).random)
    assert [carrier.round()[1] for _ in range(20)] == [LOOK_S] * 20
