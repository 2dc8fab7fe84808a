"""A LOT turnstile on a serial line: ports.Board.

This file opens, reads, writes and reopens the port; `gate.py` gives the registers their meaning.
The device is opened by its name again after each loss, for ever.
"""

import time
from collections import deque
from collections.abc import Callable

from validator.domain.events import BoardBack, BoardEvent, BoardLost
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.lot.gate import TAPS_REMEMBERED, LotGate
from validator.lane.boards.lot.master import Master
from validator.lane.boards.port import Port, PortError

BAUD = 115_200  # the maker's default, register 4310h; 8 data bits, no parity, 1 stop bit
RETRY_NS = 250_000_000  # a device that comes back is served within 2 s
# For the end of the request under way when the board is closed: 105 ms at most by the master's own
# limits, and more on a machine that stalls.
CANCEL_NS = 1_000_000_000
CLOSED_NS = 1_000_000_000  # how often a loop may call a closed board


class LotBoard:
    """A validator.lane.ports.Board."""

    def __init__(
        self,
        device: str,
        address: int,
        direction: Direction,
        hold_ms: int,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Open nothing yet: the first `take` does.

        Args:
            device: the path of the serial port.
            address: of the turnstile on the Modbus line, set by its switches.
            direction: on whose side lamps show an outcome.
            hold_ms: how long a passage may take to begin; the turnstile ends it by itself too.
            clock: monotonic time in nanoseconds.
        """
        self._device = device
        self._address = address
        self._direction = direction
        self._hold_ms = hold_ms
        self._clock = clock
        self._port: Port | None = None
        self._master: Master | None = None
        self._gate: LotGate | None = None
        self._closed = False
        self._retry_ns = clock()
        self._reasons: set[str] = set()  # of this loss, that were reported
        self._events: deque[BoardEvent] = deque()
        self._taps: deque[int] = deque(maxlen=TAPS_REMEMBERED)

    def fileno(self) -> int:
        """See ports.Board."""
        return -1 if self._port is None else self._port.fd

    def deadline_ns(self) -> int:
        """See ports.Board."""
        if self._events:
            return 0
        if self._closed:
            return self._clock() + CLOSED_NS
        return self._retry_ns if self._gate is None else self._gate.due_ns

    def take(self) -> BoardEvent | None:
        """See ports.Board."""
        if not self._events and not self._closed:
            self._turn()
        return self._events.popleft() if self._events else None

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board."""
        if self._gate is not None:
            now_ns = self._clock()
            self._sort(self._gate.open(tap, direction, hold_ms, now_ns))
            self._flush(now_ns)

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board. A lamp shows no date."""
        del date
        if self._gate is not None:
            now_ns = self._clock()
            self._gate.show(outcome, hold_ms, self._direction, now_ns)
            self._flush(now_ns)

    def close(self) -> None:
        """See ports.Board. A permission that could not be cancelled ends by the turnstile."""
        self._cancel()
        self._closed = True
        self._events.clear()
        self._close_port()

    def _cancel(self) -> None:
        """Cancel what is permitted, after the answer under way: two would garble each other."""
        if self._gate is None:
            return
        now_ns = self._clock()
        ends_ns = now_ns + CANCEL_NS
        self._gate.cancel(now_ns)
        self._flush(now_ns)
        while self._gate is not None and self._port is not None and self._gate.must_cancel:
            if now_ns >= ends_ns:
                return
            self._port.wait((min(self._gate.due_ns, ends_ns) - now_ns) / 1e9)
            now_ns = self._clock()
            self._turn()

    def _turn(self) -> None:
        now_ns = self._clock()
        if self._gate is None and (now_ns < self._retry_ns or not self._reopen(now_ns)):
            return
        gate, port = self._gate, self._port
        assert gate is not None  # noqa: S101 — for the type checker: _reopen has just made both
        assert port is not None  # noqa: S101
        try:
            data = port.read()
        except PortError as error:
            self._lose(str(error), now_ns)
            return
        self._sort(gate.receive(data, now_ns))
        self._flush(now_ns)

    def _reopen(self, now_ns: int) -> bool:
        self._retry_ns = now_ns + RETRY_NS
        try:
            self._port = Port(self._device, BAUD)
        except PortError as error:
            self._lose(str(error), now_ns)
            return False
        self._master = Master(self._address, now_ns)
        self._gate = LotGate(self._master, self._hold_ms, self._taps, now_ns)
        return True

    def _sort(self, events: list[BoardEvent]) -> None:
        for event in events:
            if isinstance(event, BoardLost):
                self._lose(event.reason, event.at_ns)
                return
            if isinstance(event, BoardBack):
                self._reasons.clear()
            self._events.append(event)

    def _flush(self, now_ns: int) -> None:
        if self._port is None or self._master is None:
            return
        try:
            self._port.write(self._master.outgoing)
        except PortError as error:
            self._lose(str(error), now_ns)

    def _close_port(self) -> None:
        port, self._port = self._port, None
        self._master = self._gate = None
        if port is not None:
            port.close()

    def _lose(self, reason: str, now_ns: int) -> None:
        """Close the port and retry later. Each reason of a loss is reported once."""
        self._close_port()
        self._retry_ns = now_ns + RETRY_NS
        reported = f"board at {self._device}: {reason}"
        if reported not in self._reasons:
            self._reasons.add(reported)
            self._events.append(BoardLost(reported, now_ns))
