"""The passage under any order of events.

It never opens for a denied card, never twice for one tap, and never where no passenger can pass.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from validator.domain.cards import Card, CardUid
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import (
    BoardBack,
    BoardLost,
    CardSeen,
    Clash,
    Closed,
    Emergency,
    Event,
    Forced,
    LeftEarly,
    NotPassed,
    Passed,
    ReaderBack,
    ReaderLost,
    Tamper,
    Tick,
    Unsupported,
)
from validator.domain.outcomes import Direction, Outcome
from validator.domain.passage import (
    FileReport,
    Open,
    Passage,
    PassageEffect,
    PassagePolicy,
    RecordPassage,
    RecordTap,
    SameCardAfterPassing,
    Show,
)

S = 1_000_000_000
GUARD_S = 60
HOLD_MS = 5_000


def card(number: int) -> Card:
    return Card(CardUid(bytes((4, number, 0, 0, 0, 0, 0))), 0x0344, 0x20)


VERDICTS = dict(
    zip(
        map(card, range(6)),
        (Verdict.ADMIT, Verdict.DENY, Verdict.ADMIT, Verdict.DENY, Verdict.NONE, Verdict.ADMIT),
        strict=True,
    )
)
REPORTED = {card(1), card(2)}  # a suspended card and a staff card


def decision(of: Card) -> Decision:
    verdict = VERDICTS[of]
    return Decision(
        verdict,
        Ground.IN_TABLE,
        "rule",
        of in REPORTED,
        0,
        ListState.FRESH,
        7,
        clock_synchronised=True,
    )


class PassageMachine(RuleBasedStateMachine):
    """Drives one passage beside a model of what board and passengers know."""

    @initialize(same_card=st.sampled_from(SameCardAfterPassing))
    def start(self, same_card: SameCardAfterPassing) -> None:
        policy = PassagePolicy(Direction.ENTRY, HOLD_MS, 1_500, GUARD_S, same_card)
        self.passage = Passage(policy, decision, b"k" * 32)
        self.same_card = same_card
        self.now_ns = 10 * S
        self.board = self.reader = self.emergency = False
        self.release_known = False  # since it came, the board has sent the state of its release
        self.open_tap: int | None = None
        self.opened: dict[int, Card] = {}
        self.waiting: Card | None = None  # admitted while the arms were open for another passenger
        self.last_report_ns: dict[bytes, int] = {}
        self.last_passed_ns: dict[Card, int] = {}

    def step(self, event: Event, seen: Card | None = None) -> list[PassageEffect]:
        effects = self.passage.handle(event)
        for position, effect in enumerate(effects):
            self.check(effect, effects[:position], seen)
        return effects

    def check(self, effect: PassageEffect, before: list[PassageEffect], seen: Card | None) -> None:
        match effect:
            case Open(tap=tap, hold_ms=hold_ms):
                of = seen if seen is not None else self.waiting
                assert of is not None, "opened without a card"
                if seen is None:
                    self.waiting = None
                assert VERDICTS[of] is Verdict.ADMIT, "opened for a card that is not admitted"
                assert tap not in self.opened, "opened twice for one tap"
                assert self.open_tap is None, (
                    "opened while the arms were open for another passenger"
                )
                assert self.board, "opened a board that is away"
                assert not self.emergency, "opened in an emergency"
                assert hold_ms == HOLD_MS
                assert not before or not isinstance(before[-1], Show | FileReport), (
                    "the gate comes first"
                )
                self.opened[tap] = of
                self.open_tap = tap
            case Show(outcome=outcome):
                assert self.board, "shown on a board that is away"
                if outcome is Outcome.EMERGENCY:
                    assert self.emergency, "sent a passenger through locked arms"
                    assert self.release_known, "sent a passenger through arms of unknown state"
                if outcome is Outcome.DENIED:
                    assert seen is not None
                    assert VERDICTS[seen] is Verdict.DENY
            case FileReport(uid=uid, decision=of_report):
                if of_report.verdict is Verdict.DENY:
                    assert not any(isinstance(earlier, Show) for earlier in before), (
                        "shown before the report was kept"
                    )
                    last_ns = self.last_report_ns.get(uid.raw, -GUARD_S * S)
                    assert self.now_ns - last_ns >= GUARD_S * S, "reported twice within the guard"
                    self.last_report_ns[uid.raw] = self.now_ns
            case RecordTap(outcome=Outcome.TRY_AGAIN, waited=True):
                assert self.waiting is not None, "given up, and no passenger waited"
                self.waiting = None
            case RecordTap():
                assert any(isinstance(earlier, Show) for earlier in before), (
                    "recorded before the passenger was told"
                )
            case RecordPassage(tap=tap):
                assert tap == self.open_tap
                self.open_tap = None

    @rule(of=st.sampled_from(list(VERDICTS)))
    def present(self, of: Card) -> None:
        passed_ns = self.last_passed_ns.get(of, -GUARD_S * S)
        someone_inside, none_waits = self.open_tap is not None, self.waiting is None
        effects = self.step(CardSeen(of, self.now_ns), of)
        if not self.board or self.emergency:
            assert effects == []
        elif VERDICTS[of] is Verdict.DENY:
            assert Show(Outcome.DENIED, 1_500) in effects, (
                "a denied card is shown again at every tap"
            )
        elif (
            self.same_card is SameCardAfterPassing.TRY_AGAIN
            and self.now_ns - passed_ns < GUARD_S * S
        ):
            assert not any(isinstance(effect, Open) for effect in effects)
        elif VERDICTS[of] is Verdict.ADMIT and not someone_inside:
            assert any(isinstance(effect, Open) for effect in effects)
        elif (
            VERDICTS[of] is Verdict.ADMIT
            and of is not self.opened[self.open_tap or 0]
            and none_waits
        ):
            assert not any(isinstance(effect, Show) for effect in effects), (
                "shown before the passenger is let in"
            )
            self.waiting = of
        elif VERDICTS[of] is Verdict.ADMIT and of not in (
            self.opened[self.open_tap or 0],
            self.waiting,
        ):
            assert Show(Outcome.TRY_AGAIN, 1_500) in effects, "only one may wait"

    @rule(event=st.sampled_from((Clash, LeftEarly, Unsupported)))
    def no_single_card(self, event: type[Clash | LeftEarly | Unsupported]) -> None:
        effects = self.step(event(self.now_ns))
        assert not any(isinstance(effect, Open | FileReport) for effect in effects)

    @precondition(lambda self: self.open_tap is not None)
    @rule(passed=st.booleans())
    def passage_ends(self, passed: bool) -> None:
        tap = self.open_tap
        assert tap is not None
        if passed:
            self.last_passed_ns[self.opened[tap]] = self.now_ns
        effects = self.step(
            Passed(tap, 700, self.now_ns) if passed else NotPassed(tap, self.now_ns)
        )
        assert effects[0] == RecordPassage(tap, passed, 700 if passed else 0)

    @precondition(lambda self: self.open_tap is not None)
    @rule()
    def arms_lock_and_the_board_cannot_tell_more(self) -> None:
        tap = self.open_tap
        assert tap is not None
        self.last_passed_ns[self.opened[tap]] = self.now_ns
        assert self.step(Closed(tap, self.now_ns))[0] == RecordPassage(tap, None)

    @rule(tap=st.integers(0, 50), passed=st.booleans())
    def late_or_foreign_end(self, tap: int, passed: bool) -> None:
        if tap != self.open_tap:
            assert (
                self.step(Passed(tap, 1, self.now_ns) if passed else NotPassed(tap, self.now_ns))
                == []
            )

    @rule(on=st.booleans())
    def board_comes_or_goes(self, on: bool) -> None:
        self.board, self.release_known = on, False
        self.step(BoardBack(self.now_ns) if on else BoardLost("gone", self.now_ns))
        assert self.open_tap is None, "a passage outlived its board"
        assert self.waiting is None, "a tap was decided and never recorded"

    @rule(on=st.booleans())
    def reader_comes_or_goes(self, on: bool) -> None:
        self.reader = on
        effects = self.step(ReaderBack(self.now_ns) if on else ReaderLost("gone", self.now_ns))
        if self.board and not self.emergency:
            assert effects == [Show(Outcome.READY if on else Outcome.OUT_OF_SERVICE, 0)]

    @rule(on=st.booleans())
    def emergency_release(self, on: bool) -> None:
        changed, is_first = on != self.emergency, not self.release_known
        self.emergency, self.release_known = on, True
        effects = self.step(Emergency(on, self.now_ns))
        if self.board and on and (changed or is_first):
            assert effects[-1] == Show(Outcome.EMERGENCY, 0), (
                "the board may show only what the lane asks for"
            )
        assert not changed or self.open_tap is None
        assert not changed or self.waiting is None, "a tap was decided and never recorded"

    @rule(event=st.sampled_from((Forced(1), Tamper(on=True, at_ns=1))))
    def alarm(self, event: Event) -> None:
        assert self.step(event) == []

    @rule(seconds=st.sampled_from((0.1, 1, 8, 61)))
    def time_goes_by(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        tap = self.open_tap
        ended = [
            effect for effect in self.step(Tick(self.now_ns)) if isinstance(effect, RecordPassage)
        ]
        if ended:
            assert ended == [RecordPassage(tap or 0, None)]
            self.last_passed_ns[self.opened[tap or 0]] = self.now_ns
        due_ns = self.passage.deadline_ns
        assert due_ns is None or due_ns > self.now_ns, (
            "a passage that the board never ended goes on for ever"
        )

    @invariant()
    def serves_only_with_everything(self) -> None:
        if hasattr(self, "passage"):
            assert self.passage.serves == (self.board and self.reader and not self.emergency)


TestPassage = PassageMachine.TestCase
TestPassage.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
