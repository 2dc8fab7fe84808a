"""The turnstile board on a serial line (pyserial): ports.Board, and its own reader's line.

This file opens, reads, writes and reopens the port. `link.py` gives the bytes their meaning, and
`card_tray.py` keeps the cards of a board that reads them itself.

The operator names the device by a stable link, such as one made by udev. It is opened by that name
after each loss, for ever: Linux gives a freed pts or ttyUSB number to the next device at once.
"""

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable

from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    CardSeen,
    Clash,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.port import Port, PortError
from validator.lane.boards.serial.card_tray import CARD_AGE_MAX_NS, CardTray
from validator.lane.boards.serial.frames import OpenFrame, ReadFrame, ShowFrame
from validator.lane.boards.serial.link import (
    BoardLink,
    Command,
    LinkEvent,
    OldCard,
    ReadAcknowledged,
)

BAUD = 115_200
# A device that comes back is served within 2 s. A quarter of a second leaves room for its HELLO.
RETRY_NS = 250_000_000
# How often the line of an armed reader is read without input: a card read then is no older.
LINE_READ_NS = 100_000_000
CLOSED_NS = 1_000_000_000  # how often a loop may call a closed board


class SerialBoard:
    """A validator.lane.ports.Board, and a validator.lane.readers.board_reader.CardLine."""

    def __init__(
        self,
        device: str,
        device_id: bytes,
        firmware: str,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Open nothing yet: the first `take` does.

        Args:
            device: the path of the serial port.
            device_id: 8 bytes that name this lane in its HELLO.
            firmware: the lane's version in its HELLO, at most 46 bytes of UTF-8.
            clock: monotonic time in nanoseconds.
        """
        self._device = device
        self._device_id = device_id
        self._firmware = firmware
        self._clock = clock
        self._port: Port | None = None
        self._link: BoardLink | None = None
        self._closed = False
        self._retry_ns = self._read_ns = clock()
        # The reasons of this loss that were reported: few, and none holds bytes from the line.
        self._reasons: set[str] = set()
        self._events: deque[BoardEvent] = deque()
        self._cards = CardTray()

    def fileno(self) -> int:
        """See ports.Board."""
        return -1 if self._port is None else self._port.fd

    def deadline_ns(self) -> int:
        """See ports.Board."""
        return 0 if self._events else self._line_deadline_ns()

    def card_deadline_ns(self, *, armed: bool) -> int:
        """Return the monotonic time at which `take_card` is due; 0 if an event is here."""
        if self._cards.has_events(armed=armed):
            return 0
        due_ns = self._line_deadline_ns()
        if armed and self._link is not None:
            return min(due_ns, self._read_ns + LINE_READ_NS)
        return due_ns

    def take(self) -> BoardEvent | None:
        """See ports.Board."""
        if not self._events:
            self._turn()
        return self._events.popleft() if self._events else None

    def take_card(self, *, armed: bool) -> ReaderEvent | None:
        """Return the next event of the board's own reader, or None.

        Cards, and events in place of a card, wait until `armed`.
        """
        if not self._cards.has_events(armed=armed):
            self._turn()
        event = self._cards.take(self._clock(), armed=armed)
        if self._cards.must_ask_again:
            self._read_again()
        return event

    def forget_card(self) -> None:
        """Report the card that was reported last again, if it still lies there."""
        if self._cards.forget():
            self._read_again()

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board."""
        self._command(OpenFrame(tap, direction, hold_ms))

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board."""
        self._command(ShowFrame(outcome, hold_ms, date))

    def close(self) -> None:
        """See ports.Board. No event is reported after it."""
        self._closed = True
        self._events.clear()
        self._close_port()

    def _line_deadline_ns(self) -> int:
        if self._closed:
            return self._clock() + CLOSED_NS
        return self._retry_ns if self._link is None else self._link.deadline_ns

    def _turn(self) -> None:
        """Open the port if that is due, read what came, do what is due, write."""
        if self._closed:
            return
        now_ns = self._clock()
        if self._link is None and (now_ns < self._retry_ns or not self._reopen(now_ns)):
            return
        link, port = self._link, self._port
        assert link is not None  # noqa: S101 — for the type checker: _reopen has just made both
        assert port is not None  # noqa: S101
        try:
            data = port.read()
            before_ns, self._read_ns = self._read_ns, now_ns
            now_ns = self._clock()  # the machine may not have run in between
            self._sort(link.receive(data, now_ns), is_old=now_ns - before_ns > CARD_AGE_MAX_NS)
            self._sort(link.tick(now_ns))
            self._flush()
        except PortError as error:
            self._lose(str(error), now_ns)

    def _reopen(self, now_ns: int) -> bool:
        self._retry_ns = now_ns + RETRY_NS
        try:
            self._port = Port(self._device, BAUD)
        except PortError as error:
            self._lose(str(error), now_ns)
            return False
        self._read_ns = now_ns
        self._link = BoardLink(
            secrets.randbelow(0xFFFF_FFFF) + 1, self._device_id, self._firmware, now_ns
        )
        return True

    def _command(self, frame: Command) -> None:
        if self._link is None:
            return
        now_ns = self._clock()
        self._link.send(frame, now_ns)
        try:
            self._flush()
        except PortError as error:
            self._lose(str(error), now_ns)

    def _read_again(self) -> None:
        """Ask the board to report again what lies on its reader now."""
        self._cards.asked()
        self._command(ReadFrame())

    def _flush(self) -> None:
        if self._link is not None and self._port is not None:
            self._port.write(self._link.outgoing)

    def _sort(self, events: list[LinkEvent], *, is_old: bool = False) -> None:
        """Pass each event to the board's queue, to the card tray, or to `_lose`.

        Args:
            events: what the link understood from one read.
            is_old: the bytes may have waited on the line for more than CARD_AGE_MAX_NS.
        """
        for event in events:
            match event:
                case BoardLost():
                    self._lose(event.reason, event.at_ns)
                case BoardBack():
                    self._reasons.clear()
                    self._cards.board_back(
                        f"board at {self._device}: it has restarted", event.at_ns
                    )
                    self._events.append(event)
                case ReaderLost():
                    self._cards.lose(f"board at {self._device}: {event.reason}", event.at_ns)
                case ReaderBack():
                    self._cards.back(event)
                case CardSeen() | Clash() | OldCard() if is_old:
                    self._cards.must_ask_again = True
                case CardSeen() | Clash():
                    self._cards.put(event)
                case ReadAcknowledged():
                    self._cards.read_acknowledged(self._clock())
                case OldCard():
                    self._cards.put(event.event, lay=True)
                case _:
                    self._events.append(event)

    def _lose(self, reason: str, now_ns: int) -> None:
        """Close the port and retry later. Each reason of a loss is reported once."""
        self._close_port()
        self._retry_ns = now_ns + RETRY_NS
        reported = f"board at {self._device}: {reason}"
        if reported not in self._reasons:
            self._reasons.add(reported)
            self._events.append(BoardLost(reported, now_ns))
        self._cards.lose(reported, now_ns)

    def _close_port(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(PortError):  # the device may be gone already
                self._flush()
            port.close()
        self._link = None
