"""The reference reader: a PN532 on a UART, asked for cards in such a way that one poll() hears it and the board together.

It turns answers and faults into events, re-asks an armed chip, notices a dead one and has it brought back. It decides
nothing about cards; the chip's steps stand in `pn532_chip`, and opening one in `pn532_opener`.

An armed PN532 is silent until there is a card, so silence proves nothing. It is asked anew every `rearm_ms`; the
acknowledgement is the proof of life, and chips that answer only every second request for two cards are served too.
A chip that misses four acknowledgements running is lost: half a second after a brown-out at most.

An answer can be lost on the way, and a new request can hit the chip when it has selected a card and not yet told it; such
a card listens to no further request. So now and then the field is taken away for a moment and every card begins anew.
"""

import time
from collections import deque
from collections.abc import Callable

from validator.domain.cards import Card
from validator.domain.events import (
    CardSeen,
    Clash,
    LaidBefore,
    LeftEarly,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.readers.pn532.chip import FAULTS, FIELD_OFF_NS, SPEEDS, Chip
from validator.lane.readers.pn532.line import EchoError, NoAnswerError
from validator.lane.readers.pn532.opener import Opener, explain
from validator.lane.readers.pn532.targets import NoCard, parse_targets

TARGETS_MAX = 2  # what the chip can hold
MISSES_MAX = 4  # an acknowledgement may be lost on the way, and an adapter or a busy machine may stall for a tenth of a second
PAUSE_NS = 40_000_000  # after the second miss, and twice that after the third: dead is told within half a second
CHECK_NS = 500_000_000  # how long a chip of which nothing is asked may be dead unnoticed
LOOK_NS = 1_000_000_000  # the poll interval while another thread opens; its descriptor tells sooner
REST_NS = 30_000_000  # for the rest of an answer: 8 ms at 115200 baud, and an FTDI adapter holds it for 16 ms
RESET_NS = (
    900_000_000  # between two moments without a field: a card that was missed is served within 1 s
)
HOLD_NS = 1_700_000_000  # the same after a card was told: most people have taken it away by then
ASKS_MAX = 2  # after which a card that lay there all along has answered, even to a chip that hears every second one
# An answer that may have waited for longer is asked for again: this machine stood still, and the card may have left.
OLD_NS = 300_000_000
SILENCES_MAX = 2  # moments without a field after which it is gone: one answer may have been lost


class Pn532Reader:
    """A validator.lane.ports.Reader.

    Args:
        path: the port's stable name, such as a symlink made by udev; it is looked up anew at every try.
        speed: what the UART is raised to, bits a second. A lower one costs up to 3 ms a tap.
        targets_max: 2 to notice a second card; 1 for a chip that cannot list two.
        rearm_ms: how often an armed chip is asked anew.
        clock: monotonic time in nanoseconds.

    Raises ValueError for a speed or a number that the chip does not know; nothing else, ever.
    """

    def __init__(
        self,
        path: str,
        *,
        speed: int = 921_600,
        targets_max: int = TARGETS_MAX,
        rearm_ms: int = 90,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if speed not in SPEEDS or not 1 <= targets_max <= TARGETS_MAX or rearm_ms <= 0:
            raise ValueError(f"a PN532 has no such setting: {speed=} {targets_max=} {rearm_ms=}")
        self._path = path
        self._targets_max = targets_max
        self._rearm_ns = rearm_ms * 1_000_000
        self._clock = clock
        self._chip: Chip | None = None
        self._lost: ReaderLost | None = None  # met outside `take`, told by the next one
        self._wanted = False  # armed, as the loop sees it
        self._held = _Held()
        self._misses = 0
        self._doubted = False  # an answer was missed that an own acknowledgement cannot stand for
        self._waited_for_rest = False
        self._due_ns = 0
        self._reset_ns = 0
        self._looked_ns = 0  # no answer that is not here yet is older
        self._opener: Opener | None = Opener(path, speed, targets_max)
        self._opener.start("", None)

    def fileno(self) -> int:
        """The port; the opener's descriptor while lost; -1 once closed."""
        if self._chip is not None:
            return self._chip.fileno()
        return self._opener.fileno() if self._opener is not None else -1

    def deadline_ns(self) -> int:
        """When an armed chip is to be asked anew, or an idle one checked."""
        if self._lost is not None:
            return 0
        if self._chip is None:
            return self._clock() + LOOK_NS
        # An answer that came along with an acknowledgement makes no descriptor readable any more.
        return 0 if self._chip.has_answer else self._due_ns

    def arm(self) -> None:
        """Ask for the next card, after putting the one just told to sleep. 92 ms at most, 2 to 8 usually."""
        if self._chip is None or self._wanted:
            return
        try:
            self._arm(self._chip)
        except FAULTS as fault:
            self._lost = self._lose(fault, self._clock())

    def forget(self) -> None:
        """The card told last was not heard: a moment without a field, the next thing to come, tells it anew."""
        self._held.forget()
        self._reset_ns = 0

    def take(self) -> ReaderEvent | None:
        """The next event, or None. 0.05 ms usually, 2 with a new request; 62 at most, when the chip is late."""
        at_ns = self._clock()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            return lost
        if self._chip is None:
            return self._news(at_ns)
        try:
            return self._listen(self._chip, at_ns)
        except FAULTS as fault:
            return self._lose(fault, at_ns)

    def close(self) -> None:
        """Leave the chip quiet and at 115200 baud. 1.3 s at most, 10 ms usually. Never raises; may be called twice."""
        opener, self._opener = self._opener, None
        if opener is not None:
            opener.stop()
        chip, self._chip = self._chip, None
        if chip is not None:
            chip.close()

    def _listen(self, chip: Chip, at_ns: int) -> ReaderEvent | None:
        looked_ns, self._looked_ns = self._looked_ns, at_ns
        answer = chip.answer()
        if answer is None and at_ns >= self._due_ns:
            answer = self._prod(chip, at_ns)
        if answer is None or not self._wanted:
            return None
        event = _event(parse_targets(answer), at_ns)
        is_held = self._held.is_this(event)
        if is_held and not self._held.is_unanswered:
            self._arm(chip)
            return None
        if self._clock() - looked_ns > OLD_NS:
            self._held.left(event)
            self._reset(chip, at_ns)
            return None
        self._wanted = False
        if is_held:
            event = LaidBefore(at_ns)
        self._held.told(event)
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + HOLD_NS
        return event

    def _prod(self, chip: Chip, at_ns: int) -> bytearray | None:
        """Ask anew, or check a chip that is not asked; gives an answer that was under way meanwhile."""
        if chip.unfinished and not self._waited_for_rest:
            self._waited_for_rest = True
            self._due_ns = at_ns + REST_NS
            return None
        self._waited_for_rest = False
        if (answer := chip.give_up_answer()) is not None:
            return answer
        if not self._wanted:
            return self._hear(chip.check, CHECK_NS, is_answered=True)
        if self._doubted:
            return self._hear(chip.check, 0, is_answered=True)
        if chip.garbled or at_ns >= self._reset_ns:
            return self._reset(chip, at_ns)
        return self._ask(chip)

    def _arm(self, chip: Chip) -> None:
        self._wanted = True
        self._looked_ns = self._clock()
        chip.release()
        self._ask(chip)

    def _ask(self, chip: Chip) -> bytearray | None:
        answer = self._hear(lambda: chip.ask(self._targets_max), self._rearm_ns)
        if answer is None:
            self._held.asked(acknowledged=self._misses == 0)
        return answer

    def _reset(self, chip: Chip, at_ns: int) -> bytearray | None:
        self._reset_ns = at_ns + RESET_NS
        answer = self._hear(chip.reset_cards, FIELD_OFF_NS, is_answered=True)
        if answer is None:  # else the card came before
            self._held.field_taken_away(acknowledged=self._misses == 0)
        return answer

    def _hear(
        self, step: Callable[[], bytearray | None], next_ns: int, *, is_answered: bool = False
    ) -> bytearray | None:
        """Take a step that the chip has to acknowledge; a miss is made good by the next `take`, the first one at once.

        A miss of a step that is also answered is made good by an answer alone: host and chip acknowledge with the same bytes,
        so on a line that echoes an acknowledgement may be this lane's own.
        """
        try:
            answer = step()
        except NoAnswerError:
            self._misses += 1
            self._doubted = self._doubted or is_answered
            if self._misses >= MISSES_MAX:
                raise NoAnswerError("it no longer answers; is it wired and powered?") from None
            self._due_ns = self._clock() + (self._misses - 1) * PAUSE_NS
            return None
        self._misses = 0
        self._doubted = False
        self._due_ns = self._clock() + next_ns
        return answer

    def _lose(self, fault: BaseException, at_ns: int) -> ReaderLost:
        """Hand the chip over to the opener, and say why."""
        chip, self._chip = self._chip, None
        reason = explain(self._path, fault)
        if self._opener is not None:
            self._opener.start(reason, chip, has_echoed=isinstance(fault, EchoError))
        return ReaderLost(reason, at_ns)

    def _news(self, at_ns: int) -> ReaderEvent | None:
        news = self._opener.news() if self._opener is not None else None
        if isinstance(news, str):
            return ReaderLost(news, at_ns)
        if news is None:
            return None
        self._chip = news
        self._wanted = self._waited_for_rest = self._doubted = False
        self._misses = 0
        self._looked_ns = at_ns
        self._due_ns = at_ns + CHECK_NS
        self._reset_ns = at_ns + RESET_NS
        if news.lay is None:
            self._held.field_taken_away(acknowledged=True)
        else:
            self._held.lay(_event(parse_targets(news.lay), at_ns))
            self._reset_ns = at_ns
        return ReaderBack(at_ns)


class _Held:
    """Tells a card that was told and never left from one that has just come, after a moment without a field.

    A card that the gate has opened for must not open it again because the line or the machine was late, so in doubt it is the card
    told before: whoever shows the same card again within two requests of such a moment, 0.2 s, has to show it once more. The clock is
    not asked: chip and lane may each have stood still for any time, and only requests acknowledged and unanswered prove a card gone.

    A card that lay there when the lane began counts as told, since the lane before it may have done that; it is only still unanswered.
    """

    def __init__(self) -> None:
        # As many as the chip can list. One alone is not enough: it may lie there, silent, while another comes.
        self._cards: deque[CardSeen] = deque(maxlen=TARGETS_MAX)
        self._other: ReaderEvent | None = None  # no single card, told after those
        self._lay = False  # what is held lay there when the lane began
        self._asks: int | None = (
            None  # acknowledged since the field was taken away; None: no doubt is left
        )
        self._sure = True  # that a card in the field would have answered them
        self._silences = 0  # sure ones running after which nothing had answered
        self.is_unanswered = False  # what lay there when the lane began has not been told of

    def lay(self, event: ReaderEvent) -> None:
        """This lay there when the lane began."""
        self._keep(event)
        self._lay = self.is_unanswered = True

    def told(self, event: ReaderEvent) -> None:
        """A card was told; it may stay."""
        self.is_unanswered = False
        if not isinstance(event, LaidBefore):
            self._lay = self._lay and not isinstance(event, CardSeen)
            self._keep(event)
        self._asks, self._silences = None, 0

    def forget(self) -> None:
        """What was told was not heard: it is to be told again, as what it was."""
        self.is_unanswered = self._lay
        if not self._lay:
            if self._other is None and self._cards:
                self._cards.pop()
            self._other = None
        self._asks = None

    def left(self, event: ReaderEvent) -> None:
        """What answers now has come, so it is not what was held; a card that lay there when the lane began goes on being that."""
        if isinstance(event, CardSeen) and not self._lay:
            gone = [held for held in self._cards if _alike(event.card, held.card)]
            for held in gone:
                self._cards.remove(held)
        elif not self._lay:
            self._other = None

    def field_taken_away(self, *, acknowledged: bool) -> None:
        """Whatever is in the field begins anew."""
        self._asks, self._sure = 0, acknowledged

    def asked(self, *, acknowledged: bool) -> None:
        """A request went out, and the one before is without an answer."""
        if not acknowledged:
            self._sure = (
                False  # it may have cut off the one before, and left the card selected and silent
            )
        elif self._asks is not None:
            self._asks += 1
            if self._asks > ASKS_MAX:
                self._asks = None
                self._silences += self._sure
                if self._silences >= SILENCES_MAX:
                    self._let_go()

    def is_this(self, event: ReaderEvent) -> bool:
        """Whether `event` only repeats what is held; if so it goes on being held."""
        if self._asks is None or not self._is_held(event):
            return False
        self._asks, self._silences = None, 0
        return True

    def _is_held(self, event: ReaderEvent) -> bool:
        if self._other is not None and (self._lay or type(event) is type(self._other)):
            return True  # of two cards that lay there, each by itself as well
        return isinstance(event, CardSeen) and any(
            _alike(event.card, held.card) for held in self._cards
        )

    def _keep(self, event: ReaderEvent) -> None:
        if isinstance(event, CardSeen):
            self._other = None
            self._cards.append(event)
        else:
            self._other = event

    def _let_go(self) -> None:
        self._cards.clear()
        self._other = None
        self._lay = self.is_unanswered = False


def _alike(card: Card, before: Card) -> bool:
    # A phone's UID is another one after each moment without a field.
    return card == before or (card.uid.is_random and before.uid.is_random)


def _event(found: Card | NoCard, at_ns: int) -> ReaderEvent:
    match found:
        case Card():
            return CardSeen(found, at_ns)
        case NoCard.SEVERAL:
            return Clash(at_ns)
        case NoCard.INCOMPLETE:
            return LeftEarly(at_ns)
        case NoCard.UNREADABLE:
            return Unsupported(at_ns)
