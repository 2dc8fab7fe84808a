"""The turnstile board on a serial line (pyserial), and the cards of a board that reads them itself.

Only the port's side: what the bytes mean is lane/boards/serial/link.py's affair. The device is named by a stable link and opened
anew after each loss, for ever: pts and ttyUSB numbers are reused at once.
"""

import contextlib
import errno
import os
import secrets
import select
import termios
import time
from collections import deque
from collections.abc import Callable

import serial

from validator.domain.events import (
    BoardBack,
    BoardEvent,
    BoardLost,
    CardSeen,
    Clash,
    LaidBefore,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
)
from validator.domain.outcomes import Direction, Outcome
from validator.lane.boards.serial.frames import OpenFrame, ReadFrame, ShowFrame
from validator.lane.boards.serial.link import BoardLink, Command, Lay, LinkEvent, ReadHeard

BAUD = 115_200
RETRY_NS = 250_000_000  # a device that comes back is served within 2 s; a quarter of one leaves room for its HELLO
READ_BYTES_MAX = 4_096
OUTGOING_BYTES_MAX = 4_096  # a line that takes nothing for so long is lost
CARDS_WAITING_MAX = 4  # the loop takes them at once; more is a board gone mad
# A card that was told longer ago may have left; the board is asked what lies there now.
CARD_AGE_MAX_NS = 300_000_000
# How often an armed reader's line is looked at though nothing came: what then comes is no older than that.
LOOK_NS = 100_000_000
ANSWER_NS = 200_000_000  # after which a card is no answer to READ any more: three resends
CLOSED_NS = 1_000_000_000  # how often a loop may look at a closed board

CardEvent = CardSeen | Clash

# Everything that pyserial lets through when a device goes away; termios.error is no OSError.
PORT_ERRORS = (OSError, termios.error, serial.SerialException, ValueError)


class SerialBoard:
    """The Board port over a serial line; also the source of a `BoardReader`'s cards."""

    def __init__(
        self,
        device: str,
        device_id: bytes,
        firmware: str,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`device` is a path; `device_id` (8 bytes) and `firmware` are what the lane says in its HELLO."""
        self._device = device
        self._device_id = device_id
        self._firmware = firmware
        self._clock = clock
        self._port: serial.Serial | None = None
        self._fd = -1
        self._poll = select.poll()
        self._link: BoardLink | None = None
        self._closed = False
        self._retry_ns = self._heard_ns = clock()
        self._told: set[str] = (
            set()
        )  # the reasons of this loss; there are few, and no bytes from the line in them
        self._events: deque[BoardEvent] = deque()
        self._cards = _CardTray()

    def fileno(self) -> int:
        """See ports.Board."""
        return self._fd

    def deadline_ns(self) -> int:
        """See ports.Board."""
        return 0 if self._events else self._line_deadline_ns()

    def card_deadline_ns(self, *, armed: bool) -> int:
        """The same for the board's own reader."""
        if self._cards.has_news(armed=armed):
            return 0
        due_ns = self._line_deadline_ns()
        return min(due_ns, self._heard_ns + LOOK_NS) if armed and self._link is not None else due_ns

    def take(self) -> BoardEvent | None:
        """See ports.Board."""
        if not self._events:
            self._turn()
        return self._events.popleft() if self._events else None

    def take_card(self, *, armed: bool) -> ReaderEvent | None:
        """The next event of the board's own reader, for BoardReader; cards and what is not quite one wait until `armed`."""
        if not self._cards.has_news(armed=armed):
            self._turn()
        event = self._cards.take(self._clock(), armed=armed)
        if self._cards.asks_again:
            self.read_again()
        return event

    def read_again(self) -> None:
        """Have the board tell anew what lies on its reader now."""
        self._cards.asked()
        self._command(ReadFrame())

    def forget_card(self) -> None:
        """The card told last was not heard: it is to be told again if it still lies there."""
        if self._cards.forget():
            self.read_again()

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board."""
        self._command(OpenFrame(tap, direction, hold_ms))

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board."""
        self._command(ShowFrame(outcome, hold_ms, date))

    def close(self) -> None:
        """See ports.Board. Nothing is told any more."""
        self._closed = True
        self._events.clear()
        self._let_go()

    def _line_deadline_ns(self) -> int:
        if self._closed:
            return self._clock() + CLOSED_NS
        return self._retry_ns if self._link is None else self._link.deadline_ns

    def _let_go(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(*PORT_ERRORS):  # it is gone, which is what was wanted
                self._flush()
            with contextlib.suppress(*PORT_ERRORS):
                port.close()
        self._link = None
        self._fd = -1

    def _turn(self) -> None:
        """Once around: open if due, read what came, do what is due, write."""
        if self._closed:
            return
        now_ns = self._clock()
        if self._link is None and (now_ns < self._retry_ns or not self._reopen(now_ns)):
            return
        link = self._link
        assert link is not None  # noqa: S101 — for the type checker: _reopen has just made it
        try:
            data = self._read()
            looked_ns, self._heard_ns = self._heard_ns, now_ns
            now_ns = self._clock()  # the machine may have stood still in between
            self._sort(link.receive(data, now_ns), is_old=now_ns - looked_ns > CARD_AGE_MAX_NS)
            self._sort(link.tick(now_ns))
            self._flush()
        except PORT_ERRORS as error:
            self._lose(f"went away ({error})", now_ns)

    def _reopen(self, now_ns: int) -> bool:
        self._retry_ns = now_ns + RETRY_NS
        try:
            self._port = serial.Serial(
                self._device, BAUD, timeout=0, write_timeout=0, exclusive=True
            )
        except PORT_ERRORS as error:
            self._lose(_why_not_open(error), now_ns)
            return False
        self._fd = self._port.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._heard_ns = now_ns
        self._link = BoardLink(
            secrets.randbelow(0xFFFF_FFFF) + 1, self._device_id, self._firmware, now_ns
        )
        return True

    def _read(self) -> bytes:
        # A tty read of nothing means "nothing yet" as well as "unplugged" (VMIN 0), so poll() is asked which.
        waiting = self._poll.poll(0)
        if not waiting:
            return b""
        data = os.read(self._fd, READ_BYTES_MAX)
        if not data or waiting[0][1] & (select.POLLHUP | select.POLLERR):
            raise OSError("unplugged")
        return data

    def _command(self, frame: Command) -> None:
        if self._link is None:
            return
        now_ns = self._clock()
        self._link.send(frame, now_ns)
        try:
            self._flush()
        except PORT_ERRORS as error:
            self._lose(f"went away ({error})", now_ns)

    def _flush(self) -> None:
        link = self._link
        if link is None or not link.outgoing:
            return
        try:
            written = os.write(self._fd, link.outgoing)
        except BlockingIOError:
            written = 0
        del link.outgoing[:written]
        if len(link.outgoing) > OUTGOING_BYTES_MAX:
            raise OSError("the line takes nothing")

    def _sort(self, events: list[LinkEvent], *, is_old: bool = False) -> None:
        """Hand each event to where it belongs; `is_old` says that they may have waited on the line."""
        for event in events:
            match event:
                case BoardLost():
                    self._lose(event.reason, event.at_ns)
                case BoardBack():
                    self._told.clear()
                    self._cards.board_back(
                        f"board at {self._device}: it has restarted", event.at_ns
                    )
                    self._events.append(event)
                case ReaderLost():
                    self._cards.lose(f"board at {self._device}: {event.reason}", event.at_ns)
                case ReaderBack():
                    self._cards.back(event)
                case CardSeen() | Clash() | Lay() if is_old:
                    self._cards.asks_again = True
                case CardSeen() | Clash():
                    self._cards.put(event)
                case ReadHeard():
                    self._cards.read_heard(self._clock())
                case Lay():
                    self._cards.put(event.event, lay=True)
                case _:
                    self._events.append(event)

    def _lose(self, reason: str, now_ns: int) -> None:
        """Let the port go and try again later. The same loss is told once, however many tries it takes."""
        self._let_go()
        self._retry_ns = now_ns + RETRY_NS
        told = f"board at {self._device}: {reason}"
        if told not in self._told:
            self._told.add(told)
            self._events.append(BoardLost(told, now_ns))
        self._cards.lose(told, now_ns)


class _CardTray:
    """What the board's own reader has told, until the loop takes it: first whether the reader works, then the cards.

    A card that was told to a lane in an earlier session is not told as one that has come: in the lane's first session nobody knows
    whether the lane before has opened for it, and in a later one it may be the card that was told last.
    """

    def __init__(self) -> None:
        self.asks_again = (
            False  # a card was told too long ago: the board is to say what lies there now
        )
        self._works = False
        self._is_first_session = True
        self._told: set[str] = set()  # why it does not; each once
        self._news: deque[ReaderLost | ReaderBack] = deque()  # at most one of each
        self._cards: deque[tuple[CardEvent, bool]] = deque(
            maxlen=CARDS_WAITING_MAX
        )  # and whether it lay there
        self._last: CardEvent | None = None  # the card told last, in whatever session
        self._is_asking = False  # the board, what lies there, and it has not heard that yet
        self._came_meanwhile: CardEvent | None = (
            None  # by itself; the board tells it again in answer
        )
        self._answer_until_ns = 0

    def lose(self, reason: str, at_ns: int) -> None:
        """The reader cannot be used; the cards it told wait for nothing."""
        if self._works:
            self._is_first_session = False
        self._works = self._is_asking = False
        self._cards.clear()
        if reason not in self._told:
            self._told.add(reason)
            self._news.clear()
            self._news.append(ReaderLost(reason, at_ns))

    def board_back(self, reason: str, at_ns: int) -> None:
        """A session has begun; if the reader worked just now, the board has restarted, and its reader with it."""
        if self._works:
            self.lose(reason, at_ns)

    def back(self, event: ReaderBack) -> None:
        """The reader works."""
        if not self._works:
            self._works = True
            self._told.clear()
            self._news.append(event)

    def put(self, event: CardEvent, *, lay: bool = False) -> None:
        """A card; it may come before the board's first word about its reader, and waits for that."""
        before = self._came_meanwhile
        self._came_meanwhile = event if self._is_asking else None
        if before is None or self._is_asking or not self._is_answer(event, before):
            self._cards.append((event, lay))

    def asked(self) -> None:
        """The board is asked now what lies there."""
        self.asks_again, self._is_asking = False, True
        self._came_meanwhile = None

    def read_heard(self, now_ns: int) -> None:
        """The board has heard the question."""
        self._is_asking = False
        self._answer_until_ns = now_ns + ANSWER_NS

    def forget(self) -> bool:
        """The card told last counts as not told; False when there is none."""
        is_known, self._last = self._last is not None, None
        return is_known

    def has_news(self, *, armed: bool) -> bool:
        """Whether `take` has something."""
        return bool(self._news or (armed and self._works and self._cards))

    def take(self, now_ns: int, *, armed: bool) -> ReaderEvent | None:
        """The next event. A card that has waited too long is dropped, and to be asked for again: it may have gone."""
        if self._news:
            return self._news.popleft()
        while armed and self._works and self._cards:
            event, lay = self._cards.popleft()
            if now_ns - event.at_ns > CARD_AGE_MAX_NS:
                self.asks_again = True
                continue
            before, self._last = self._last, event
            if not lay:
                return event
            if before is not None and _alike(event, before):
                continue  # it has been answered, and has not left since
            return LaidBefore(event.at_ns) if self._is_first_session else event
        return None

    def _is_answer(self, event: CardEvent, before: CardEvent) -> bool:
        """Whether a card that came by itself while the question was on its way is now told in answer to it, too."""
        return event.at_ns < self._answer_until_ns and _alike(event, before)


def _alike(event: CardEvent, before: CardEvent) -> bool:
    if isinstance(event, CardSeen) and isinstance(before, CardSeen):
        return event.card == before.card
    return type(event) is type(before)


def _why_not_open(error: Exception) -> str:
    # pyserial wraps what the system said, class and all, but keeps the number; a port locked by another has none of its own.
    number = getattr(error, "errno", None)
    match number:
        case errno.ENOENT:
            return "there is no such device; is it plugged in, and is [board] device right?"
        case errno.EACCES | errno.EPERM:
            return "it may not be opened; is this user in the group dialout?"
        case errno.EAGAIN | errno.EBUSY:
            return "in use by another process; does a lane run on it already?"
        case int():
            return f"cannot be opened ({os.strerror(number)}); is [board] device right?"
        case _:
            return "not a serial line; is [board] device right?"


class BoardReader:
    """The Reader port of a board that reads cards itself and tells them in CARD events: driver "serial" in the configuration.

    Such a board is always armed and tells a card once, so what comes before `arm` waits here; what has waited for
    CARD_AGE_MAX_NS is asked for again, since it may have left.
    """

    def __init__(self, board: SerialBoard) -> None:
        """Shares the board's line; either may be asked first."""
        self._board = board
        self._armed = False
        self._closed = False

    def fileno(self) -> int:
        """See ports.Reader."""
        return -1 if self._closed else self._board.fileno()

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        return (
            self._board.deadline_ns()
            if self._closed
            else self._board.card_deadline_ns(armed=self._armed)
        )

    def arm(self) -> None:
        """See ports.Reader."""
        self._armed = True

    def forget(self) -> None:
        """See ports.Reader: the board is asked what lies there now."""
        self._board.forget_card()

    def take(self) -> ReaderEvent | None:
        """See ports.Reader."""
        if self._closed:
            return None
        event = self._board.take_card(armed=self._armed)
        if event is not None:
            self._armed = False
        return event

    def close(self) -> None:
        """See ports.Reader. Nothing is told any more; the line is the board's, and its owner closes it."""
        self._closed = True
