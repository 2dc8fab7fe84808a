"""The decision: one card, one list version, one moment, one verdict with its ground. Pure, and the hottest code of the gate.

It knows no passage and no repeat (passage.py does) and asks tables only through `Table`. Two things are written for speed, since the
whole decision has 5 µs: a Decision is a tuple made without its class's Python-level constructor, and enum members that every tap needs
are looked up once, at import.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from validator.domain.cards import Card
from validator.domain.rules import Effect, RuleSet
from validator.domain.trusted_time import Now


class Verdict(Enum):
    """What the decision says about opening. NONE: there is nothing to decide about."""

    ADMIT = "admit"
    DENY = "deny"
    NONE = "none"


class Ground(Enum):
    """The named reason of a verdict. It goes into the log and the report, and never to anyone's eyes at the gate."""

    IN_TABLE = "in table"
    NOT_IN_TABLE = "not in table"
    NO_RULE_SPEAKS = "no rule speaks"
    LIST_STALE = "list stale"
    LIST_MISSING = "list missing"
    RANDOM_UID = "random uid"


class ListState(Enum):
    """The state of the list at the moment of a decision."""

    FRESH = "fresh"
    CORRUPT = "corrupt"  # a newer one is here and cannot be used: the previous complete one decides
    STALE = "stale"
    MISSING = "missing"


class WhenStale(Enum):
    """The operator's choice for a list past its expiry: go on by it, or deny everyone."""

    DECIDE = "decide"
    DENY = "deny"


class WhenMissing(Enum):
    """The operator's choice when there is no list at all."""

    ADMIT = "admit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """What to do when the list is not what it should be. Both are the operator's to choose: there is no default."""

    stale: WhenStale
    missing: WhenMissing


class Decision(NamedTuple):
    """A verdict and everything that explains it.

    `rule` names the rule that spoke, or is "". `notice_unix_s` is the start date of a rule not yet in force that will refuse this
    card, or 0. `reports` says that the rule wants this tap reported. `list_version` is 0 without a list.
    """

    verdict: Verdict
    ground: Ground
    rule: str
    reports: bool
    notice_unix_s: int
    list_state: ListState
    list_version: int
    clock_synchronised: bool


_Spoken = tuple[Verdict, Ground, str, bool, int]  # the first five fields of a Decision
_NO_RULE_SPEAKS: _Spoken = (Verdict.ADMIT, Ground.NO_RULE_SPEAKS, "", False, 0)
_RANDOM: _Spoken = (Verdict.NONE, Ground.RANDOM_UID, "", False, 0)
_NOBODY: _Spoken = (Verdict.DENY, Ground.LIST_STALE, "", False, 0)
_MISSING: dict[WhenMissing, _Spoken] = {
    WhenMissing.ADMIT: (Verdict.ADMIT, Ground.LIST_MISSING, "", False, 0),
    WhenMissing.DENY: (Verdict.DENY, Ground.LIST_MISSING, "", False, 0),
}


_make = tuple.__new__
_FRESH, _STALE = ListState.FRESH, ListState.STALE
_REQUIRE, _REFUSE = Effect.REQUIRE, Effect.REFUSE
_ADMIT, _DENY = Verdict.ADMIT, Verdict.DENY


def list_state(rules: RuleSet | None, now: Now) -> ListState:
    """The state in which a decision by these rules is made at this time."""
    if rules is None:
        return ListState.MISSING
    if now.unix_s >= rules.expires_unix_s:
        return _STALE
    return ListState.CORRUPT if rules.is_fallback else _FRESH


def decide(card: Card, rules: RuleSet | None, now: Now, policy: ListPolicy) -> Decision:
    """Decide about one card under one list version at one time.

    A list that is stale or missing is decided as the policy says, and the decision tells so. Under `stale = "deny"` nobody is
    admitted, while a refusal by a rule keeps its own ground, so that it is still reported. A random UID is never looked up.
    """
    state = list_state(rules, now)
    if card.uid.is_random:
        spoken = _RANDOM
    elif rules is None:
        spoken = _MISSING[policy.missing]
    else:
        spoken = _first_that_speaks(card, rules, now.unix_s)
        if state is _STALE and policy.stale is WhenStale.DENY and spoken[0] is Verdict.ADMIT:
            spoken = _NOBODY
    return _make(Decision, (*spoken, state, rules.version if rules else 0, now.synchronised))


def _first_that_speaks(card: Card, rules: RuleSet, unix_s: int) -> _Spoken:
    """Walk the rules in order. The card is fingerprinted once for each key in use: one, or two while a key is being replaced."""
    uid = card.uid
    key = None
    fingerprint = 0
    notice_unix_s = 0
    for rule in rules.rules:
        in_force = unix_s >= rule.in_force_from_unix_s
        if not (in_force or rule.notice):
            continue
        table = rule.table
        if table.key != key:
            key = table.key
            fingerprint = table.fingerprint(uid.raw)
        held = table.holds(fingerprint, unix_s)
        if rule.effect is _REQUIRE:
            if held or not rule.scope.covers(len(uid.raw), card.sak):
                continue
            if in_force:
                return _DENY, Ground.NOT_IN_TABLE, rule.name, rule.reports, 0
            notice_unix_s = notice_unix_s or rule.in_force_from_unix_s
        elif held:
            verdict = _DENY if rule.effect is _REFUSE else _ADMIT
            return verdict, Ground.IN_TABLE, rule.name, rule.reports, 0
    if notice_unix_s:
        return _ADMIT, Ground.NO_RULE_SPEAKS, "", False, notice_unix_s
    return _NO_RULE_SPEAKS
