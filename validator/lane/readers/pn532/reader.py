"""The reference reader: a PN532 on a UART, asked so that one poll() serves it and the board.

It turns answers and faults into events, asks an armed chip again, and notices a dead one. It
decides nothing about cards. `chip.py` holds the chip's steps, and `../opener.py` brings a lost chip
back with `opening.py`. `../held_cards.py` decides whether an answer repeats a reported card.

An armed PN532 is silent until there is a card, so silence proves nothing. Every `rearm_ms` the chip
is asked again, and its acknowledgement proves that it is alive. That also serves chips that answer
only every second request for two cards. A chip that misses four acknowledgements in a row is lost:
half a second after a brown-out at most.

An answer can be lost on the way. A request can also reach the chip after it has selected a card and
before it has answered, and such a card listens to no further request. So now and then the reader
switches the field off for a moment, and every card begins again.
"""

import time
from collections.abc import Callable

from validator.domain.events import ReaderBack, ReaderEvent, ReaderLost
from validator.lane.readers.findings import as_event
from validator.lane.readers.held_cards import (
    CARDS_MAX,
    OLD_NS,
    RESET_AFTER_REPORT_NS,
    RESET_NS,
    HeldCards,
)
from validator.lane.readers.opener import OPENING_NS, Opener
from validator.lane.readers.pn532.chip import FAULTS, FIELD_OFF_NS, SPEEDS, Chip
from validator.lane.readers.pn532.line import LineClock, NoAnswerError
from validator.lane.readers.pn532.opening import Opening
from validator.lane.readers.pn532.targets import parse_targets
from validator.lane.readers.printed_number import may_have_number, printed_number

# Of acknowledgements: one may be lost, and an adapter or a busy machine may stall for 0.1 s.
MISSES_MAX = 4
# After the second miss, and twice that after the third: a dead chip is lost within half a second.
PAUSE_NS = 40_000_000
CHECK_NS = 500_000_000  # how long an idle chip may be dead before that is noticed
# For the rest of an answer: 8 ms at 115200 baud, and an FTDI adapter holds bytes for 16 ms.
REST_NS = 30_000_000
# The second exchange of a printed number begins within this, or not at all: each may last 61 ms,
# and the loop waits 100 ms for both.
SECOND_EXCHANGE_NS = 38_000_000


class Pn532Reader:
    """A validator.lane.ports.Reader. Every fault is an event; no method raises."""

    def __init__(
        self,
        path: str,
        *,
        speed: int = 921_600,
        targets_max: int = CARDS_MAX,
        rearm_ms: int = 90,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start to open the port in a thread of its own; the first event is its result.

        Args:
            path: the port's stable name, such as a link made by udev. It is resolved at every try.
            speed: bits a second to which the UART is raised. A lower one costs up to 3 ms a tap.
            targets_max: 2 to notice a second card; 1 for a chip that cannot list two.
            rearm_ms: how often an armed chip is asked again.
            clock: monotonic time in nanoseconds.

        Raises:
            ValueError: the chip has no such speed or number.
        """
        if speed not in SPEEDS or not 1 <= targets_max <= CARDS_MAX or rearm_ms <= 0:
            raise ValueError(f"a PN532 has no such setting: {speed=} {targets_max=} {rearm_ms=}")
        self._targets_max = targets_max
        self._rearm_ns = rearm_ms * 1_000_000
        self._clock = clock
        self._chip: Chip | None = None
        self._lost: ReaderLost | None = None  # met outside `take`, which returns it next
        self._armed = False
        self._held = HeldCards()
        self._reported: ReaderEvent | None = None  # last, until `read_number` is called
        self._misses = 0  # acknowledgements, in a row
        self._needs_answer = False  # an acknowledgement alone proves no chip alive (see `_step`)
        self._waited_for_rest = False
        self._due_ns = 0
        self._reset_ns = 0
        self._polled_ns = 0  # an answer that is read now is not older
        self._opening = Opening(path, speed, targets_max, LineClock(clock))
        self._opener: Opener[Chip] = Opener(
            "pn532-opener", self._opening.open, self._opening.explain, FAULTS
        )
        self._opener.start()

    def fileno(self) -> int:
        """Return the port's descriptor; the opener's while the chip is lost; -1 once closed."""
        return self._opener.fileno() if self._chip is None else self._chip.fileno()

    def deadline_ns(self) -> int:
        """Return when an armed chip is asked again, or an idle one checked. See ports.Reader."""
        if self._lost is not None:
            return 0
        if self._chip is None:
            return self._clock() + OPENING_NS
        # No poll() wakes for an answer that was read together with an acknowledgement.
        return 0 if self._chip.has_answer else self._due_ns

    def arm(self) -> None:
        """Ask for the next card, and put the one just reported to sleep; 2 to 8 ms, 92 at most."""
        if self._chip is None or self._armed:
            return
        try:
            self._arm(self._chip)
        except FAULTS as fault:
            self._lost = self._lose(fault, self._clock())

    def forget(self) -> None:
        """See ports.Reader. The next field reset, which is due at once, brings the card again."""
        self._held.forget()
        self._reset_ns = 0

    def take(self) -> ReaderEvent | None:
        """See ports.Reader. 0.05 ms usually, 2 with a new request, 62 when the chip is late."""
        at_ns = self._clock()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            return lost
        if self._chip is None:
            return self._take_opened(at_ns)
        try:
            return self._take_card(self._chip, at_ns)
        except FAULTS as fault:
            return self._lose(fault, at_ns)

    def read_number(self) -> str | None:
        """See printed_number.ReadsNumbers. 22 ms usually; the chip's answers may be late."""
        event, self._reported = self._reported, None
        chip = self._chip
        if chip is None or self._armed or not may_have_number(event):
            return None
        give_up_ns = self._clock() + SECOND_EXCHANGE_NS
        try:
            return printed_number(
                lambda apdu: chip.exchange(apdu) if self._clock() < give_up_ns else b""
            )
        except FAULTS:
            return None  # the next step meets it again

    def close(self) -> None:
        """See ports.Reader. Leaves the chip quiet, at 115200 baud; 10 ms usually, 1.3 s at most."""
        self._opener.stop()
        chip, self._chip = self._chip, None
        if chip is not None:
            chip.close()

    def _take_card(self, chip: Chip, at_ns: int) -> ReaderEvent | None:
        polled_ns, self._polled_ns = self._polled_ns, at_ns
        answer = chip.answer()
        if answer is None and at_ns >= self._due_ns:
            answer = self._act(chip, at_ns)
        if answer is None or not self._armed:
            return None
        event = self._held.news(as_event(parse_targets(answer), at_ns))
        if event is None:
            self._arm(chip)
            return None
        if self._clock() - polled_ns > OLD_NS:
            self._held.arrived_again(event)
            self._reset(chip, at_ns)
            return None
        self._armed = False
        self._held.reported(event)
        self._reported = event
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + RESET_AFTER_REPORT_NS
        return event

    def _act(self, chip: Chip, at_ns: int) -> bytearray | None:
        """Do what is due: ask again, reset the field, or check an idle chip.

        Returns an answer that was under way meanwhile, or None.
        """
        if chip.unfinished and not self._waited_for_rest:
            self._waited_for_rest = True
            self._due_ns = at_ns + REST_NS
            return None
        self._waited_for_rest = False
        if (answer := chip.give_up_answer()) is not None:
            return answer
        if not self._armed:
            return self._step(chip.check, CHECK_NS, is_answered=True)
        if self._needs_answer:
            return self._step(chip.check, 0, is_answered=True)
        if chip.garbled or at_ns >= self._reset_ns:
            return self._reset(chip, at_ns)
        return self._ask(chip)

    def _arm(self, chip: Chip) -> None:
        self._armed = True
        self._polled_ns = self._clock()
        chip.release()
        self._ask(chip)

    def _ask(self, chip: Chip) -> bytearray | None:
        answer = self._step(lambda: chip.ask(self._targets_max), self._rearm_ns)
        if answer is None:
            self._held.requested(acknowledged=self._misses == 0)
        return answer

    def _reset(self, chip: Chip, at_ns: int) -> bytearray | None:
        self._reset_ns = at_ns + RESET_NS
        answer = self._step(chip.reset_cards, FIELD_OFF_NS, is_answered=True)
        if answer is None:  # else a card had answered before the reset
            self._held.field_reset(acknowledged=self._misses == 0)
        return answer

    def _step(
        self, step: Callable[[], bytearray | None], next_ns: int, *, is_answered: bool = False
    ) -> bytearray | None:
        """Take a step that the chip has to acknowledge. The next `take` makes good for a miss.

        Args:
            step: a method of the chip.
            next_ns: how long after it the next step is due. The first miss is made good at once.
            is_answered: the chip also answers this step. Then only an answer makes good for a
                miss. Host and chip acknowledge with the same bytes, so on a line that echoes an
                acknowledgement may be this lane's own.

        Raises:
            NoAnswerError: the chip has missed MISSES_MAX acknowledgements in a row.
        """
        try:
            answer = step()
        except NoAnswerError:
            self._misses += 1
            self._needs_answer = self._needs_answer or is_answered
            if self._misses >= MISSES_MAX:
                raise NoAnswerError("it no longer answers; is it wired and powered?") from None
            self._due_ns = self._clock() + (self._misses - 1) * PAUSE_NS
            return None
        self._misses = 0
        self._needs_answer = False
        self._due_ns = self._clock() + next_ns
        return answer

    def _lose(self, fault: BaseException, at_ns: int) -> ReaderLost:
        """Hand the chip to the opener, and return the event with the reason."""
        chip, self._chip = self._chip, None
        self._opening.lost(fault)
        reason = self._opening.explain(fault)
        self._opener.start(reason, chip)
        return ReaderLost(reason, at_ns)

    def _take_opened(self, at_ns: int) -> ReaderEvent | None:
        """Take the opener's result: a chip that serves from now on, or the reason why not."""
        result = self._opener.result()
        if isinstance(result, str):
            return ReaderLost(result, at_ns)
        if result is None:
            return None
        self._chip = result
        self._armed = self._waited_for_rest = self._needs_answer = False
        self._misses = 0
        self._polled_ns = at_ns
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + RESET_NS
        if result.lay_at_start is None:
            self._held.field_reset(acknowledged=True)
        else:
            self._held.lay_at_start(as_event(parse_targets(result.lay_at_start), at_ns))
            self._reset_ns = at_ns
        return ReaderBack(at_ns)
