"""Reads and writes of one card or state in a registry, for tests: the programs work in batches."""

from collections.abc import Iterator

import sqlalchemy as sa

from backoffice.registry.registry import Registry, State
from backoffice.registry.schema import rules
from backoffice.registry.schema import states as states_table


def set_state(registry: Registry, rule: str, uid: bytes, ends_unix_s: int | None = None) -> bool:
    """Put one issued card under a rule. Returns whether that changed anything."""
    return _set_one(registry, rule, State(uid, is_in=True, ends_unix_s=ends_unix_s))


def remove_state(registry: Registry, rule: str, uid: bytes) -> bool:
    """Take one issued card out from under a rule. Returns whether that changed anything."""
    return _set_one(registry, rule, State(uid, is_in=False))


def _set_one(registry: Registry, rule: str, state: State) -> bool:
    outcome = registry.set_states(rule, [state])
    assert not outcome.refused, "no such card is issued"
    return outcome.changed > 0


def issued_uids(registry: Registry) -> Iterator[bytes]:
    """The UIDs of all issued cards."""
    return (uid for batch in registry.card_batches() for uid in batch)


def states(registry: Registry, rule: str, after: int, up_to: int) -> Iterator[State]:
    """The states that changed after list version `after`, up to `up_to`, in no order."""
    for batch in registry.state_batches(rule, after, up_to):
        yield from (State(uid, bool(is_in), ends) for uid, is_in, ends in batch)


def snapshot(registry: Registry, rule: str, up_to: int) -> Iterator[State]:
    """The cards that are in at list version `up_to`, in no order."""
    for batch in registry.snapshot_batches(rule, up_to):
        yield from (State(uid, bool(is_in), ends) for uid, is_in, ends in batch)


def members(registry: Registry, rule: str) -> Iterator[State]:
    """The cards that are in by their last state, pending ones included, by rising UID."""
    chosen = (
        sa.select(states_table.c.uid, states_table.c.ends_unix_s)
        .join(rules, rules.c.id == states_table.c.rule)
        .where(rules.c.name == rule, states_table.c.is_in)
        .order_by(states_table.c.uid)
    )
    for uid, ends_unix_s in registry._database.stream(chosen):
        yield State(uid, is_in=True, ends_unix_s=ends_unix_s)
