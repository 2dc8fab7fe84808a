"""A Sony RC-S380 as a reader of the lane: asked for cards all the time, in one poll() with a board.

It turns answers and faults into events, and begins the next steps when the last ones have ended. It
decides nothing about cards. `radio.py` has the steps and `chip.py` carries them out;
`../opener.py` brings a lost chip back with `opening.py`. `../held_cards.py` decides whether an
answer repeats a card that was reported before, and `certainty.py` whether it is to be reported.

The chip waits for no card by itself, so an armed reader asks every `poll_ms`. A card that was
reported is put to sleep by the next request. As with a PN532, the reader switches the field off for
a moment now and then, and every card begins again: a card whose answer was lost is served then.
"""

import contextlib
import time
from collections.abc import Callable, Iterable

from validator.domain.events import LeftEarly, ReaderBack, ReaderEvent, ReaderLost
from validator.host.usb_devices import UsbDevice, UsbName, plugged
from validator.lane.readers.findings import Found, NoCard, as_event
from validator.lane.readers.held_cards import OLD_NS, RESET_AFTER_REPORT_NS, RESET_NS, HeldCards
from validator.lane.readers.opener import OPENING_NS, Opener
from validator.lane.readers.printed_number import may_have_number, printed_number
from validator.lane.readers.rcs380.certainty import Certainty
from validator.lane.readers.rcs380.chip import FAULTS, Chip, NoAnswerError
from validator.lane.readers.rcs380.opening import ATTEMPT_FAULTS, Opening
from validator.lane.readers.rcs380.radio import ChipError, Steps, WrongAnswerError

# Answers in a row that do not come or are wrong: a dead chip is lost within 0.5 s.
MISSES_MAX = 4
CHECK_NS = 500_000_000  # how long an idle chip may be dead before that is noticed
# Requests without an answer before a field reset, after a time without any. A card that came then
# answers them, and one that was put to sleep does not: behind a reset they could not be told apart.
# The first may be lost on a card whose exchange broke off.
REQUESTS_BEFORE_RESET = 2
RESET_AFTER_ARMED_NS = 300_000_000  # and so long
NUMBER_NS = 80_000_000  # for a printed number: the loop waits for it
ANSWER_FAULTS = (NoAnswerError, WrongAnswerError, ChipError)  # of a chip that is still there


class Rcs380Reader:
    """A validator.lane.ports.Reader. Every fault is an event; no method raises."""

    def __init__(
        self,
        name: UsbName,
        *,
        poll_ms: int = 10,
        devices: Callable[[], Iterable[UsbDevice]] = plugged,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Start to open the reader in a thread of its own; the first event is its result.

        Args:
            name: which reader; resolved at every try.
            poll_ms: how often an armed reader asks for cards. Half of it is added to a tap.
            devices: the USB devices that are plugged in.
            clock: monotonic time in nanoseconds.
        """
        self._poll_ns = poll_ms * 1_000_000
        self._clock = clock
        self._chip: Chip | None = None
        self._lost: ReaderLost | None = None  # met outside `take`, which returns it next
        self._armed = False
        self._held = HeldCards()
        self._reported: ReaderEvent | None = None  # last, until `read_number` is called
        self._certainty = Certainty()
        self._misses = 0  # answers, in a row
        self._due_ns = 0
        self._reset_ns = 0  # 0: at once, to bring a card back
        self._requests_first = 0  # before a field reset
        self._polled_ns = 0  # an answer that is read now is not older
        self._opening = Opening(name, devices, clock)
        self._opener: Opener[Chip] = Opener(
            "rcs380-opener", self._opening.open, self._opening.explain, ATTEMPT_FAULTS
        )
        self._opener.start()

    def fileno(self) -> int:
        """Return the line's descriptor; the opener's while the chip is lost; -1 once closed."""
        return self._opener.fileno() if self._chip is None else self._chip.fileno()

    def deadline_ns(self) -> int:
        """Return when the next request, check or field reset is due. See ports.Reader."""
        if self._lost is not None:
            return 0
        if self._chip is None:
            return self._clock() + OPENING_NS
        return self._due_ns if self._chip.is_idle else self._chip.deadline_ns()

    def arm(self) -> None:
        """Ask for the next card, and put the one just reported to sleep. Waits for nothing."""
        if self._chip is None or self._armed:
            return
        self._armed = True
        self._due_ns = self._polled_ns = self._clock()
        self._request_first(self._due_ns)
        if self._chip.is_idle:
            try:
                self._begin(self._chip, self._due_ns)
            except FAULTS as fault:
                self._lost = self._lose(fault, self._clock())

    def forget(self) -> None:
        """See ports.Reader. The next field reset, which is due at once, brings the card again."""
        self._held.forget()
        self._reset_ns = 0

    def take(self) -> ReaderEvent | None:
        """See ports.Reader. 0.1 ms usually; waits for nothing."""
        at_ns = self._clock()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            return lost
        if self._chip is None:
            return self._take_opened(at_ns)
        try:
            return self._advance(self._chip, at_ns)
        except FAULTS as fault:
            return self._lose(fault, at_ns)

    def read_number(self) -> str | None:
        """See printed_number.ReadsNumbers. 16 ms usually."""
        event, self._reported = self._reported, None
        chip = self._chip
        if chip is None or self._armed or not chip.is_idle or not may_have_number(event):
            return None
        number, is_asleep = None, False
        try:
            with contextlib.suppress(*ANSWER_FAULTS):
                number, is_asleep = _number_of(chip, self._clock() + NUMBER_NS)
            if not is_asleep:
                # The card may answer again. Behind a reset it counts as the one just reported.
                self._restart(chip, self._clock())
        except FAULTS as fault:
            self._lost = self._lose(fault, self._clock())
        return number

    def close(self) -> None:
        """See ports.Reader. Switches the field off; 10 ms usually, 0.6 s at most."""
        self._opener.stop()
        chip, self._chip = self._chip, None
        if chip is not None:
            chip.close()

    def _advance(self, chip: Chip, at_ns: int) -> ReaderEvent | None:
        polled_ns, self._polled_ns = self._polled_ns, at_ns
        try:
            found: Found | None = chip.advance()
        except (NoAnswerError, WrongAnswerError):
            self._misses += 1
            if self._misses >= MISSES_MAX:
                raise
            self._restart(chip, at_ns)
            return None
        event = self._event(found, at_ns) if found is not None else None
        stood_still = self._clock() - polled_ns > OLD_NS
        if stood_still:
            self._request_first(at_ns)
        if event is not None:
            event = self._report(event, chip, at_ns, is_old=stood_still)
        if chip.is_idle and event is None:
            self._begin(chip, self._clock())
        return event

    def _begin(self, chip: Chip, now_ns: int) -> None:
        """Begin what is due, if anything is."""
        if self._armed and now_ns >= self._reset_ns and not self._requests_first:
            self._reset(chip, chip.radio.reset_field(), now_ns)
        elif now_ns < self._due_ns:
            return
        elif self._armed:
            self._due_ns = now_ns + self._poll_ns
            chip.begin(chip.radio.ask())
        else:
            self._due_ns = now_ns + CHECK_NS
            chip.begin(chip.radio.check())

    def _request_first(self, now_ns: int) -> None:
        """Put a field reset off, unless it has to bring back a card."""
        self._requests_first = REQUESTS_BEFORE_RESET
        if self._reset_ns:
            self._reset_ns = max(self._reset_ns, now_ns + RESET_AFTER_ARMED_NS)

    def _restart(self, chip: Chip, now_ns: int) -> None:
        self._reset(chip, chip.radio.restart(), now_ns)

    def _reset(self, chip: Chip, steps: Steps[None], now_ns: int) -> None:
        self._reset_ns = now_ns + RESET_NS
        self._due_ns = now_ns
        self._held.field_reset(acknowledged=True)
        chip.begin(steps)

    def _event(self, found: Found, at_ns: int) -> ReaderEvent | None:
        """Return what a request found as an event, once it is certain; else None."""
        self._misses = 0
        if found is NoCard.NONE:
            self._held.requested(acknowledged=True)
            self._requests_first = max(0, self._requests_first - 1)
        elif self._requests_first:
            self._requests_first = REQUESTS_BEFORE_RESET
        certain = self._certainty.take(found)
        if self._certainty.is_open:
            self._due_ns = at_ns
        return as_event(certain, at_ns) if certain is not None else None

    def _report(
        self, event: ReaderEvent, chip: Chip, at_ns: int, *, is_old: bool
    ) -> ReaderEvent | None:
        """Return the event if it is news; keep in mind what was reported."""
        news = self._held.news(event)
        if news is None:
            self._answers_again(chip)
            return None
        if is_old:
            self._held.arrived_again(news)
            self._reset_ns = 0
            return None
        self._armed = False
        self._held.reported(news)
        self._reported = news
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + RESET_AFTER_REPORT_NS
        self._answers_again(chip, news)
        return news

    def _answers_again(self, chip: Chip, event: ReaderEvent | None = None) -> None:
        """Take what was not put to sleep for a repeat when it answers the next request."""
        if not chip.radio.has_selected and not isinstance(event, LeftEarly):
            self._held.field_reset(acknowledged=True)

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
        self._armed = False
        self._certainty = Certainty()
        self._misses = 0
        self._polled_ns = at_ns
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + RESET_NS
        found = result.lay_at_start
        self._held.field_reset(acknowledged=True)
        if found is not None and found is not NoCard.NONE:
            self._held.lay_at_start(as_event(found, at_ns))
            self._reset_ns = 0
        return ReaderBack(at_ns)


def _number_of(chip: Chip, ends_ns: int) -> tuple[str | None, bool]:
    """Return the printed number of the selected card, or None; and whether the card sleeps now.

    Raises one of FAULTS.
    """
    radio = chip.radio
    if not chip.run(radio.activate(), ends_ns):
        return None, False
    number = printed_number(lambda apdu: chip.run(radio.apdu(apdu), ends_ns) or b"")
    return number, bool(chip.run(radio.deselect(), ends_ns))
