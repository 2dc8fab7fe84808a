"""The decision: one card, one list version, one moment; one verdict with its ground.

It knows no passage and no repeat: `passage.py` does. It asks tables only through `Table`.

The whole decision has 5 µs, so two things are written for speed. A Decision is a tuple made without
its class's constructor, which runs in Python. Enum members that every tap needs are looked up once,
at import.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from validator.domain.cards import Card
from validator.domain.rules import Effect, RuleSet
from validator.domain.trusted_time import Now


class Verdict(Enum):
    """Whether to open. NONE: the card cannot be decided about."""

    ADMIT = "admit"
    DENY = "deny"
    NONE = "none"


class Ground(Enum):
    """The reason of a verdict. It goes into log and report, and is never shown at the gate."""

    IN_TABLE = "in table"
    NOT_IN_TABLE = "not in table"
    NO_RULE_SPEAKS = "no rule speaks"
    LIST_STALE = "list stale"
    LIST_MISSING = "list missing"
    RANDOM_UID = "random uid"


class ListState(Enum):
    """The state of the list at the moment of a decision."""

    FRESH = "fresh"
    CORRUPT = "corrupt"  # a newer one is here and cannot be used: the last complete one decides
    STALE = "stale"
    MISSING = "missing"


class WhenStale(Enum):
    """The operator's choice for a list past its expiry: decide by it, or deny everyone."""

    DECIDE = "decide"
    DENY = "deny"


class WhenMissing(Enum):
    """The operator's choice while there is no list."""

    ADMIT = "admit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """What to do when the list is stale or missing. The operator chooses both; no default."""

    stale: WhenStale
    missing: WhenMissing


class Decision(NamedTuple):
    """A verdict and everything that explains it.

    Attributes:
        rule: the name of the rule that decided, or "".
        reports: whether that rule asks for a report of this tap.
        notice_unix_s: the start date of a coming rule that will refuse this card, or 0.
        list_version: 0 without a list.
    """

    verdict: Verdict
    ground: Ground
    rule: str
    reports: bool
    notice_unix_s: int
    list_state: ListState
    list_version: int
    clock_synchronised: bool

    @property
    def is_of_stranger(self) -> bool:
        """Whether the card is refused, or nothing that this gate holds knows it: see learning.

        A card that is admitted without a notice counts as known, except where there is no list.
        """
        return (
            self.verdict is not Verdict.ADMIT
            or self.notice_unix_s > 0
            or self.ground is Ground.LIST_MISSING
        )


_Result = tuple[Verdict, Ground, str, bool, int]  # the first five fields of a Decision
_NO_RULE: _Result = (Verdict.ADMIT, Ground.NO_RULE_SPEAKS, "", False, 0)
_RANDOM: _Result = (Verdict.NONE, Ground.RANDOM_UID, "", False, 0)
_STALE_DENIED: _Result = (Verdict.DENY, Ground.LIST_STALE, "", False, 0)
_MISSING: dict[WhenMissing, _Result] = {
    WhenMissing.ADMIT: (Verdict.ADMIT, Ground.LIST_MISSING, "", False, 0),
    WhenMissing.DENY: (Verdict.DENY, Ground.LIST_MISSING, "", False, 0),
}


_make = tuple.__new__
_FRESH, _STALE = ListState.FRESH, ListState.STALE
_REQUIRE, _REFUSE = Effect.REQUIRE, Effect.REFUSE
_ADMIT, _DENY = Verdict.ADMIT, Verdict.DENY


def list_state(rules: RuleSet | None, now: Now) -> ListState:
    """Return the state of the list by which a decision is made at this time."""
    if rules is None:
        return ListState.MISSING
    if now.unix_s >= rules.expires_unix_s:
        return _STALE
    return ListState.CORRUPT if rules.is_fallback else _FRESH


def decide(card: Card, rules: RuleSet | None, now: Now, policy: ListPolicy) -> Decision:
    """Decide about one card under one list version at one time.

    The policy decides about a stale or missing list, and the decision has that state. Under
    `stale = "deny"` no card is admitted, but a refusal by a rule keeps its ground, so that it is
    still reported. A random UID is never looked up.

    Args:
        card: as the reader read it.
        rules: the list version in force; None if there is none.
        now: the trusted time.
        policy: the operator's choices.
    """
    state = list_state(rules, now)
    if card.uid.is_random:
        result = _RANDOM
    elif rules is None:
        result = _MISSING[policy.missing]
    else:
        result = _first_rule(card, rules, now.unix_s)
        if state is _STALE and policy.stale is WhenStale.DENY and result[0] is Verdict.ADMIT:
            result = _STALE_DENIED
    return _make(Decision, (*result, state, rules.version if rules else 0, now.synchronised))


def _first_rule(card: Card, rules: RuleSet, unix_s: int) -> _Result:
    """Return the result of the first rule that applies.

    The card is fingerprinted once for each key: one, or two while a key is being replaced.
    """
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
    return _NO_RULE
