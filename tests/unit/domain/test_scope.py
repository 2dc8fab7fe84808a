"""Which cards a rule's scope covers."""

import pytest

from validator.domain.rules import EVERY_CARD, Scope

ISO_4_CARDS = Scope(saks=frozenset({0x20}))
SEVEN_BYTES = Scope(uid_lengths=frozenset({7}), saks=frozenset({0x20}))


@pytest.mark.parametrize(
    ("scope", "uid_length", "sak", "covered"),
    [
        (EVERY_CARD, 4, 0x08, True),
        (EVERY_CARD, 7, None, True),
        (ISO_4_CARDS, 7, 0x20, True),
        (ISO_4_CARDS, 7, 0x08, False),
        (ISO_4_CARDS, 7, 0x00, False),
        (SEVEN_BYTES, 4, 0x20, False),
    ],
)
def test_a_scope_covers_the_lengths_and_saks_that_it_names(
    scope: Scope, uid_length: int, sak: int | None, *, covered: bool
) -> None:
    assert scope.covers(uid_length, sak) is covered


def test_a_card_whose_sak_the_reader_cannot_tell_escapes_no_rule_by_that() -> None:
    assert ISO_4_CARDS.covers(7, None)
    assert SEVEN_BYTES.covers(7, None)
    assert not SEVEN_BYTES.covers(4, None)
