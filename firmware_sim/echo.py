"""The fault of a line that echoes: a program receives what it sends.

A two-wire RS-485 adapter and crossed wires do so. The echo belongs to the line, not to the device:
it goes on while the device has no power.
"""

from collections import deque
from random import Random

from firmware_sim.faults import Faults
from firmware_sim.outcomes import Send

__all__ = ["Echo"]

NS_PER_MS = 1_000_000


class Echo:
    """The bytes on their way back; their order is kept, whatever the delay of each piece."""

    def __init__(self, faults: Faults, random: Random) -> None:
        """`faults` has `echo` and `echo-cut`; `random` draws the part that `echo-cut` returns."""
        self._faults = faults
        self._random = random
        self._back: deque[tuple[int, bytes]] = deque()

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes that the program has sent in one piece."""
        if not data:
            return
        if (fault := self._faults.strike("echo")) is not None:
            due_ns = now_ns + int(fault.value or 0) * NS_PER_MS
            self._back.append((max(due_ns, self._back[-1][0] if self._back else 0), data))
        if self._faults.strike("echo-cut") is not None:
            start, end = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
            self._back.append(
                (max(now_ns, self._back[-1][0] if self._back else 0), data[start:end])
            )

    def due_ns(self) -> int | None:
        """Return when `take` returns bytes; None while none are on their way."""
        return self._back[0][0] if self._back else None

    def take(self, now_ns: int) -> list[Send]:
        """Return what has come back by now."""
        sent = []
        while self._back and self._back[0][0] <= now_ns:
            data = self._back.popleft()[1]
            sent += [Send(data)] if data else []
        return sent
