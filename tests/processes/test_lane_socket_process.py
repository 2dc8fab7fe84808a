"""The lane socket of a lane that files denials, against endless, silent, many and slow callers.

None of them holds up a denial: a caller that could hold up the clerk would stop it, and the next
denials would not come.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine.programs import WAIT_S, Program
from validator.lane.lane_socket import CLIENTS_MAX

DENIALS = 1_000_000  # more than there is time for
COUNTED = 1_000


class Lane:
    """A lane in a process, and the folder of its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = Program("tests.processes.denial_lane", str(folder), "1", str(DENIALS))
        self.program.event("told", number=1)

    def call(self) -> socket.socket:
        """A connection, tried again while more are waiting than the lane lets wait."""
        until_s = time.monotonic() + WAIT_S
        while True:
            caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            caller.settimeout(WAIT_S)
            try:
                caller.connect(str(self.folder / "lane.sock"))
            except OSError as error:
                caller.close()
                if not isinstance(error, BlockingIOError) or time.monotonic() > until_s:
                    raise
            else:
                return caller

    def ask(self, **request: Any) -> dict[str, Any]:
        """An answer, on a connection of its own."""
        with self.call() as caller:
            caller.sendall(json.dumps(request).encode() + b"\n")
            with caller.makefile("rb") as file:
                told: dict[str, Any] = json.loads(file.readline())
                return told

    def files_denials(self) -> None:
        """Wait until the next COUNTED denials are filed. Raises AssertionError if one is late."""
        self.program.catch_up()
        for _ in range(COUNTED):
            self.program.event("told")
        self.program.heard.clear()
        self.program._looked = 0


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    made = Lane(tmp_path_factory.mktemp("lane"))
    try:
        yield made
    finally:
        made.program.kill()
        made.program.close()


Caller = Callable[[Lane, threading.Event], None]


class Rejections:
    """Makes events for watchers: no card is tapped, but each quarantined report is one event."""

    def __init__(self, caller: socket.socket) -> None:
        self._caller = caller
        self._answers = caller.makefile("rb")
        self._ids: list[str] = []

    def reject(self, reason: str) -> bool:
        """Quarantine the oldest report. Returns False if another caller was faster."""
        while not self._ids:
            told = self._ask(request="reports", max=20)["reports"]
            self._ids = [each["report_id"] for each in told]
        answer = self._ask(request="rejected", id=self._ids.pop(0), reason=reason)
        return bool(answer["put_aside"])

    def close(self) -> None:
        """The connection stays open for the caller that made it."""
        self._answers.close()

    def _ask(self, **request: object) -> dict[str, Any]:
        self._caller.sendall(json.dumps(request).encode() + b"\n")
        told: dict[str, Any] = json.loads(self._answers.readline())
        return told


def endless(lane: Lane, ended: threading.Event) -> None:
    """Sends a line without an end, and comes back when it was hung up on."""
    while not ended.wait(0.001):
        with suppress(OSError), lane.call() as caller:
            while not ended.is_set():
                caller.sendall(b"a" * 65_536)


def drop_by_drop(lane: Lane, ended: threading.Event) -> None:
    """Sends a byte at a time."""
    with suppress(OSError), lane.call() as caller:
        while not ended.wait(0.001):
            caller.sendall(b" ")


def silent(lane: Lane, ended: threading.Event) -> None:
    """Sends nothing."""
    with lane.call():
        ended.wait()


def many(lane: Lane, ended: threading.Event) -> None:
    """Connects again and again, and goes."""
    while not ended.wait(0.001):
        with suppress(OSError):
            lane.call().close()


def deaf_watcher(lane: Lane, ended: threading.Event) -> None:
    """Asks for all events, of which there are many, and takes none."""
    with lane.call() as caller, lane.call() as other, closing(Rejections(other)) as rejections:
        caller.sendall(b'{"request":"watch"}\n')
        while not ended.is_set():
            rejections.reject("r" * 200)


def deaf_asker(lane: Lane, ended: threading.Event) -> None:
    """Asks for reports as fast as it can, and takes no answer."""
    while not ended.wait(0.001):
        with suppress(OSError), lane.call() as caller:
            caller.settimeout(0.5)
            while not ended.is_set():
                caller.sendall(b'{"request":"reports"}\n')


@contextmanager
def besieged(lane: Lane, *callers: Caller) -> Iterator[None]:
    ended = threading.Event()
    with ExitStack() as stack:
        stack.callback(ended.set)
        for call in callers:
            thread = threading.Thread(target=call, args=(lane, ended))
            thread.start()
            stack.callback(thread.join, WAIT_S)
            stack.callback(ended.set)
        yield


@pytest.mark.parametrize("caller", [endless, drop_by_drop, silent, many, deaf_watcher, deaf_asker])
def test_denials_are_filed_beside_any_caller(caller: Caller, lane: Lane) -> None:
    with besieged(lane, *[caller] * 2):
        lane.files_denials()


def test_denials_are_filed_when_all_of_them_call_at_once(lane: Lane) -> None:
    with besieged(
        lane, endless, drop_by_drop, silent, many, deaf_watcher, deaf_asker, many, endless
    ):
        lane.files_denials()
    status = lane.ask(request="status")["status"]
    assert (status["reports_refused"], status["reports_trouble"]) == (0, "")


def test_callers_that_send_nothing_do_not_keep_the_courier_out(lane: Lane) -> None:
    with ExitStack() as stack:
        silent_ones = [stack.enter_context(lane.call()) for _ in range(3 * CLIENTS_MAX)]
        for _ in range(3):
            told = lane.ask(request="reports", max=5)["reports"]
            assert lane.ask(request="delivered", ids=[each["report_id"] for each in told]) == {
                "forgotten": 5
            }
        assert silent_ones[0].recv(1) == b"", "the first that came is the first that must go"


def test_a_watcher_that_was_slow_receives_how_much_it_missed(lane: Lane) -> None:
    with ExitStack() as stack:
        slow, other = (stack.enter_context(lane.call()) for _ in range(2))
        events = stack.enter_context(slow.makefile("rb"))
        rejections = stack.enter_context(closing(Rejections(other)))
        slow.sendall(b'{"request":"watch"}\n')
        assert json.loads(events.readline()) == {"watching": True}
        told = 3_000
        for _ in range(told):
            assert rejections.reject("r" * 200)
        heard = [json.loads(events.readline())]
        while heard[-1]["event"] != "dropped":
            assert rejections.reject("now there is room")  # the count comes before the next event
            told += 1
            heard.append(json.loads(events.readline()))
        missed = heard.pop()["count"]
        assert missed > 0
        assert {each["event"] for each in heard} == {"report rejected"}
        assert len(heard) + missed <= told


def test_only_the_group_of_the_service_may_call(lane: Lane) -> None:
    assert (lane.folder / "lane.sock").stat().st_mode & 0o777 == 0o660
