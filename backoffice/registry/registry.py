"""The registry: which cards are issued, and which of them stand under which rule. One city has one; docs/decisions/0013-registry.md says why so.

    registry = Registry.open("sqlite:////var/lib/turnike/city/registry.db")
    registry.set_state("suspended", uid, ends_unix_s=1_612_137_600)
    carried = registry.claim(42)  # what changed until now is list version 42
    for state in registry.states("suspended", after=41, up_to=42): ...

A *state* is the last word about a card under a rule: in until an end or without one, or taken out. Each change is *pending* until a list
version claims it. What a claimed version carries can be read, always the same, until the next claim, whatever changes meanwhile.

Cards go in as UIDs and come out as UIDs; no message and no repr shows one. Every method raises RegistryError.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from backoffice.registry import staged
from backoffice.registry.database import (
    CARDS_ADDED,
    OPEN_VERSION,
    Database,
    RegistryError,
    counter,
    set_counter,
)
from backoffice.registry.new_cards import NewCardsRecord
from backoffice.registry.publications import Publications
from backoffice.registry.schema import cards, incoming, notes, outdated, rules, states
from backoffice.registry.values import Counts, IssuedCard, Outcome, State, StateRow, UnderRule

__all__ = ["Counts", "IssuedCard", "Outcome", "Registry", "RegistryError", "State", "UnderRule"]


class Registry:
    """The registry of one city. Safe for several processes at once, and for several threads of one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.publications = Publications(database)
        """What was published of it; see there."""
        self.new_cards = NewCardsRecord(database)
        """Which cards were not compared with all others yet; see there."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open it, and make its tables if there are none."""
        return cls(Database(url))

    def close(self) -> None:
        """Give it up. Nothing is lost without: what a method has done is durable when it returns."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Cards issued

    def add_cards(self, batch: Sequence[IssuedCard], *, keep: bool = True) -> Outcome:
        """Issue these cards, in one transaction. `keep=False` only tells what would become of it.

        Refused are those whose number another card has, here or earlier in the batch. A card that is issued already gets the number it
        is given here; without one it keeps the one it has. A UID stands once in a batch, which is quickest if sorted by UID.
        """
        with self._database.writing(keep=keep) as connection:
            taken = _second_uses(batch)
            self._database.stage(
                connection, ((c.uid, c.number, None, None) for c in batch if c.uid not in taken)
            )
            taken |= staged.with_numbers_of_others(connection)
            if taken:
                rows = ((c.uid, c.number, None, None) for c in batch if c.uid not in taken)
                self._database.stage(connection, rows)
            added, changed = staged.issue(connection, self._database)
            return Outcome(changed, frozenset(taken), added)

    def unissued(self, uids: Iterable[bytes]) -> frozenset[bytes]:
        """Those of these that are no issued card's."""
        with self._database.reading() as connection:
            self._database.stage(connection, ((uid, None, None, None) for uid in uids))
            return staged.unissued(connection)

    def uids_by_number(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The UIDs of the cards that have these printed numbers; a number that no card has is left out."""
        with self._database.reading() as connection:
            self._database.stage(connection, ((b"", number, None, None) for number in numbers))
            found = connection.execute(
                sa.select(incoming.c.number, cards.c.uid).join(
                    cards, cards.c.number == incoming.c.number
                )
            )
            return {row.number: row.uid for row in found}

    def card(self, uid: bytes) -> IssuedCard | None:
        """The issued card with this UID."""
        return self._card(cards.c.uid == uid)

    def card_by_number(self, number: int) -> IssuedCard | None:
        """The issued card with this printed number."""
        return self._card(cards.c.number == number)

    def cards(self) -> Iterator[bytes]:
        """The UIDs of all issued cards, in bounded memory."""
        return (uid for batch in self.card_batches() for uid in batch)

    def card_batches(self) -> Iterator[list[bytes]]:
        """The same, thousands at a time."""
        return (
            [uid for (uid,) in batch] for batch in self._database.batches(sa.select(cards.c.uid))
        )

    def card_count(self) -> int:
        """How many cards are issued."""
        return self._scalar(sa.select(sa.func.count()).select_from(cards))

    def cards_added(self) -> int:
        """A number that rises whenever a card is added, and only then: while it stands, no new collision can be among them."""
        with self._database.reading() as connection:
            return counter(connection, CARDS_ADDED)

    # States

    def set_states(
        self,
        rule: str,
        batch: Sequence[State],
        *,
        issue: bool = False,
        keep: bool = True,
        now_unix_s: int | None = None,
        shorten: bool = True,
        is_whole: bool = False,
    ) -> Outcome:
        """Give these cards these states, in one transaction. `keep=False` only tells what would become of it.

        Refused are cards that are not issued, unless `issue` issues them. A state that a card has already is no change, nor is taking
        out what was never in. With `now_unix_s` it is found out which cards are in and get an earlier end; unless `shorten`, they keep
        the one they have. With `is_whole` nothing is changed if that or a refusal happens to any card. A UID stands once in a batch,
        which is quickest if sorted by UID.
        """
        with self._database.writing(keep=keep) as connection:
            self._database.stage(connection, ((s.uid, None, s.ends_unix_s, s.is_in) for s in batch))
            refused: frozenset[bytes] = frozenset()
            if issue:
                staged.issue(connection, self._database)
            else:
                refused = staged.unissued(connection)
            number = self._rule_id(connection, rule)
            shorter: frozenset[bytes] = frozenset()
            if now_unix_s is not None:
                shorter = staged.shorter(connection, number, now_unix_s)
            left = refused if shorten else refused | shorter
            if left and is_whole:
                return Outcome(0, refused, shorter=shorter)
            if left:
                rows = ((s.uid, None, s.ends_unix_s, s.is_in) for s in batch if s.uid not in left)
                self._database.stage(connection, rows)
            added, removed = (
                staged.newly_in(connection, number),
                staged.newly_out(connection, number),
            )
            changed = staged.change(connection, self._database, number)
            return Outcome(changed, refused, added, removed, shorter)

    def set_state(self, rule: str, uid: bytes, ends_unix_s: int | None = None) -> bool:
        """Put one issued card in, until this time if one is given; whether that changed anything. RegistryError if it is not issued."""
        return self._set_one(rule, State(uid, is_in=True, ends_unix_s=ends_unix_s))

    def remove_state(self, rule: str, uid: bytes) -> bool:
        """Take one issued card out; whether that changed anything. RegistryError if it is not issued."""
        return self._set_one(rule, State(uid, is_in=False))

    def standings(self, uid: bytes) -> tuple[UnderRule, ...]:
        """How a card stands, by rule; a rule that never had it is left out."""
        with self._database.reading() as connection:
            open_version = counter(connection, OPEN_VERSION)
            found = connection.execute(
                sa.select(rules.c.name, states.c.is_in, states.c.ends_unix_s, states.c.version)
                .join(rules, rules.c.id == states.c.rule)
                .where(states.c.uid == uid, states.c.rule.in_(sa.select(rules.c.id)))
                .order_by(rules.c.id)
            )
            return tuple(
                UnderRule(rule, is_in, ends, version if version < open_version else None)
                for rule, is_in, ends, version in found
            )

    def members(self, rule: str) -> Iterator[State]:
        """Every card that is in, by its last state, pending ones included, by rising UID; in bounded memory."""
        chosen = sa.select(states.c.uid, states.c.ends_unix_s).where(
            states.c.rule == self._known_rule(rule), states.c.is_in
        )
        for uid, ends_unix_s in self._database.stream(chosen.order_by(states.c.uid)):
            yield State(uid, is_in=True, ends_unix_s=ends_unix_s)

    def counts(self) -> tuple[Counts, ...]:
        """Of each rule that ever had a card, how many are in and how many states are pending. Reads every state."""
        with self._database.reading() as connection:
            open_version = counter(connection, OPEN_VERSION)
            pending = sa.case((states.c.version >= open_version, 1), else_=0)
            found = connection.execute(
                sa.select(
                    rules.c.name,
                    sa.func.coalesce(sa.func.sum(sa.case((states.c.is_in, 1), else_=0)), 0),
                    sa.func.coalesce(sa.func.sum(pending), 0),
                )
                .join(states, states.c.rule == rules.c.id, isouter=True)
                .group_by(rules.c.id, rules.c.name)
                .order_by(rules.c.id)
            )
            return tuple(Counts(rule, int(in_), int(waiting)) for rule, in_, waiting in found)

    # List versions

    def pending(self) -> int:
        """How many states have changed since the last claim."""
        with self._database.reading() as connection:
            return _count_after(connection, counter(connection, OPEN_VERSION) - 1)

    def claimed(self) -> int:
        """The newest list version that was claimed; 0 if none was."""
        with self._database.reading() as connection:
            return counter(connection, OPEN_VERSION) - 1

    def claim(self, version: int) -> int:
        """Make everything that is pending part of this list version; how many states that were.

        Claiming the newest claimed version again changes nothing and returns 0: what changed since stays pending. ValueError for a lower one.
        """
        with self._database.writing() as connection:
            newest = counter(connection, OPEN_VERSION) - 1
            if version < max(newest, 1):
                raise ValueError(f"list version {version} cannot be claimed after {newest}")
            if version == newest:
                return 0
            carried = _count_after(connection, newest)
            set_counter(connection, OPEN_VERSION, version + 1)
            connection.execute(sa.delete(outdated))
            return carried

    def changed_rules(self, after: int) -> set[str]:
        """The rules of which the newest claimed version carries a state that was not in version `after`."""
        with self._database.reading() as connection:
            newest = counter(connection, OPEN_VERSION) - 1
            known = connection.execute(sa.select(rules.c.id, rules.c.name)).all()
            return {
                name
                for number, name in known
                if connection.execute(
                    sa.select(
                        sa.exists(_span(states, number, after, newest))
                        | sa.exists(_span(outdated, number, after, newest))
                    )
                ).scalar_one()
            }

    def states(self, rule: str, after: int, up_to: int) -> Iterator[State]:
        """The last state of every card that changed after version `after` up to `up_to`, in no order and in bounded memory.

        `up_to` is the newest claimed version (of what older ones said, only what still holds is kept): ValueError for another.
        Ended suspensions are among them, as in.
        """
        return _each(self.state_batches(rule, after, up_to))

    def state_batches(self, rule: str, after: int, up_to: int) -> Iterator[Sequence[StateRow]]:
        """The same, thousands at a time, each a bare tuple: what tens of thousands of states a second are too slow for."""
        return self._read(rule, up_to, lambda table, number: _span(table, number, after, up_to))

    def snapshot(self, rule: str, up_to: int) -> Iterator[State]:
        """Every card that is in at version `up_to`, the newest claimed one; as `states`."""
        return _each(self.snapshot_batches(rule, up_to))

    def snapshot_batches(self, rule: str, up_to: int) -> Iterator[Sequence[StateRow]]:
        """The same, thousands at a time; as `state_batches`."""

        def chosen(table: sa.Table, number: int) -> sa.Select[Any]:
            # `+ 0`: the way through the index on versions would jump to and fro over the whole table.
            return sa.select(table.c.uid, table.c.is_in, table.c.ends_unix_s).where(
                table.c.rule == number, table.c.version + 0 <= up_to, table.c.is_in
            )

        return self._read(rule, up_to, chosen)

    def forget(self, rule: str, up_to: int, ended_before_unix_s: int = 0) -> int:
        """Drop what no piece will have to say any more: states of versions up to `up_to` that are out, or ended before that time; how many.

        To be called only when every gate that stands at `up_to` or below has to begin with a snapshot: no piece on offer, and none to
        come, has a `from` below `up_to`. What ended is deleted by this time alone, so it is to be one that gates confirm.
        """
        with self._database.writing() as connection:
            gone = sa.delete(states).where(
                states.c.rule == self._rule_id(connection, rule),
                states.c.version <= min(up_to, counter(connection, OPEN_VERSION) - 1),
                sa.not_(states.c.is_in) | (states.c.ends_unix_s < ended_before_unix_s),
            )
            return connection.execute(gone).rowcount

    # Notes

    def get_meta(self, name: str) -> str | None:
        """What was noted under this name, of at most 64 characters."""
        with self._database.reading() as connection:
            found = connection.execute(
                sa.select(notes.c.text).where(notes.c.name == name)
            ).scalar_one_or_none()
            return None if found is None else str(found)

    def set_meta(self, name: str, text: str) -> None:
        """Note something, in place of what was there."""
        with self._database.writing() as connection:
            row = self._database.insert(notes).values(name=name, text=text)
            connection.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"text": row.excluded.text})
            )

    def _card(self, condition: sa.ColumnElement[bool]) -> IssuedCard | None:
        with self._database.reading() as connection:
            found = connection.execute(
                sa.select(cards.c.uid, cards.c.number).where(condition)
            ).one_or_none()
            return None if found is None else IssuedCard(*found)

    def _set_one(self, rule: str, state: State) -> bool:
        outcome = self.set_states(rule, [state])
        if outcome.refused:
            raise RegistryError("no such card is issued")
        return outcome.changed > 0

    def _rule_id(self, connection: sa.Connection, rule: str) -> int:
        known: dict[str, int] = {row.name: row.id for row in connection.execute(sa.select(rules))}
        if rule not in known:
            known[rule] = max(known.values(), default=0) + 1
            connection.execute(sa.insert(rules).values(id=known[rule], name=rule))
        return known[rule]

    def _known_rule(self, rule: str) -> int:
        """The number of a rule; 0, which no rule has, if it never had a card."""
        with self._database.reading() as connection:
            return int(
                connection.scalars(sa.select(rules.c.id).where(rules.c.name == rule)).one_or_none()
                or 0
            )

    def _read(
        self, rule: str, up_to: int, chosen: Callable[[sa.Table, int], sa.Select[Any]]
    ) -> Iterator[Sequence[StateRow]]:
        newest = self.claimed()
        if up_to != newest:
            raise ValueError(
                f"the registry tells of list version {newest}, the newest claimed, not of {up_to}"
            )
        number = self._known_rule(rule)
        # A state that changed since the claim stands in `outdated` as it was, and in `states` under a version above `up_to`.
        both = sa.union_all(chosen(states, number), chosen(outdated, number))
        return self._database.batches(both)

    def _scalar(self, statement: sa.Select[int]) -> int:
        with self._database.reading() as connection:
            return connection.execute(statement).scalar_one()


def _each(batches: Iterable[Sequence[StateRow]]) -> Iterator[State]:
    return (
        State(uid, bool(is_in), ends_unix_s)
        for batch in batches
        for uid, is_in, ends_unix_s in batch
    )


def _span(table: sa.Table, rule: int, after: int, up_to: int) -> sa.Select[Any]:
    return sa.select(table.c.uid, table.c.is_in, table.c.ends_unix_s).where(
        table.c.rule == rule, table.c.version > after, table.c.version <= up_to
    )


def _count_after(connection: sa.Connection, version: int) -> int:
    # By rule, since the index is.
    found = sa.select(sa.func.count()).where(
        states.c.rule.in_(sa.select(rules.c.id)), states.c.version > version
    )
    return int(connection.execute(found).scalar_one())


def _second_uses(batch: Sequence[IssuedCard]) -> set[bytes]:
    """The UIDs of which the number stands earlier in the batch, with another UID."""
    first: dict[int, bytes] = {}
    return {
        card.uid
        for card in batch
        if card.number is not None and first.setdefault(card.number, card.uid) != card.uid
    }
