"""The registry: which cards are issued, and which of them are under which rule.

    registry = Registry.open("sqlite:////var/lib/turnike/city/registry.db")
    registry.set_states("suspended", [State(uid, is_in=True, ends_unix_s=1_612_137_600)])
    carried = registry.claim(42)  # what changed until now is list version 42
    for states in registry.state_batches("suspended", after=41, up_to=42): ...

A city has one; docs/decisions/0013-registry.md says why it is so. A *state* is the last word about
a card under a rule: in until an end or without one, or taken out. Each change is *pending* until a
list version claims it. What a claimed version carries reads the same until the next claim, whatever
changes meanwhile.

Cards are UIDs; no message and no repr shows one. Every method raises RegistryError.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from backoffice.registry.learning_log import LearningLog
from backoffice.registry.new_cards import NewCardsRecord
from backoffice.registry.publications import Publications
from backoffice.registry.schema import cards, incoming, notes, outdated, rules, states
from backoffice.registry.values import Counts, IssuedCard, Outcome, State, StateRow, UnderRule

__all__ = ["Counts", "IssuedCard", "Outcome", "Registry", "RegistryError", "State", "UnderRule"]


class Registry:
    """The registry of one city. Safe for several processes and threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.publications = Publications(database)
        """What was published; see publications.py."""
        self.learning_log = LearningLog(database)
        """Who learned a card at which gate; see learning_log.py."""
        self.new_cards = NewCardsRecord(database)
        """Which cards were not compared yet; see new_cards.py."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database of this URL, and make its tables if it has none."""
        return cls(Database(url))

    def close(self) -> None:
        """Close the registry. What a method has done is durable when it returns."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Cards issued

    def add_cards(self, batch: Sequence[IssuedCard], *, keep: bool = True) -> Outcome:
        """Issue these cards, in one transaction.

        A card is refused if another card has its number, here or earlier in the batch. A card that
        is issued already gets the number given here, and keeps its number if none is given.

        Args:
            batch: Each UID once; sorted by UID is quickest.
            keep: False: change nothing, and return what would become of the batch.
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
        """Those of these UIDs that no issued card has."""
        with self._database.reading() as connection:
            self._database.stage(connection, ((uid, None, None, None) for uid in uids))
            return staged.unissued(connection)

    def uids_by_number(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """The UIDs of the cards with these printed numbers.

        A number that no card has is left out.
        """
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

    def card_batches(self) -> Iterator[list[bytes]]:
        """The UIDs of all issued cards, thousands at a time."""
        return (
            [uid for (uid,) in batch] for batch in self._database.batches(sa.select(cards.c.uid))
        )

    def card_count(self) -> int:
        """How many cards are issued."""
        return self._scalar(sa.select(sa.func.count()).select_from(cards))

    def cards_added(self) -> int:
        """A counter that rises whenever a card is added.

        While it is unchanged, there is no new collision.
        """
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
        """Give these cards these states, in one transaction.

        A card that is not issued is refused, unless `issue` issues it. A state that a card has
        already is no change, nor is taking out what was never in.

        Args:
            rule: The rule's name.
            batch: Each UID once; sorted by UID is quickest.
            issue: Issue the cards that are not issued.
            keep: False: change nothing, and return what would become of the batch.
            now_unix_s: Find the cards that are in and get an earlier end; None: do not.
            shorten: False: those cards keep the end that they have.
            is_whole: Change nothing if any card is refused or would be shortened.
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

    def standings(self, uid: bytes) -> tuple[UnderRule, ...]:
        """The state of a card under each rule; a rule that never had it is left out."""
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

    def counts(self) -> tuple[Counts, ...]:
        """How many cards are in and how many states are pending, for each rule.

        Reads every state.
        """
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
        """Make everything that is pending part of this list version. Returns how many states.

        Claiming the newest claimed version again changes nothing and returns 0: what changed since
        stays pending. Raises ValueError for a lower version.
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
        """The rules of which the newest claimed version has a state that `after` has not."""
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

    def state_batches(self, rule: str, after: int, up_to: int) -> Iterator[Sequence[StateRow]]:
        """The states that changed after a version, thousands at a time, in no order.

        They are those of versions above `after` up to `up_to`, and memory is bounded. `up_to` must
        be the newest claimed version, else ValueError: of older ones only what still holds is kept.
        Ended suspensions are among them, as in.
        """
        return self._read(rule, up_to, lambda table, number: _span(table, number, after, up_to))

    def snapshot_batches(self, rule: str, up_to: int) -> Iterator[Sequence[StateRow]]:
        """The cards that are in at version `up_to`, as `state_batches`."""

        def chosen(table: sa.Table, number: int) -> sa.Select[Any]:
            # `+ 0` keeps the planner from the index on versions, which reads the table at random.
            return sa.select(table.c.uid, table.c.is_in, table.c.ends_unix_s).where(
                table.c.rule == number, table.c.version + 0 <= up_to, table.c.is_in
            )

        return self._read(rule, up_to, chosen)

    def forget(self, rule: str, up_to: int, ended_before_unix_s: int = 0) -> int:
        """Delete states that no piece will have to carry again. Returns how many.

        These are states of versions up to `up_to` that are out, or ended before
        `ended_before_unix_s`. Call it only when every gate at `up_to` or below must begin with a
        snapshot: no piece on offer, and none to come, has a `from` below `up_to`. The time alone
        deletes what ended, so pass one that gates confirm.
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
        """The note of this name, of at most 64 characters; None if there is none."""
        with self._database.reading() as connection:
            found = connection.execute(
                sa.select(notes.c.text).where(notes.c.name == name)
            ).scalar_one_or_none()
            return None if found is None else str(found)

    def set_meta(self, name: str, text: str) -> None:
        """Keep a note, in place of the one before."""
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

    def _rule_id(self, connection: sa.Connection, rule: str) -> int:
        known: dict[str, int] = {row.name: row.id for row in connection.execute(sa.select(rules))}
        if rule not in known:
            known[rule] = max(known.values(), default=0) + 1
            connection.execute(sa.insert(rules).values(id=known[rule], name=rule))
        return known[rule]

    def _known_rule(self, rule: str) -> int:
        """The id of a rule; 0, which no rule has, if it never had a card."""
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
                f"list version {up_to} cannot be read: {newest} is the newest that was claimed"
            )
        number = self._known_rule(rule)
        # A state that changed since the claim is in `outdated` as it was, and in `states` under a
        # version above `up_to`.
        both = sa.union_all(chosen(states, number), chosen(outdated, number))
        return self._database.batches(both)

    def _scalar(self, statement: sa.Select[int]) -> int:
        with self._database.reading() as connection:
            return connection.execute(statement).scalar_one()


def _span(table: sa.Table, rule: int, after: int, up_to: int) -> sa.Select[Any]:
    return sa.select(table.c.uid, table.c.is_in, table.c.ends_unix_s).where(
        table.c.rule == rule, table.c.version > after, table.c.version <= up_to
    )


def _count_after(connection: sa.Connection, version: int) -> int:
    # By rule, as the index is.
    found = sa.select(sa.func.count()).where(
        states.c.rule.in_(sa.select(rules.c.id)), states.c.version > version
    )
    return int(connection.execute(found).scalar_one())


def _second_uses(batch: Sequence[IssuedCard]) -> set[bytes]:
    """The UIDs whose number another UID has earlier in the batch."""
    first: dict[int, bytes] = {}
    return {
        card.uid
        for card in batch
        if card.number is not None and first.setdefault(card.number, card.uid) != card.uid
    }
