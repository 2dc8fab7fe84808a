"""The record of an admitted passenger whom the lane gave up, because it had stood still.

It names a report only if one was filed.
"""

import pytest

from validator.domain.cards import Card, CardUid
from validator.domain.decision import Decision, Ground, ListState, Verdict
from validator.domain.events import BoardBack, CardSeen, Passed, ReaderBack, StoodStill
from validator.domain.outcomes import Direction, Outcome
from validator.domain.passage import (
    FileReport,
    Passage,
    PassageEffect,
    PassagePolicy,
    RecordTap,
    SameCardAfterPassing,
)

S = 1_000_000_000


def staff(number: int) -> Card:
    return Card(CardUid(bytes((4, number, 0, 0, 0, 0, 0))), 0x0344, 0x20)


def decide(_card: Card) -> Decision:
    """Admit a staff card, whose every use is reported."""
    return Decision(
        Verdict.ADMIT,
        Ground.IN_TABLE,
        "staff",
        True,
        0,
        ListState.FRESH,
        7,
        clock_synchronised=True,
    )


@pytest.fixture
def passage() -> Passage:
    policy = PassagePolicy(Direction.ENTRY, 5_000, 1_500, 60, SameCardAfterPassing.ADMIT)
    made = Passage(policy, decide, bytes(32))
    made.handle(BoardBack(S))
    made.handle(ReaderBack(S))
    return made


def recorded(effects: list[PassageEffect]) -> list[tuple[Outcome, bool]]:
    return [
        (effect.outcome, effect.reported) for effect in effects if isinstance(effect, RecordTap)
    ]


def test_a_passenger_who_was_not_let_in_has_no_report(passage: Passage) -> None:
    # An admitted passenger's report is filed after the gate opened.
    passage.handle(CardSeen(staff(1), 2 * S))
    assert recorded(passage.handle(StoodStill(1, 10 * S))) == [(Outcome.TRY_AGAIN, False)]


def test_a_passenger_who_waited_was_reported_when_the_card_was_read(passage: Passage) -> None:
    passage.handle(CardSeen(staff(1), 2 * S))
    effects = passage.handle(CardSeen(staff(2), 3 * S))
    assert [type(effect) for effect in effects] == [FileReport]
    assert recorded(passage.handle(StoodStill(0, 10 * S))) == [(Outcome.TRY_AGAIN, True)]


def test_a_passenger_who_waited_and_was_given_up_when_the_way_was_free_was_reported(
    passage: Passage,
) -> None:
    passage.handle(CardSeen(staff(1), 2 * S))
    passage.handle(CardSeen(staff(2), 3 * S))
    passage.handle(Passed(1, 700, 4 * S))
    assert recorded(passage.handle(StoodStill(2, 10 * S))) == [(Outcome.TRY_AGAIN, True)]
