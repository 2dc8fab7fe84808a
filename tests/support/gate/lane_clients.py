"""validator.lane.ports.LaneClients in memory: for a clerk in a thread or in simulated time."""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from validator.ipc.answers import Answer
from validator.ipc.requests import Request, Watch
from validator.lane.ports import Asked

Json = dict[str, Any]
LIMIT_S = 90.0


@dataclass(eq=False)
class QueueClient:
    """One client: its answers and events, as JSON objects."""

    received: "queue.SimpleQueue[Json]" = field(default_factory=queue.SimpleQueue)
    watches: bool = False
    is_gone: bool = False

    def receive(self) -> Json:
        """Wait for the next answer or event."""
        return self.received.get(timeout=LIMIT_S)


class QueueClients:
    """Clients whose requests and answers pass through queues. Waits in real time."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self._asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._woken = threading.Event()
        self._watchers: list[QueueClient] = []

    def send(self, client: QueueClient, request: Request) -> None:
        """Send a request, as this client."""
        self._asked.put(Asked(client, request))
        self.wake()

    def ask(self, request: Request) -> Json:
        """Send a request, and wait for the answer."""
        client = QueueClient()
        self.send(client, request)
        return client.receive()

    def wait(self, limit_s: float) -> None:
        self._woken.wait(max(limit_s, 0.0))
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()

    def take(self) -> Asked | None:
        try:
            asked = self._asked.get_nowait()
        except queue.Empty:
            return None
        if isinstance(asked.request, Watch):
            self._watchers.append(asked.client)
        return asked

    def answer(self, client: QueueClient, answer: Answer) -> None:
        if not client.is_gone:
            client.received.put(_json(answer))

    def tell(self, event: Mapping[str, Any]) -> None:
        for client in self._watchers:
            if not client.is_gone:
                client.received.put(_json(event))


class SimulatedTime:
    """A clock that only a wait moves, and what happens at which of its times."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self._agenda: list[tuple[float, Callable[[], object]]] = []

    def at(self, in_s: float, happens: Callable[[], object]) -> None:
        """Let something happen `in_s` seconds from now."""
        self._agenda.append((self.now_s + in_s, happens))
        self._agenda.sort(key=lambda each: each[0])

    def advance(self, limit_s: float, is_over: Callable[[], bool]) -> None:
        """Move by `limit_s` seconds, or to the first thing after which the wait is over."""
        until_s = self.now_s + max(limit_s, 0.0)
        while not is_over():
            if not self._agenda or self._agenda[0][0] > until_s:
                self.now_s = until_s
                return
            self.now_s, happens = self._agenda.pop(0)
            happens()


class SimulatedClients(QueueClients):
    """The same, waiting in simulated time: a clerk with these needs no thread and never sleeps."""

    def __init__(self, time: SimulatedTime) -> None:
        super().__init__()
        self._time = time
        self.waits: list[float] = []  # seconds that each wait took

    def wait(self, limit_s: float) -> None:
        began_s = self._time.now_s
        self._time.advance(limit_s, self._woken.is_set)
        self._woken.clear()
        self.waits.append(self._time.now_s - began_s)


def _json(told: Answer | Mapping[str, Any]) -> Json:
    decoded: Json = msgspec.json.decode(msgspec.json.encode(told))
    return decoded
