"""The record of what was published: list versions, and the pieces on offer.

    log.begin(42, now)  # then claim, build, sign, put; each can be done again after a kill
    log.offer("suspended", pieces, key_id, now)
    log.finish(42)

The files are the publisher's; publishing/pieces.py decides what is due.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.registry.schema import pieces, publications


class Kind(IntEnum):
    """The tier of a piece: a higher one spans more and is kept longer."""

    MINUTE = 0
    HOUR = 1
    DAY = 2
    SNAPSHOT = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece that was made. `bytes` and `sha256` are those of its wire file."""

    kind: Kind
    from_version: int
    to_version: int
    bytes: int
    made_unix_s: int
    sha256: str = ""


class Publication(NamedTuple):
    """A list version: when it was issued, in Unix seconds, and whether it is published yet."""

    version: int
    issued_unix_s: int
    is_published: bool


class Retired(NamedTuple):
    """A piece no longer on offer, its rule, and since when, in Unix seconds."""

    rule: str
    piece: Piece
    retired_unix_s: int


class Publications:
    """The record of what was published. Each method is one transaction and may be repeated.

    Every method raises RegistryError.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> Publication | None:
        """The newest list version that has been published."""
        return self._newest(publications.c.is_published)

    def building(self) -> Publication | None:
        """The list version that was begun and is not finished; there is at most one."""
        return self._newest(sa.not_(publications.c.is_published))

    def begin(self, version: int, issued_unix_s: int) -> Publication:
        """Begin a list version, or return it as it was begun before.

        Raises:
            ValueError: Another version is being built, or the version is not a new one.
        """
        with self._database.writing() as connection:
            newest = connection.execute(_BY_VERSION).first()
            if newest is not None and not newest.is_published:
                if newest.version != version:
                    raise ValueError(f"list version {newest.version} is being built, not {version}")
                return Publication(*newest)
            if version < 1 or (newest is not None and version <= newest.version):
                raise ValueError(f"list version {version} is not a new one")
            begun = Publication(version, issued_unix_s, is_published=False)
            connection.execute(sa.insert(publications).values(begun._asdict()))
            return begun

    def finish(self, version: int) -> None:
        """Record that a list version which was begun is published.

        Raises ValueError if it was not begun.
        """
        with self._database.writing() as connection:
            done = (
                sa.update(publications)
                .where(publications.c.version == version)
                .values(is_published=True)
            )
            if connection.execute(done).rowcount != 1:
                raise ValueError(f"list version {version} was not begun")

    def offered(self, rule: str) -> tuple[Piece, ...]:
        """The pieces of a rule that are on offer, by rising (to, from)."""
        chosen = _OFFERED.where(pieces.c.rule == rule).order_by(
            pieces.c.to_version, pieces.c.from_version
        )
        with self._database.reading() as connection:
            return tuple(_piece(row) for row in connection.execute(chosen))

    def key_ids(self, rule: str) -> frozenset[str]:
        """The ids, in hex, of the fingerprint keys of a rule's pieces on offer.

        One, or none before the first list.
        """
        chosen = sa.select(pieces.c.key_id).where(
            pieces.c.rule == rule, pieces.c.retired_unix_s.is_(None)
        )
        with self._database.reading() as connection:
            return frozenset(connection.scalars(chosen))

    def rules(self) -> frozenset[str]:
        """The rules that have pieces on offer."""
        chosen = sa.select(pieces.c.rule).where(pieces.c.retired_unix_s.is_(None))
        with self._database.reading() as connection:
            return frozenset(connection.scalars(chosen))

    def offer(self, rule: str, offered: Iterable[Piece], key_id: str, now_unix_s: int) -> None:
        """Offer these pieces of a rule, made under this key; retire all others of the rule.

        A piece is identified by its span.
        """
        with self._database.writing() as connection:
            retire = sa.update(pieces).where(
                pieces.c.rule == rule, pieces.c.retired_unix_s.is_(None)
            )
            connection.execute(retire.values(retired_unix_s=now_unix_s))
            rows = [
                {
                    "rule": rule,
                    "from_version": piece.from_version,
                    "to_version": piece.to_version,
                    "kind": int(piece.kind),
                    "bytes": piece.bytes,
                    "sha256": piece.sha256,
                    "key_id": key_id,
                    "made_unix_s": piece.made_unix_s,
                    "retired_unix_s": None,
                }
                for piece in offered
            ]
            if rows:
                insert = self._database.insert(pieces)
                renewed = ("kind", "bytes", "sha256", "key_id", "made_unix_s", "retired_unix_s")
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=["rule", "from_version", "to_version"],
                        set_={name: insert.excluded[name] for name in renewed},
                    ),
                    rows,
                )

    def retired(self, before_unix_s: int) -> tuple[Retired, ...]:
        """The pieces retired before a time. A piece on offer may have the same file."""
        chosen = sa.select(pieces).where(pieces.c.retired_unix_s < before_unix_s)
        with self._database.reading() as connection:
            return tuple(
                Retired(row.rule, _piece(row), row.retired_unix_s)
                for row in connection.execute(chosen)
            )

    def date_retired(self, now_unix_s: int) -> None:
        """Date every retired piece as retired now."""
        chosen = sa.update(pieces).where(pieces.c.retired_unix_s.is_not(None))
        with self._database.writing() as connection:
            connection.execute(chosen.values(retired_unix_s=now_unix_s))

    def forget(self, gone: Iterable[Retired]) -> None:
        """Drop the record of retired pieces whose files are deleted.

        A piece on offer again stays.
        """
        with self._database.writing() as connection:
            for rule, piece, _ in gone:
                connection.execute(
                    sa.delete(pieces).where(
                        pieces.c.rule == rule,
                        pieces.c.from_version == piece.from_version,
                        pieces.c.to_version == piece.to_version,
                        pieces.c.retired_unix_s.is_not(None),
                    )
                )

    def _newest(self, condition: sa.ColumnElement[bool]) -> Publication | None:
        with self._database.reading() as connection:
            found = connection.execute(_BY_VERSION.where(condition)).first()
            return None if found is None else Publication(*found)


_BY_VERSION = sa.select(publications).order_by(publications.c.version.desc()).limit(1)
_OFFERED = sa.select(pieces).where(pieces.c.retired_unix_s.is_(None))


def _piece(row: sa.Row[Any]) -> Piece:
    return Piece(
        Kind(row.kind), row.from_version, row.to_version, row.bytes, row.made_unix_s, row.sha256
    )
