"""A million decisions by mapped segments equal those of a model of dictionaries and a loop."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import pytest

from tests.support.city.list_making import EPOCH_UNIX_S, KEY, OTHER_KEY, segment_bytes
from validator.domain.cards import Card, CardUid
from validator.domain.decision import (
    Decision,
    Ground,
    ListPolicy,
    ListState,
    Verdict,
    WhenMissing,
    WhenStale,
    decide,
)
from validator.domain.rules import Effect, Rule, RuleSet, Scope
from validator.domain.trusted_time import Now
from validator.lists.segment import MappedTable, Segment

WORLDS = 1_000
# After the epoch: the ends of cards, a rule's start, the list's expiry.
BOUNDS_S = (60, 90, 120, 250, 300)
MOMENTS_S = (0, *(bound + side for bound in BOUNDS_S for side in (-1, 0)), 399)
UNIT_S = 60
NEVER = 0xFFFF


@dataclass(frozen=True, slots=True)
class ModelRule:
    """The model of a rule: which UID is in its table, and until when (in units; 0: removed)."""

    name: str
    effect: Effect
    cards: dict[bytes, int]
    lengths: frozenset[int]
    saks: frozenset[int]
    from_unix_s: int
    reports: bool
    notice: bool

    def has(self, uid: bytes, unix_s: int) -> bool:
        units = self.cards.get(uid, 0)
        return units == NEVER or (units > 0 and unix_s < EPOCH_UNIX_S + units * UNIT_S)

    def in_scope(self, card: Card) -> bool:
        return (not self.lengths or len(card.uid.raw) in self.lengths) and (
            not self.saks or card.sak is None or card.sak in self.saks
        )


@dataclass(frozen=True, slots=True)
class World:
    """A list twice: as the gate holds it, and as the model does."""

    rules: RuleSet | None
    model: list[ModelRule]
    cards: list[Card]


def random_card(draw: random.Random) -> Card:
    length = draw.choice((4, 4, 7, 7, 7, 10))
    raw = bytes([draw.choice((0x04, 0x08, 0x12))]) + draw.randbytes(length - 1)
    return Card(CardUid(raw), draw.choice((0x0344, 0x0004)), draw.choice((0x20, 0x08, None)))


def random_rule(
    draw: random.Random, number: int, cards: list[Card], key: bytes
) -> tuple[Rule, ModelRule]:
    effect = draw.choice(list(Effect))
    require = effect is Effect.REQUIRE
    known: dict[bytes, int] = {}
    segments = []
    versions = sorted(draw.sample(range(1, 10), draw.randint(1, 3)))
    for from_version, to_version in pairwise([0, *versions]):
        change = {
            card.uid: draw.choice((0, 1, 2, 5, NEVER))
            for card in draw.sample(cards, draw.randint(0, len(cards) // 2))
        }
        known |= {uid.raw: units for uid, units in change.items()}
        fingerprints = {uid.fingerprint(key): units for uid, units in change.items()}
        segments.append(
            Segment(
                segment_bytes(
                    fingerprints,
                    rule="r",
                    from_version=from_version,
                    to_version=to_version,
                    key=key,
                )
            )
        )
    model = ModelRule(
        f"rule{number}",
        effect,
        known,
        frozenset(draw.sample((4, 7, 10), draw.randint(0, 2))) if require else frozenset(),
        frozenset(draw.sample((0x20, 0x08), draw.randint(0, 1))) if require else frozenset(),
        draw.choice((0, EPOCH_UNIX_S + 90)),
        draw.random() < 0.5,
        require and draw.random() < 0.5,
    )
    table = MappedTable(key, segments[::-1])
    scope = Scope(model.lengths, model.saks)
    return Rule(
        model.name, effect, table, scope, model.from_unix_s, model.reports, model.notice
    ), model


def worlds(seed: int) -> Iterator[tuple[random.Random, World]]:
    draw = random.Random(seed)
    for number in range(WORLDS):
        cards = [random_card(draw) for _ in range(40)]
        pairs = [
            random_rule(draw, n, cards, draw.choice((KEY, KEY, OTHER_KEY)))
            for n in range(draw.randint(0, 4))
        ]
        in_order = tuple(rule for rule, _ in pairs)
        fallback = draw.random() < 0.1
        rules = RuleSet(
            number + 1, EPOCH_UNIX_S, EPOCH_UNIX_S + 250, in_order, is_fallback=fallback
        )
        missing = draw.random() < 0.05
        yield draw, World(None if missing else rules, [model for _, model in pairs], cards)


def expected(world: World, card: Card, now: Now, policy: ListPolicy) -> Decision:
    rules, raw = world.rules, card.uid.raw
    stale = rules is not None and now.unix_s >= rules.expires_unix_s
    held = ListState.CORRUPT if rules is not None and rules.is_fallback else ListState.FRESH
    state = ListState.MISSING if rules is None else ListState.STALE if stale else held
    version = 0 if rules is None else rules.version

    def answer(
        verdict: Verdict, ground: Ground, rule: ModelRule | None = None, notice: int = 0
    ) -> Decision:
        name, reports = (rule.name, rule.reports) if rule else ("", False)
        return Decision(verdict, ground, name, reports, notice, state, version, now.synchronised)

    if len(raw) == 4 and raw[0] == 0x08:
        return answer(Verdict.NONE, Ground.RANDOM_UID)
    if rules is None:
        return answer(Verdict(policy.missing.value), Ground.LIST_MISSING)
    nobody = stale and policy.stale is WhenStale.DENY
    notices = []
    for rule in world.model:
        begun, has = now.unix_s >= rule.from_unix_s, rule.has(raw, now.unix_s)
        if rule.effect is Effect.REQUIRE and not has and rule.in_scope(card):
            if begun:
                return answer(Verdict.DENY, Ground.NOT_IN_TABLE, rule)
            if rule.notice:
                notices.append(rule.from_unix_s)
        if rule.effect is Effect.REFUSE and has and begun:
            return answer(Verdict.DENY, Ground.IN_TABLE, rule)
        if rule.effect is Effect.ADMIT and has and begun:
            return (
                answer(Verdict.DENY, Ground.LIST_STALE)
                if nobody
                else answer(Verdict.ADMIT, Ground.IN_TABLE, rule)
            )
    if nobody:
        return answer(Verdict.DENY, Ground.LIST_STALE)
    return answer(Verdict.ADMIT, Ground.NO_RULE_SPEAKS, None, notices[0] if notices else 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_decide_agrees_with_a_plain_dictionary_model(seed: int) -> None:
    seen: set[tuple[Verdict, Ground, ListState, bool]] = set()
    policies = [ListPolicy(stale, missing) for stale in WhenStale for missing in WhenMissing]
    for draw, world in worlds(seed):
        policy = draw.choice(policies)
        for card, moment_s in product(world.cards, MOMENTS_S):
            now = Now(EPOCH_UNIX_S + moment_s, synchronised=True)
            decision = decide(card, world.rules, now, policy)
            assert decision == expected(world, card, now, policy)
            seen.add(
                (
                    decision.verdict,
                    decision.ground,
                    decision.list_state,
                    bool(decision.notice_unix_s),
                )
            )
    grounds = {(verdict, ground) for verdict, ground, _, _ in seen}
    assert len(grounds) == 8, (
        "every ground was met: random UID, missing twice, stale, in table twice, not in table, none"
    )
    assert any(notice for _, _, _, notice in seen)
    assert {state for _, _, state, _ in seen} == set(ListState)
