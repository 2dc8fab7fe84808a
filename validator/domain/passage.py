"""The passage: what the gate does about each event, from a card to a passenger gone through.

Pure: events in, effects out. `decision.py` decides about the card. The lane carries the effects out
in the order given.

One passage at a time. A card that is admitted while the arms are open for the one before waits for
that passage to end, at most as long as the arms stay open. A denied passenger is told at once.

A denied card is decided and shown again at every tap, since its owner may have matched it a moment
ago. It is reported once in `repeat_guard_s`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import assert_never

from cachetools import TTLCache

from validator.domain.cards import Card, CardUid
from validator.domain.decision import Decision, Verdict
from validator.domain.events import (
    BoardBack,
    BoardLost,
    CardSeen,
    Clash,
    Closed,
    Emergency,
    Event,
    Forced,
    LaidBefore,
    LeftEarly,
    NotPassed,
    Passed,
    ReaderBack,
    ReaderLost,
    StoodStill,
    Tamper,
    Tick,
    Unsupported,
)
from validator.domain.outcomes import Direction, Outcome
from validator.domain.trusted_time import NS_PER_S

NS_PER_MS = 1_000_000
RECENT_CARDS_MAX = 4096  # over an hour of one card a second; the oldest is dropped first
# After `hold_ms` the board must have reported the end of a passage, with resends and heartbeats.
PASSAGE_GRACE_MS = 2_000


class SameCardAfterPassing(Enum):
    """The operator's choice for a card that has passed and comes again within the guard.

    İstanbulkart allows several rides with one card.
    """

    ADMIT = "admit"
    TRY_AGAIN = "try_again"


@dataclass(frozen=True, slots=True)
class PassagePolicy:
    """How long things are shown and guarded at this gate."""

    direction: Direction
    hold_ms: int  # how long the arms stay open for a passenger
    feedback_ms: int  # how long an outcome is shown
    repeat_guard_s: int
    same_card_after_passing: SameCardAfterPassing


@dataclass(frozen=True, slots=True)
class Open:
    """Release the arms for this tap."""

    tap: int
    direction: Direction
    hold_ms: int


@dataclass(frozen=True, slots=True)
class Show:
    """Show an outcome for `hold_ms`; with 0, as the resting picture.

    `date_unix_s` is the date of a notice, else 0.
    """

    outcome: Outcome
    hold_ms: int
    date_unix_s: int = 0


@dataclass(frozen=True, slots=True)
class FileReport:
    """Commit the report of this tap before the next effect, within the budget."""

    tap: int
    uid: CardUid
    decision: Decision


@dataclass(frozen=True, slots=True)
class RecordTap:
    """Bookkeeping of one tap. `token` names its card while this lane runs; "" without one card."""

    tap: int
    token: str
    outcome: Outcome
    decision: Decision | None
    reported: bool
    seen_at_ns: int
    waited: bool = False


@dataclass(frozen=True, slots=True)
class RecordPassage:
    """Bookkeeping of a passage's end.

    `passed` is None if it is unknown: the board restarted, never reported the end, or cannot tell.
    """

    tap: int
    passed: bool | None
    after_ms: int = 0


PassageEffect = Open | Show | FileReport | RecordTap | RecordPassage


@dataclass(slots=True)
class _Admission:
    """A card that was admitted and whose passage has not ended."""

    tap: int
    card_key: bytes
    decision: Decision
    seen_at_ns: int
    reported: bool = False  # its report was filed, or is among the effects that follow
    waited: bool = False  # for another passage to end; its report was filed before that
    deadline_ns: int = 0  # when an open passage ends without an event from the board


class Passage:
    """The state of one lane between two events. Not thread-safe: the lane's loop owns it."""

    def __init__(
        self, policy: PassagePolicy, decide: Callable[[Card], Decision], token_key: bytes
    ) -> None:
        """Make the passage of one lane.

        Args:
            policy: the operator's choices.
            decide: called once for each tap of a single card.
            token_key: random bytes, drawn at lane start and kept in memory only.
        """
        self.reader_here = False
        self.board_here = False
        self.emergency = False
        self._emergency_is_old = False  # the board is back and has not sent its state yet
        self._policy = policy
        self._decide = decide
        self._token_key = token_key
        self._now_ns = 0
        self._taps = 0
        self._open: _Admission | None = None
        self._waiting: _Admission | None = None
        guard_ns = policy.repeat_guard_s * NS_PER_S
        self._passed: TTLCache[bytes, bool] = TTLCache(
            RECENT_CARDS_MAX, guard_ns, timer=self._clock
        )
        self._reported: TTLCache[bytes, bool] = TTLCache(
            RECENT_CARDS_MAX, guard_ns, timer=self._clock
        )

    @property
    def serves(self) -> bool:
        """Whether a card would be decided now: both devices serve, and no emergency is on."""
        return self.reader_here and self.hears_cards

    @property
    def hears_cards(self) -> bool:
        """Whether a card would get an answer.

        Without a board no passenger can be told or let through. In an emergency the arms are free.
        """
        return self.board_here and not self.emergency

    @property
    def someone_waits(self) -> bool:
        """Whether an admitted passenger waits for the passage in progress to end."""
        return self._waiting is not None

    @property
    def deadline_ns(self) -> int | None:
        """The monotonic time at which a Tick is due, or None."""
        return self._open.deadline_ns if self._open else None

    def handle(self, event: Event) -> list[PassageEffect]:
        """Take one event and return its effects, in the order in which they are carried out."""
        self._now_ns = max(self._now_ns, event.at_ns)
        match event:
            case CardSeen():
                return self._card(event) if self.hears_cards else []
            case Clash() | LeftEarly() | LaidBefore():
                return self._no_verdict(Outcome.TRY_AGAIN, event.at_ns) if self.hears_cards else []
            case Unsupported():
                return (
                    self._no_verdict(Outcome.UNSUPPORTED, event.at_ns) if self.hears_cards else []
                )
            case Passed():
                return self._ended(event.tap, passed=True, after_ms=event.after_ms)
            case NotPassed() | Closed():
                return self._ended(event.tap, passed=False if type(event) is NotPassed else None)
            case StoodStill():
                return self._stood_still(event.unopened)
            case Tick():
                return self._tick()
            case ReaderLost() | ReaderBack():
                self.reader_here = isinstance(event, ReaderBack)
                return self._rest()
            case BoardLost() | BoardBack():
                self.board_here = self._emergency_is_old = isinstance(event, BoardBack)
                return [*self._abandon(), *self._rest()]
            case Emergency():
                return self._emergency(on=event.on)
            case Forced() | Tamper():
                return []
            case _:
                assert_never(event)

    def _clock(self) -> int:
        return self._now_ns

    def _card(self, event: CardSeen) -> list[PassageEffect]:
        key = blake2b(event.card.uid.raw, digest_size=8, key=self._token_key).digest()
        if any(
            admission is not None and admission.card_key == key
            for admission in (self._open, self._waiting)
        ):
            return []  # the card still held, or shown again while it waits
        if (
            self._policy.same_card_after_passing is SameCardAfterPassing.TRY_AGAIN
            and key in self._passed
        ):
            return self._no_verdict(Outcome.TRY_AGAIN, event.at_ns, token=_token(key))
        decision = self._decide(event.card)
        if decision.verdict is Verdict.NONE:
            return self._no_verdict(Outcome.UNSUPPORTED, event.at_ns, decision=decision)
        if decision.verdict is Verdict.DENY:
            return self._deny(event, key, decision)
        return self._admit(event, key, decision)

    def _deny(self, event: CardSeen, key: bytes, decision: Decision) -> list[PassageEffect]:
        tap = self._next_tap()
        effects: list[PassageEffect] = []
        reported = decision.reports and key not in self._reported
        if reported:
            self._reported[key] = True
            effects.append(FileReport(tap, event.card.uid, decision))
        effects.append(Show(Outcome.DENIED, self._policy.feedback_ms))
        effects.append(RecordTap(tap, _token(key), Outcome.DENIED, decision, reported, event.at_ns))
        return effects

    def _admit(self, event: CardSeen, key: bytes, decision: Decision) -> list[PassageEffect]:
        if self._open is not None and self._waiting is not None:
            return self._no_verdict(Outcome.TRY_AGAIN, event.at_ns, token=_token(key))
        admission = _Admission(self._next_tap(), key, decision, event.at_ns)
        report = [FileReport(admission.tap, event.card.uid, decision)] if decision.reports else []
        admission.reported = decision.reports
        if self._open is not None:
            admission.waited = True
            self._waiting = admission
            return [*report]
        # The gate first: an admitted passenger does not wait for the disk.
        opened = self._open_for(admission, waited=False)
        return [*opened[:2], *report, *opened[2:]]

    def _open_for(self, admission: _Admission, *, waited: bool) -> list[PassageEffect]:
        policy = self._policy
        decision = admission.decision
        admission.deadline_ns = self._now_ns + (policy.hold_ms + PASSAGE_GRACE_MS) * NS_PER_MS
        self._open = admission
        outcome = Outcome.ADMITTED_WITH_NOTICE if decision.notice_unix_s else Outcome.ADMITTED
        return [
            Open(admission.tap, policy.direction, policy.hold_ms),
            Show(outcome, policy.feedback_ms, decision.notice_unix_s),
            _record(admission, outcome, waited=waited),
        ]

    def _ended(self, tap: int, *, passed: bool | None, after_ms: int = 0) -> list[PassageEffect]:
        ended, waiting = self._open, self._waiting
        if ended is None or ended.tap != tap:
            return []  # the late end of a passage that was given up
        # An end that the board did not report counts as a passage: else one card would pay for
        # several people at a board without a sensor.
        if passed is not False:
            self._passed[ended.card_key] = True
        self._open = self._waiting = None
        effects: list[PassageEffect] = [RecordPassage(tap, passed, after_ms)]
        return effects + self._open_for(waiting, waited=True) if waiting is not None else effects

    def _tick(self) -> list[PassageEffect]:
        if self._open is None or self._now_ns < self._open.deadline_ns:
            return []
        return self._ended(self._open.tap, passed=None)

    def _emergency(self, *, on: bool) -> list[PassageEffect]:
        was_old, self._emergency_is_old = self._emergency_is_old, False
        if on == self.emergency:
            return self._rest() if on and was_old else []
        self.emergency = on
        return [*self._abandon(), *self._rest()]

    def _abandon(self) -> list[PassageEffect]:
        """Give up the open and the waiting passage: the board no longer knows either."""
        ended, waiting = self._open, self._waiting
        self._open = self._waiting = None
        effects: list[PassageEffect] = [] if ended is None else [RecordPassage(ended.tap, None)]
        if waiting is not None:
            effects.append(_record(waiting, Outcome.TRY_AGAIN, waited=True))
        return effects

    def _stood_still(self, unopened: int) -> list[PassageEffect]:
        """Give up admitted passengers who were not let in yet: they may have left long ago."""
        given_up: list[PassageEffect] = []
        if self._open is not None and self._open.tap == unopened:
            self._open.reported = self._open.reported and self._open.waited
            given_up.append(_record(self._open, Outcome.TRY_AGAIN, waited=True))
            self._open = None
        if self._waiting is not None:
            given_up.append(_record(self._waiting, Outcome.TRY_AGAIN, waited=True))
            self._waiting = None
        return given_up

    def _rest(self) -> list[PassageEffect]:
        if not self.board_here:
            return []
        if self.emergency and self._emergency_is_old:
            # The emergency may have ended meanwhile, with the arms locked.
            return [Show(Outcome.OUT_OF_SERVICE, 0)]
        if self.emergency:
            return [Show(Outcome.EMERGENCY, 0)]  # the arms hang free: no card is needed
        return [Show(Outcome.READY if self.reader_here else Outcome.OUT_OF_SERVICE, 0)]

    def _no_verdict(
        self, outcome: Outcome, at_ns: int, *, token: str = "", decision: Decision | None = None
    ) -> list[PassageEffect]:
        tap = self._next_tap()
        return [
            Show(outcome, self._policy.feedback_ms),
            RecordTap(tap, token, outcome, decision, reported=False, seen_at_ns=at_ns),
        ]

    def _next_tap(self) -> int:
        self._taps = self._taps % 0xFFFF_FFFF + 1  # u32 on the wire, never 0
        return self._taps


def _record(admission: _Admission, outcome: Outcome, *, waited: bool) -> RecordTap:
    decision, token = admission.decision, _token(admission.card_key)
    return RecordTap(
        admission.tap, token, outcome, decision, admission.reported, admission.seen_at_ns, waited
    )


def _token(card_key: bytes) -> str:
    """Return 16 bits: enough to follow a card through a lane's log of a day, too few to name it."""
    return card_key[:2].hex()
