"""Which cards the loop hands over while learning is on, and when it reads a printed number."""

from collections import deque
from random import Random

import pytest

from tests.simulation.lane.simulated_gate import (
    GOOD,
    START_NS,
    SUSPENDED,
    S,
    World,
    card,
    simulated,
)
from validator.domain.cards import Card, CardUid
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import CardSeen, Clash, ReaderBack, ReaderEvent
from validator.lane.ports import CardToLearn, Note, TapDone

PHONE = Card(CardUid(bytes.fromhex("08010203")), 0x0004, 0x20)
NUMBER = "1234567890123456"


class LearningGate:
    """A gate in simulated time, what its loop noted, and at which notes a number was read."""

    def __init__(self, *, is_on: bool, number: str | None = NUMBER) -> None:
        self.notes: list[Note] = []
        self.reads = 0
        self.is_on = is_on
        self.number = number

    def taps(self, *cards: Card) -> list[CardToLearn]:
        """Lay the cards, 10 s apart; return what was handed over."""
        world = World(Random(1), 0.0)
        events: deque[ReaderEvent] = deque([ReaderBack(START_NS)])
        for place, each in enumerate(cards, start=1):
            events.append(CardSeen(each, START_NS + 10 * place * S))
        events.append(Clash(START_NS + 10 * (len(cards) + 1) * S))
        lane, _ = simulated(world, events)
        lane._note = self.note
        lane._is_learning = lambda: self.is_on
        lane._read_number = self.read
        while world.now_ns < START_NS + 10 * (len(cards) + 2) * S and events:
            lane.turn()
        return [note for note in self.notes if isinstance(note, CardToLearn)]

    def note(self, note: Note) -> None:
        self.notes.append(note)

    def read(self) -> str | None:
        assert isinstance(self.notes[-1], TapDone), "a number is read before the tap is done"
        self.reads += 1
        return self.number


REFUSED, ADMITTED = card(SUSPENDED[0]), card(GOOD[0])


def test_a_refused_card_is_handed_over_after_its_tap_is_done() -> None:
    gate = LearningGate(is_on=True)
    assert gate.taps(REFUSED) == [CardToLearn(REFUSED.uid, NUMBER)]
    assert gate.reads == 1


def test_an_unsupported_card_is_handed_over() -> None:
    assert LearningGate(is_on=True, number=None).taps(PHONE) == [CardToLearn(PHONE.uid, "")]


def test_an_admitted_card_is_not_and_its_number_is_not_read() -> None:
    gate = LearningGate(is_on=True)
    assert gate.taps(ADMITTED) == []
    assert gate.reads == 0
    assert any(isinstance(note, TapDone) for note in gate.notes)


def test_while_learning_is_off_no_card_is_and_no_number_is_read() -> None:
    gate = LearningGate(is_on=False)
    assert gate.taps(REFUSED, PHONE, ADMITTED) == []
    assert gate.reads == 0


@pytest.mark.parametrize(
    ("verdict", "ground", "notice_unix_s", "is_of_stranger"),
    [
        (Verdict.DENY, Ground.IN_TABLE, 0, True),
        (Verdict.DENY, Ground.NOT_IN_TABLE, 0, True),
        (Verdict.DENY, Ground.LIST_MISSING, 0, True),
        (Verdict.NONE, Ground.RANDOM_UID, 0, True),
        (Verdict.ADMIT, Ground.LIST_MISSING, 0, True),
        (Verdict.ADMIT, Ground.NO_RULE_SPEAKS, 1_900_000_000, True),
        (Verdict.ADMIT, Ground.NO_RULE_SPEAKS, 0, False),
        (Verdict.ADMIT, Ground.IN_TABLE, 0, False),
    ],
)
def test_which_decisions_are_about_a_stranger(
    verdict: Verdict, ground: Ground, notice_unix_s: int, *, is_of_stranger: bool
) -> None:
    decision = Decision(
        verdict, ground, "", False, notice_unix_s, ListState.FRESH, 1, clock_synchronised=True
    )
    assert decision.is_of_stranger == is_of_stranger
