"""Reports as the city holds them: who may send them, what was sent, and what is missing. Exactly once, by the report's id.

    store = ReportStore.open("sqlite:////var/lib/turnike/city/registry.db")
    store.add("kadikoy-03", reports, now_unix_s)     # {"<id>": Answer("stored")}
    store.outboxes()                                 # what is missing of each outbox

Every method raises RegistryError. Nothing here can open what is sealed.
"""

import hashlib
import secrets
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.gate_statuses import AHEAD_S_MAX, Heard, keep_status
from backoffice.reports.schema import (
    enrolments,
    exports,
    forgotten,
    forgotten_numbers,
    gates,
    nonces,
    reports,
    statuses,
)
from backoffice.reports.witnesses import Witnessed, witnessed
from validator.reports.signed_request import Speaker
from validator.reports.stored_report import StoredReport

GAPS_MAX = 10_000  # a gate that has gone mad may leave any number
TOKEN_BYTES = 20
TOKEN_VALID_S = 7 * 86_400
STORED, ALREADY, REJECTED = "stored", "already", "rejected"


class Answer(NamedTuple):
    """What became of a report."""

    result: str
    reason: str = ""


class OutboxView(NamedTuple):
    """One outbox of a gate: how many reports came of it, which number is the highest, how many below it never came, and how many it refused."""

    gate_id: str
    lane: int
    outbox_id: str
    received: int
    newest_seq: int
    missing: int
    refused: int
    newest_unix_s: int


class Gap(NamedTuple):
    """Numbers of an outbox that never came, though later ones did."""

    gate_id: str
    outbox_id: str
    first_seq: int
    last_seq: int


class Export(NamedTuple):
    """One export, as the log has it."""

    number: int
    at_unix_s: int
    who: str
    to: str
    from_unix_s: int
    up_to_unix_s: int
    reports: int
    sha256: str


class EnrolmentError(Exception):
    """This gate is not enrolled by that; the message is one clear line."""


class ReportStore:
    """The reports of one city. Safe for several processes at once, and for several threads of one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open it, and make its tables if there are none."""
        return cls(Database(url))

    def close(self) -> None:
        """Give it up; what a method has done is durable when it returns."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Gates

    def invite(self, gate_id: str, now_unix_s: int, valid_s: int = TOKEN_VALID_S) -> str:
        """A token with which this gate, and no other, enrols itself, once."""
        token = secrets.token_hex(TOKEN_BYTES)
        row = {
            "token_hash": _hash(token),
            "gate_id": gate_id,
            "expires_unix_s": now_unix_s + valid_s,
        }
        with self._database.writing() as connection:
            # Those of other gates stay, also when they have ended: this clock may be wrong. There is one a gate at most.
            connection.execute(sa.delete(enrolments).where(enrolments.c.gate_id == gate_id))
            connection.execute(sa.insert(enrolments).values(row))
        return token

    def enrol(self, gate_id: str, token: str, public_key: bytes, now_unix_s: int) -> bool:
        """Let this gate speak with this key from now on; an older key of it is void.

        The same key again is no fault: the answer to the first time may have been lost on the way.

        Returns:
            Whether the token was valid; False if it was not, and this key is enrolled already.

        Raises:
            EnrolmentError: the token is not valid, and the gate is not enrolled with this key.
        """
        with self._database.writing() as connection:
            known = connection.execute(
                sa.select(gates).where(gates.c.gate_id == gate_id)
            ).one_or_none()
            invited = connection.execute(
                sa.delete(enrolments).where(
                    enrolments.c.token_hash == _hash(token),
                    enrolments.c.gate_id == gate_id,
                    # One that ends later than any made now would was made by a clock that ran ahead: it would be valid for too long.
                    enrolments.c.expires_unix_s.between(
                        now_unix_s, now_unix_s + TOKEN_VALID_S + AHEAD_S_MAX
                    ),
                )
            ).rowcount
            if (
                known is not None
                and known.public_key == public_key
                and known.struck_off_unix_s is None
            ):
                return bool(invited)
            if not invited:
                raise EnrolmentError(f"{gate_id}: this token enrols no such gate, or not any more")
            row = {
                "public_key": public_key,
                "enrolled_unix_s": now_unix_s,
                "struck_off_unix_s": None,
            }
            insert = self._database.insert(gates).values(gate_id=gate_id, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=["gate_id"], set_=row))
            # What the one before said of itself, with whatever clock, silences this one no more.
            connection.execute(sa.delete(statuses).where(statuses.c.gate_id == gate_id))
            connection.execute(sa.delete(nonces).where(nonces.c.gate_id == gate_id))
            return True

    def strike_off(self, gate_id: str, now_unix_s: int) -> bool:
        """Hear this gate no more, until it is invited again; whether it was heard."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(enrolments).where(enrolments.c.gate_id == gate_id))
            struck = sa.update(gates).where(
                gates.c.gate_id == gate_id, gates.c.struck_off_unix_s.is_(None)
            )
            return bool(connection.execute(struck.values(struck_off_unix_s=now_unix_s)).rowcount)

    def public_key(self, gate_id: str) -> bytes | None:
        """The key with which this gate speaks; None if it may not."""
        chosen = sa.select(gates.c.public_key).where(
            gates.c.gate_id == gate_id, gates.c.struck_off_unix_s.is_(None)
        )
        with self._database.reading() as connection:
            key = connection.execute(chosen).scalar_one_or_none()
            return None if key is None else bytes(key)

    def keep_status(self, speaker: Speaker, now_unix_s: int, status: str) -> Heard:
        """Keep how a gate fares; see gate_statuses.py."""
        return keep_status(self._database, speaker, now_unix_s, status)

    def set_status(self, gate_id: str, created_unix_s: int, now_unix_s: int, status: str) -> bool:
        """The same for a gate that was never given a nonce: not kept if it is not newer by the gate's clock."""
        return self.keep_status(Speaker(gate_id, created_unix_s), now_unix_s, status).kept

    def witnessed(self) -> Witnessed:
        """What the gates have said of the time."""
        return witnessed(self._database)

    def gate_rows(self) -> list[Mapping[str, Any]]:
        """Each gate, with what it said last of itself."""
        joined = gates.outerjoin(statuses, statuses.c.gate_id == gates.c.gate_id)
        chosen = (
            sa.select(
                gates.c.gate_id,
                gates.c.enrolled_unix_s,
                gates.c.struck_off_unix_s,
                statuses.c.received_unix_s,
                statuses.c.status,
            )
            .select_from(joined)
            .order_by(gates.c.gate_id)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(chosen)]  # noqa: SLF001 — SQLAlchemy's own word for it

    # Reports

    def add(self, gate_id: str, sent: Sequence[StoredReport], now_unix_s: int) -> dict[str, Answer]:
        """Store what is new, in one transaction; what became of each, by its id. A report of another gate is rejected."""
        answers = {
            report.report_id: Answer(REJECTED, "it is another gate's report")
            for report in sent
            if report.gate_id != gate_id
        }
        ours = {report.report_id: report for report in sent if report.gate_id == gate_id}
        if not ours:
            return answers
        insert = (
            self._database.insert(reports).on_conflict_do_nothing().returning(reports.c.report_id)
        )
        with self._database.adding() as connection:
            # Not before the end of the last export: if this clock went back since, the report would be in no export ever.
            exported_unix_s = connection.execute(_EXPORTED_UP_TO).scalar_one() or 0
            rows = [_row(report, max(now_unix_s, exported_unix_s)) for report in ours.values()]
            stored = set(connection.scalars(insert, rows))
            again = self._take_back(connection, gate_id, [ours[report_id] for report_id in stored])
            rest = ours.keys() - stored
            stored -= again
            known: set[str] = set()
            if rest:
                same = sa.select(reports.c.report_id).where(
                    reports.c.report_id.in_(rest), reports.c.gate_id == gate_id
                )
                known = set(connection.scalars(same))
            known |= again
        for report_id in ours:
            if report_id in stored:
                answers[report_id] = Answer(STORED)
            elif report_id in known:
                answers[report_id] = Answer(ALREADY)
            else:
                answers[report_id] = Answer(REJECTED, "another report has its number")
        return answers

    def _take_back(
        self, connection: sa.Connection, gate_id: str, stored: Sequence[StoredReport]
    ) -> set[str]:
        """Of these, just stored, those that were held before and forgotten, by their numbers: they are not held again; their ids.

        Looked for after they were stored: the same report is there until the transaction is over that forgets it, and its numbers are known then.
        """
        gone = forgotten_numbers.c
        chosen = sa.select(gone.outbox_id, gone.first_seq, gone.last_seq).where(
            gone.gate_id == gate_id,
            gone.outbox_id.in_({report.outbox_id for report in stored}),
            gone.last_seq >= min((report.seq for report in stored), default=0),
            gone.first_seq <= max((report.seq for report in stored), default=0),
        )
        ranges = connection.execute(chosen).all() if stored else []
        again = {
            report.report_id
            for report in stored
            for of in ranges
            if of.outbox_id == report.outbox_id and of.first_seq <= report.seq <= of.last_seq
        }
        if again:
            connection.execute(sa.delete(reports).where(reports.c.report_id.in_(again)))
        return again

    def outboxes(self) -> list[OutboxView]:
        """Each outbox, with what is missing of it: those of a gate in the order in which they were first heard of, whatever its clock said."""
        by = (reports.c.gate_id, reports.c.outbox_id)
        grouped = (
            sa.select(
                *by,
                sa.func.max(reports.c.lane).label("lane"),
                sa.func.count().label("count"),
                sa.func.max(reports.c.seq).label("seq"),
                sa.func.sum(reports.c.refused_before).label("refused"),
                sa.func.max(reports.c.unix_s).label("unix_s"),
                sa.func.min(reports.c.received_unix_s).label("received_unix_s"),
            )
            .group_by(*by)
            .subquery()
        )
        gone = forgotten.c
        joined = grouped.outerjoin(
            forgotten, (gone.gate_id == grouped.c.gate_id) & (gone.outbox_id == grouped.c.outbox_id)
        )
        chosen = sa.select(
            grouped,
            sa.func.coalesce(gone.count, 0).label("gone"),
            sa.func.coalesce(gone.refused, 0).label("gone_refused"),
            sa.func.coalesce(gone.seq, 0).label("gone_seq"),
        ).select_from(joined)
        in_order = (grouped.c.gate_id, grouped.c.received_unix_s, grouped.c.unix_s)
        with self._database.reading() as connection:
            return [
                OutboxView(
                    row.gate_id,
                    row.lane,
                    row.outbox_id,
                    row.count + row.gone,
                    newest := max(row.seq, row.gone_seq),
                    newest - row.count - row.gone,
                    int(row.refused) + row.gone_refused,
                    row.unix_s,
                )
                for row in connection.execute(chosen.order_by(*in_order))
            ]

    def gaps(self) -> list[Gap]:
        """The numbers that are missing between those that are held, in order; GAPS_MAX at most. A gap below what was forgotten is in `missing` alone."""
        of = (reports.c.gate_id, reports.c.outbox_id)
        before = sa.func.lag(reports.c.seq).over(partition_by=of, order_by=reports.c.seq)
        held = sa.select(*of, reports.c.seq, before.label("before")).subquery()
        gone = forgotten.c
        joined = held.outerjoin(
            forgotten, (gone.gate_id == held.c.gate_id) & (gone.outbox_id == held.c.outbox_id)
        )
        last = sa.func.coalesce(held.c.before, gone.seq, 0)
        chosen = (
            sa.select(held.c.gate_id, held.c.outbox_id, last + 1, held.c.seq - 1)
            .select_from(joined)
            .where(held.c.seq - last > 1)
            .order_by(held.c.gate_id, held.c.outbox_id, held.c.seq)
            .limit(GAPS_MAX)
        )
        with self._database.reading() as connection:
            return [Gap(*row) for row in connection.execute(chosen)]

    def select(
        self, from_unix_s: int, up_to_unix_s: int
    ) -> Generator[Mapping[str, Any], None, None]:
        """The reports received in [from, up to), oldest first, in bounded memory; `selected` in each is how many they are."""

        def in_period(table: sa.FromClause) -> sa.ColumnElement[bool]:
            received = table.c.received_unix_s
            return (received >= from_unix_s) & (received < up_to_unix_s)

        # Counted by the same statement: a second one might see another state of the database.
        counted = reports.alias()
        count = (
            sa.select(sa.func.count())
            .select_from(counted)
            .where(in_period(counted))
            .scalar_subquery()
        )
        chosen = sa.select(reports, count.label("selected")).where(in_period(reports))
        names = [*reports.c.keys(), "selected"]
        for row in self._database.stream(
            chosen.order_by(reports.c.received_unix_s, reports.c.report_id)
        ):
            yield dict(zip(names, row, strict=True))

    def oldest_unix_s(self, before_unix_s: int, now_unix_s: int) -> int | None:
        """When the first of the reports came that came before this; see `forget`."""
        came = _came_unix_s(now_unix_s)
        chosen = sa.select(sa.func.min(came)).where(
            reports.c.received_unix_s < before_unix_s, came < before_unix_s
        )
        with self._database.reading() as connection:
            oldest = connection.execute(chosen).scalar_one()
            return None if oldest is None else int(oldest)

    def count(self) -> int:
        """How many reports are held."""
        with self._database.reading() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(reports)).scalar_one()
            )

    def forget(self, came_before_unix_s: int, now_unix_s: int = 0) -> int:
        """Delete the reports whose time has come; how many. What they said of gaps is kept.

        One came no earlier than its gate says that it was made: a server clock that was years behind dated it so, and is right now.
        What a gate says is not believed if it is later than now.
        """
        # The first of the two is what the index knows; nothing came before it was received.
        old = (reports.c.received_unix_s < came_before_unix_s) & (
            _came_unix_s(now_unix_s) < came_before_unix_s
        )
        by = (reports.c.gate_id, reports.c.outbox_id)
        summed = sa.select(
            *by, sa.func.count(), sa.func.sum(reports.c.refused_before), sa.func.max(reports.c.seq)
        ).where(old)
        with self._database.writing() as connection:
            if self._database.is_sqlite:  # else the bytes stay in free pages of the file
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            self._note_numbers(connection, old)
            insert = self._database.insert(forgotten).from_select(
                list(forgotten.c.keys()), summed.group_by(*by)
            )
            new, was = insert.excluded, forgotten.c
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["gate_id", "outbox_id"],
                    set_={
                        "count": was.count + new.count,
                        "refused": was.refused + new.refused,
                        "seq": sa.case((new.seq > was.seq, new.seq), else_=was.seq),
                    },
                )
            )
            return connection.execute(sa.delete(reports).where(old)).rowcount

    def _note_numbers(self, connection: sa.Connection, old: sa.ColumnElement[bool]) -> None:
        """Write down which numbers are about to be forgotten: a range that is there already grows, so that there are few."""
        of = (reports.c.gate_id, reports.c.outbox_id)
        place = sa.func.row_number().over(partition_by=of, order_by=reports.c.seq)
        numbered = (
            sa.select(*of, reports.c.seq, (reports.c.seq - place).label("island"))
            .where(old)
            .subquery()
        )
        first, last = (
            sa.func.min(numbered.c.seq).label("first"),
            sa.func.max(numbered.c.seq).label("last"),
        )
        by = (numbered.c.gate_id, numbered.c.outbox_id)
        islands = connection.execute(
            sa.select(*by, first, last).group_by(*by, numbered.c.island)
        ).all()
        gone = forgotten_numbers.c
        for island in islands:
            grown = sa.update(forgotten_numbers).where(
                gone.gate_id == island.gate_id,
                gone.outbox_id == island.outbox_id,
                gone.last_seq == island.first - 1,
            )
            if not connection.execute(grown.values(last_seq=island.last)).rowcount:
                connection.execute(sa.insert(forgotten_numbers).values(tuple(island)))

    # Exports

    def log_export(self, export: Export) -> int:
        """Write down who took what out, before it is handed over; its number."""
        row = export._asdict()
        del row["number"]
        with self._database.writing() as connection:
            return int(
                connection.execute(
                    sa.insert(exports).values(row).returning(exports.c.number)
                ).scalar_one()
            )

    def export_log(self) -> list[Export]:
        """Every export there was."""
        with self._database.reading() as connection:
            return [
                Export(*row)
                for row in connection.execute(sa.select(exports).order_by(exports.c.number))
            ]


_EXPORTED_UP_TO = sa.select(sa.func.max(exports.c.up_to_unix_s))


def _came_unix_s(now_unix_s: int) -> sa.ColumnElement[int]:
    made, received = reports.c.unix_s, reports.c.received_unix_s
    return sa.case(((made > received) & (made <= now_unix_s), made), else_=received)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _row(report: StoredReport, now_unix_s: int) -> dict[str, Any]:
    row = {name: getattr(report, name) for name in report.__struct_fields__}
    return row | {"kind": report.kind.value, "received_unix_s": now_unix_s}
