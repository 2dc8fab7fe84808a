"""A loop that drives one device as the lane's does, and keeps the longest time of one call."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

HOLD_NS_MAX = 500_000_000  # the contract is 100 ms; a busy machine may take four times that

Answer = TypeVar("Answer")
Event = TypeVar("Event")
Event_co = TypeVar("Event_co", covariant=True)


class Device(Protocol[Event_co]):
    """The methods that ports.Reader and ports.Board share."""

    def fileno(self) -> int: ...
    def deadline_ns(self) -> int: ...
    def take(self) -> Event_co | None: ...
    def close(self) -> None: ...


class Loop(Generic[Event]):
    """Drives one device: `take` if its descriptor is readable or its deadline has come."""

    def __init__(self, device: Device[Event]) -> None:
        self.device = device
        self.longest_ns = 0
        self._more = False  # the last `take` returned an event, so there may be more

    def event(self, wait_s: float = 2.0) -> Event | None:
        """Return the next event, or None if none comes within `wait_s`."""
        deadline_ns = time.monotonic_ns() + int(wait_s * 1e9)
        while True:
            if self._is_due():
                event = self.timed(self.device.take)
                self._more = event is not None
                if event is not None:
                    return event
            if time.monotonic_ns() >= deadline_ns:
                return None
            self._wait(deadline_ns)

    def events(self, wait_s: float) -> list[Event]:
        """Return all events that come within `wait_s`."""
        deadline = time.monotonic() + wait_s
        events: list[Event] = []
        while (event := self.event(max(0.0, deadline - time.monotonic()))) is not None:
            events.append(event)
        return events

    def timed(self, call: Callable[[], Answer]) -> Answer:
        """Return what `call` returns, and keep the time that it took."""
        started_ns = time.monotonic_ns()
        answer = call()
        self.longest_ns = max(self.longest_ns, time.monotonic_ns() - started_ns)
        return answer

    def _is_due(self) -> bool:
        return self._more or time.monotonic_ns() >= self.device.deadline_ns() or self._poll(0)

    def _wait(self, deadline_ns: int) -> None:
        due_ns = min(deadline_ns, self.device.deadline_ns()) - time.monotonic_ns()
        self._poll(max(0, due_ns) / 1e6)

    def _poll(self, wait_ms: float) -> bool:
        poll = select.poll()
        if self.device.fileno() >= 0:
            poll.register(self.device.fileno(), select.POLLIN)
        return bool(poll.poll(wait_ms))


AnyLoop = TypeVar("AnyLoop", bound="Loop[Any]")


@contextmanager
def closing(loop: AnyLoop) -> Iterator[AnyLoop]:
    """Yield a loop, close its device at the end, and check that no call took too long."""
    try:
        yield loop
    finally:
        loop.device.close()
        print(f"longest call {loop.longest_ns / 1e6:.1f} ms")  # noqa: T201
    assert loop.longest_ns < HOLD_NS_MAX
