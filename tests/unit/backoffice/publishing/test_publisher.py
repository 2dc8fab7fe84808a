"""The publisher in a real home: what it publishes, and when a rule begins again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.home.config import RuleConfig
from backoffice.publishing.fingerprints import CardsError, Hash, hasher
from backoffice.publishing.naming import index_of, manifest_of
from backoffice.publishing.pieces import DAY_S, HOUR_S
from backoffice.publishing.publisher import Publisher
from backoffice.registry.publications import Kind, Piece
from backoffice.signing.clock import ClockError
from tests.support.city.publishing_rig import MATCHED, STAFF, SUSPENDED, PublishingOffice
from tests.support.city.town import uid
from tests.unit.backoffice.publishing.publisher_steps import (
    CARDS,
    assert_followed,
    later,
    seen,
    spans,
)
from validator.domain.rules import Effect
from validator.errors import OperatorError, SourceState
from validator.lists.manifest import RULES_MAX, IndexEntry, ScopeEntry, decode

# Nothing to do, and time


def test_without_a_change_nothing_is_published_and_the_timestamp_is_signed_in_time(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.now_unix_s += 60
    outcome = public.publish()
    assert (outcome.version, outcome.why, outcome.files) == (2, (), {})
    public.now_unix_s += 3 * HOUR_S
    outcome = public.publish()
    assert (outcome.version, outcome.why, list(outcome.files)) == (2, (), ["timestamp.json"])
    assert seen(public).manifest == before.manifest
    assert seen(public).timestamp_expires_unix_s == public.now_unix_s + 6 * HOUR_S


def test_a_list_is_issued_again_long_before_it_expires(public: PublishingOffice) -> None:
    before = seen(public)
    public.now_unix_s += 12 * HOUR_S
    assert public.publish().why == ("its time has come",)
    assert seen(public).manifest.expires_unix_s == before.manifest.expires_unix_s + 12 * HOUR_S
    assert seen(public).index == before.index, "no piece is made for it"


def test_a_clock_that_is_set_back_publishes_nothing(public: PublishingOffice) -> None:
    before = seen(public)
    public.now_unix_s -= DAY_S
    public.change("suspended", CARDS[3])
    with pytest.raises(ClockError, match="later than this clock shows: set the clock"):
        public.publish()
    assert seen(public) == before
    public.now_unix_s += DAY_S + 60
    public.publish()
    assert_followed(public)


def test_a_clock_that_ran_ahead_is_overcome_by_another_timestamp_key(
    public: PublishingOffice,
) -> None:
    gate = public.gate()
    gate.poll()
    right_unix_s = public.now_unix_s + HOUR_S
    later(public, CARDS[3], seconds=30 * DAY_S)
    public.now_unix_s = right_unix_s
    with pytest.raises(ClockError, match="rotate timestamp"):
        public.publish()
    public.city.rotate("timestamp", now_unix_s=right_unix_s)
    public.publish()
    gate.clock.unix_s = right_unix_s
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("suspended", CARDS[3])
    assert public.publish().why == ()


# Other rules, units, keys


def test_other_rules_are_published_without_a_piece(public: PublishingOffice) -> None:
    before = seen(public)
    public.rules = (STAFF, SUSPENDED, replace(MATCHED, notice=True))
    outcome = public.publish()
    assert (outcome.why, outcome.built) == (("the rules changed",), ())
    assert [rule.name for rule in seen(public).manifest.rules] == ["staff", "suspended", "matched"]
    assert seen(public).index == before.index
    assert_followed(public)


def test_another_unit_begins_the_rule_again_and_no_other(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    before = seen(public)
    public.rules = (replace(SUSPENDED, until_unit_s=300), STAFF, MATCHED)
    assert public.publish().why == ("suspended begins again",)
    assert spans(seen(public)) == [(0, 3)]
    assert spans(seen(public), "matched") == spans(before, "matched")
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    public.assert_says(gate.rules)


def test_another_fingerprint_key_begins_every_rule_again(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    public.rotate_fingerprint_key()
    outcome = public.publish()
    assert outcome.why == tuple(f"{rule.name} begins again" for rule in public.rules)
    assert outcome.compared == len(CARDS)
    assert [spans(seen(public), rule.name) for rule in public.rules] == [[(0, 3)]] * 3
    assert (gate.poll().state, gate.version) == (SourceState.NO_KEY, 2)
    gate.hold(public.key)
    assert (gate.poll().state, gate.version) == (SourceState.FRESH, 3)
    assert gate.rules is not None
    public.assert_says(gate.rules)


def test_a_rule_that_is_taken_away_and_given_back_begins_again(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    public.rules = (SUSPENDED, MATCHED)
    public.publish()
    assert set(seen(public).index.rules) == {"suspended", "matched"}
    public.change("staff", CARDS[5])
    public.rules = (SUSPENDED, STAFF, MATCHED)
    public.publish()
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("staff", CARDS[5])


def test_another_fingerprint_key_between_a_kill_and_the_next_run(public: PublishingOffice) -> None:
    public.change("suspended", CARDS[3])
    steps = public.steps()
    while not next(steps).startswith("renamed suspended"):
        pass
    steps.close()
    public.rotate_fingerprint_key()
    assert public.publish().version == 3
    assert spans(seen(public)) == [(0, 3)]
    assert_followed(public)


# Cards that cannot be published


def colliding(first: bytes, second: bytes, key: bytes) -> Callable[[bytes], Hash]:
    """Fingerprints among which the second card has the first one's, under this key alone."""

    def hashing(used: bytes) -> Hash:
        hashed = hasher(used)
        return lambda uids: hashed(
            [first if each == second and used == key else each for each in uids]
        )

    return hashing


def test_two_cards_with_one_fingerprint_stop_the_list_until_the_key_is_another(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.hashing = colliding(CARDS[0], uid(90), public.key)
    public.issue(uid(90))
    public.change("suspended", CARDS[3])
    for _ in range(2):
        with pytest.raises(CardsError) as error:
            public.publish()
        assert "1 card has the fingerprint of another card, so nothing is published" in str(
            error.value
        )
        assert "rotate fingerprint-key" in str(error.value)
        assert seen(public) == before
    public.change("suspended", CARDS[4])
    public.rotate_fingerprint_key()
    assert public.publish().version == 3
    assert_followed(public)
    assert later(public).manifest.list_version == 4
    assert_followed(public, "another gate")


def test_an_end_beyond_the_reach_of_the_unit_stops_the_list_until_it_is_fixed(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.change("suspended", CARDS[3], public.now_unix_s + 60 * DAY_S)
    with pytest.raises(
        CardsError, match=r"1 cards end later than 44 days.*give the rule a larger until_unit_s"
    ):
        public.publish()
    assert seen(public) == before
    public.rules = (replace(SUSPENDED, until_unit_s=300), STAFF, MATCHED)
    public.publish()
    assert_followed(public)


# One at a time


def test_a_second_publisher_is_refused(public: PublishingOffice) -> None:
    first, second = (Publisher(public.config, public.registry) for _ in range(2))
    with first.alone():
        with pytest.raises(OperatorError, match="another publisher is running"), second.alone():
            pass
        first.publish(public.now_unix_s)
    with second.alone():
        second.publish(public.now_unix_s)


def test_a_home_that_is_none_is_refused_as_none(public: PublishingOffice, tmp_path: Path) -> None:
    nowhere = replace(public.config, folder=tmp_path / "nowhere")
    with (
        pytest.raises(OperatorError, match="is no home of a back office"),
        Publisher(nowhere, public.registry).alone(),
    ):
        pass


# Naming


def rule_names(length: int) -> list[RuleConfig]:
    return [
        RuleConfig(name=f"{number}".rjust(length, "r"), effect=Effect.REQUIRE, until_unit_s=60)
        for number in range(RULES_MAX)
    ]


def test_a_manifest_names_as_many_pieces_as_it_has_room_for() -> None:
    rules = rule_names(9)
    offered = {
        rule.name: [
            Piece(Kind.MINUTE, end - 1, end, 10**6, 0, f"{end:064x}") for end in range(1, 10)
        ]
        for rule in rules
    }
    many = decode(
        manifest_of(9, 0, 5 * DAY_S, rules[:2], offered, IndexEntry(9, "0" * 64), "0" * 16)
    )
    assert [len(rule.segments) for rule in many.rules] == [3, 3]
    few = decode(
        manifest_of(9, 0, 5 * DAY_S, rules[:5], offered, IndexEntry(9, "0" * 64), "0" * 16)
    )
    assert {len(rule.segments) for rule in few.rules} < {1, 2}
    assert all(rule.segments[0].to_version == 9 for rule in few.rules)
    wordy = [
        replace(rule, name=f"{rule.name:r>32}", scope=ScopeEntry((4, 7, 10), (1, 2, 3)))
        for rule in rules
    ]
    offered |= {rule.name: offered[rules[0].name] for rule in wordy}
    with pytest.raises(OperatorError, match="give the rules shorter names"):
        manifest_of(9, 0, 5 * DAY_S, wordy, offered, IndexEntry(9, "0" * 64), "0" * 16)
    assert len(index_of(offered).rules[rules[0].name]) == 9
