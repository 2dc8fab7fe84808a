"""A line that gives a program back what it sends, as a two-wire RS-485 adapter or crossed wires do: a fault of every simulated device.

It carries bytes and knows no frames. It belongs to the line and not to the device: it goes on while the device has no power.
"""

from collections import deque
from random import Random

from firmware_sim.faults import Faults
from firmware_sim.outcomes import Say

__all__ = ["Echo"]

NS_PER_MS = 1_000_000


class Echo:
    """What is on its way back. Order is kept, whatever the delay of each piece."""

    def __init__(self, faults: Faults, random: Random) -> None:
        """`faults` says whether `echo` and `echo-cut` are on; `random` draws which part is cut out."""
        self._faults = faults
        self._random = random
        self._back: deque[tuple[int, bytes]] = deque()

    def hear(self, data: bytes, now_ns: int) -> None:
        """Bytes that the program has sent in one piece."""
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
        """When `take` has something; None when nothing is on its way."""
        return self._back[0][0] if self._back else None

    def take(self, now_ns: int) -> list[Say]:
        """What has come back by now."""
        said = []
        while self._back and self._back[0][0] <= now_ns:
            data = self._back.popleft()[1]
            said += [Say(data)] if data else []
        return said
