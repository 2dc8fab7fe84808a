"""What validator.lane.ports.LaneClients promises: the lane socket, and the two fakes of tests."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.gate.lane_clients import (
    QueueClient,
    QueueClients,
    SimulatedClients,
    SimulatedTime,
)
from validator.ipc.answers import Forgotten, Looking, Watching
from validator.ipc.requests import Delivered, ListChanged, Watch
from validator.lane.lane_socket import LaneSocket
from validator.lane.ports import Asked, LaneClients

LIMIT_S = 90.0
LINES = {
    ListChanged(): b'{"request":"list_changed"}\n',
    Delivered(("an id",)): b'{"request":"delivered","ids":["an id"]}\n',
    Watch(): b'{"request":"watch"}\n',
}


class Rig(Protocol):
    """An implementation, and the programs that connect to it."""

    clients: LaneClients

    def connect(self) -> Any:
        """Connect one more program."""

    def send(self, program: Any, request: Any) -> None:
        """Let it send a request."""

    def receive(self, program: Any) -> dict[str, Any]:
        """Wait for the next line that it gets."""

    def leave(self, program: Any) -> None:
        """Let it hang up."""

    def close(self) -> None:
        """End all."""


class SocketRig:
    """The lane socket, with real connections."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lane.sock"
        self.clients = LaneSocket(self._path)
        self._programs = ExitStack()

    def connect(self) -> socket.socket:
        program = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._programs.enter_context(program)
        program.settimeout(LIMIT_S)
        program.connect(str(self._path))
        return program

    def send(self, program: socket.socket, request: Any) -> None:
        program.sendall(LINES[request])

    def receive(self, program: socket.socket) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            part = program.recv(1)
            assert part, "hung up"
            line += part
        received: dict[str, Any] = json.loads(line)
        return received

    def leave(self, program: socket.socket) -> None:
        program.close()

    def close(self) -> None:
        self._programs.close()
        self.clients.close()


class QueueRig:
    """Clients in memory."""

    def __init__(self, _folder: Path, clients: QueueClients | None = None) -> None:
        self.clients = clients or QueueClients()

    def connect(self) -> QueueClient:
        return QueueClient()

    def send(self, program: QueueClient, request: Any) -> None:
        self.clients.send(program, request)

    def receive(self, program: QueueClient) -> dict[str, Any]:
        return program.receive()

    def leave(self, program: QueueClient) -> None:
        program.is_gone = True

    def close(self) -> None:
        """Nothing to end."""


def simulated(folder: Path) -> QueueRig:
    return QueueRig(folder, SimulatedClients(SimulatedTime()))


@pytest.fixture(params=[SocketRig, QueueRig, simulated], ids=["socket", "queues", "simulated"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made: Rig = request.param(tmp_path)
    yield made
    made.close()


def taken(clients: LaneClients) -> Asked:
    """Wait until a request has come."""
    while (asked := clients.take()) is None:
        clients.wait(LIMIT_S)
    return asked


def test_a_request_is_taken_once_and_its_client_gets_the_answer(rig: Rig) -> None:
    first, second = rig.connect(), rig.connect()
    rig.send(first, ListChanged())
    asked = taken(rig.clients)
    assert asked.request == ListChanged()
    rig.clients.answer(asked.client, Looking())
    rig.send(second, Delivered(("an id",)))
    other = taken(rig.clients)
    assert other.request == Delivered(("an id",))
    rig.clients.answer(other.client, Forgotten(1))
    assert rig.receive(first) == {"looking": True}
    assert rig.receive(second) == {"forgotten": 1}
    assert rig.clients.take() is None


def test_a_wake_ends_the_wait_under_way_or_the_next_one_and_no_other(rig: Rig) -> None:
    rig.clients.wake()
    rig.clients.wake()
    rig.clients.wait(100 * LIMIT_S)  # a wait that did not end would be the test's time-out
    assert rig.clients.take() is None
    rig.clients.wait(0.0)


def test_a_wait_ends_at_its_limit_and_one_below_zero_at_once(rig: Rig) -> None:
    for limit_s in (0.01, 0.0, -5.0):
        rig.clients.wait(limit_s)
        assert rig.clients.take() is None


def test_events_go_to_those_who_watch_and_to_no_other_client(rig: Rig) -> None:
    watcher, other = rig.connect(), rig.connect()
    rig.send(watcher, Watch())
    rig.clients.answer(taken(rig.clients).client, Watching())
    rig.send(other, ListChanged())
    asked = taken(rig.clients)
    rig.clients.tell({"event": "forced"})
    rig.clients.answer(asked.client, Looking())
    assert rig.receive(watcher) == {"watching": True}
    assert rig.receive(watcher) == {"event": "forced"}
    assert rig.receive(other) == {"looking": True}


def test_a_client_that_has_gone_costs_the_others_nothing(rig: Rig) -> None:
    gone, other = rig.connect(), rig.connect()
    rig.send(gone, Watch())
    asked = taken(rig.clients)
    rig.leave(gone)
    rig.clients.answer(asked.client, Watching())
    rig.clients.tell({"event": "forced"})
    rig.send(other, ListChanged())
    rig.clients.answer(taken(rig.clients).client, Looking())
    assert rig.receive(other) == {"looking": True}


def test_there_is_no_news_of_a_way_that_is_well(rig: Rig) -> None:
    assert rig.clients.news == []
