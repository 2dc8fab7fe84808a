"""The reports of a city: which gates may send, what they sent, and what is missing.

    store = ReportStore.open("sqlite:////var/lib/turnike/city/registry.db")
    store.add("kadikoy-03", reports, now_unix_s)     # {"<id>": Answer("stored")}
    store.outboxes()                                 # what is missing of each outbox

Each report is stored exactly once, by its id. Every method raises RegistryError. Nothing here can
open what is sealed.
"""

import hashlib
import secrets
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports import learning_orders
from backoffice.reports.deletion import forget, oldest_unix_s, take_back
from backoffice.reports.gate_statuses import AHEAD_S_MAX, Heard, keep_status
from backoffice.reports.learning_orders import WaitingOrder
from backoffice.reports.outboxes import Gap, OutboxView, gaps_of, outboxes_of
from backoffice.reports.schema import (
    enrolments,
    exports,
    gates,
    nonces,
    reports,
    statuses,
)
from backoffice.reports.witnesses import Witnessed, witnessed
from validator.learning.answer import Answer as LearningAnswer
from validator.learning.signed_text import SignedText
from validator.reports.signed_request import Speaker
from validator.reports.stored_report import StoredReport

TOKEN_BYTES = 20
TOKEN_VALID_S = 7 * 86_400


STORED, ALREADY, REJECTED = "stored", "already", "rejected"


class Answer(NamedTuple):
    """What became of a report: STORED, ALREADY or REJECTED, and why it was rejected."""

    result: str
    reason: str = ""


class Export(NamedTuple):
    """One export, a row of the log."""

    number: int
    at_unix_s: int
    who: str
    to: str
    from_unix_s: int
    up_to_unix_s: int
    reports: int
    sha256: str


class EnrolmentError(Exception):
    """The token enrols no such gate. The message is one line."""


class ReportStore:
    """The reports of one city. Safe for several processes and threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the database of this URL, and make its tables if it has none."""
        return cls(Database(url))

    def close(self) -> None:
        """Close the database. What a method has done is durable when it returns."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Gates

    def invite(self, gate_id: str, now_unix_s: int, valid_s: int = TOKEN_VALID_S) -> str:
        """Make a token with which this gate, and no other, enrols once."""
        token = secrets.token_hex(TOKEN_BYTES)
        row = {
            "token_hash": _hash(token),
            "gate_id": gate_id,
            "expires_unix_s": now_unix_s + valid_s,
        }
        with self._database.writing() as connection:
            # Tokens of other gates stay, expired ones too: this clock may be wrong. A gate has one.
            connection.execute(sa.delete(enrolments).where(enrolments.c.gate_id == gate_id))
            connection.execute(sa.insert(enrolments).values(row))
        return token

    def enrol(self, gate_id: str, token: str, public_key: bytes, now_unix_s: int) -> bool:
        """Accept this key of a gate from now on; an older key of the gate is void.

        The same key again is no error: the gate may not have received the first answer.

        Returns:
            Whether the token was valid; False if it was not, and this key is enrolled already.

        Raises:
            EnrolmentError: The token is not valid, and the gate is not enrolled with this key.
        """
        with self._database.writing() as connection:
            known = connection.execute(
                sa.select(gates).where(gates.c.gate_id == gate_id)
            ).one_or_none()
            invited = connection.execute(
                sa.delete(enrolments).where(
                    enrolments.c.token_hash == _hash(token),
                    enrolments.c.gate_id == gate_id,
                    # A token that expires later than one made now was made by a clock that ran
                    # ahead, and would be valid for too long.
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
            # A status of the gate before, from whatever clock, must not block this gate's.
            connection.execute(sa.delete(statuses).where(statuses.c.gate_id == gate_id))
            connection.execute(sa.delete(nonces).where(nonces.c.gate_id == gate_id))
            return True

    def strike_off(self, gate_id: str, now_unix_s: int) -> bool:
        """Accept nothing of this gate until it is invited again.

        Returns whether it was enrolled.
        """
        with self._database.writing() as connection:
            connection.execute(sa.delete(enrolments).where(enrolments.c.gate_id == gate_id))
            struck = sa.update(gates).where(
                gates.c.gate_id == gate_id, gates.c.struck_off_unix_s.is_(None)
            )
            return bool(connection.execute(struck.values(struck_off_unix_s=now_unix_s)).rowcount)

    def public_key(self, gate_id: str) -> bytes | None:
        """The public key of this gate, 32 bytes; None if it may not send."""
        chosen = sa.select(gates.c.public_key).where(
            gates.c.gate_id == gate_id, gates.c.struck_off_unix_s.is_(None)
        )
        with self._database.reading() as connection:
            key = connection.execute(chosen).scalar_one_or_none()
            return None if key is None else bytes(key)

    def keep_status(self, speaker: Speaker, now_unix_s: int, status: str) -> Heard:
        """Keep a gate's status; see gate_statuses.py."""
        return keep_status(self._database, speaker, now_unix_s, status)

    def witnessed(self) -> Witnessed:
        """The times that gates have signed; see witnesses.py."""
        return witnessed(self._database)

    def gate_rows(self) -> list[Mapping[str, Any]]:
        """Each gate, with its last status."""
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
            found = connection.execute(chosen)
            return [dict(row._mapping) for row in found]  # noqa: SLF001 public in SQLAlchemy

    # Learning a card; see learning_orders.py

    def put_order(self, gate_id: str, waiting: WaitingOrder, now_unix_s: int) -> None:
        """Put an order where the gate will find it. Raises OrderBusyError."""
        learning_orders.put_order(self._database, gate_id, waiting, now_unix_s)

    def open_order(self, gate_id: str, now_unix_s: int) -> SignedText | None:
        """The order that this gate has not taken yet."""
        return learning_orders.open_order(self._database, gate_id, now_unix_s)

    def put_answer(self, gate_id: str, answer: LearningAnswer, signed: SignedText) -> bool:
        """Keep an answer of a gate. Returns whether it was kept."""
        return learning_orders.put_answer(self._database, gate_id, answer, signed)

    def answer_to(self, gate_id: str, request_id: str) -> SignedText | None:
        """The newest answer to an order, unchecked."""
        return learning_orders.answer_to(self._database, gate_id, request_id)

    def withdraw(self, gate_id: str, request_id: str) -> None:
        """Delete an order and its answer."""
        learning_orders.withdraw(self._database, gate_id, request_id)

    # Reports

    def add(self, gate_id: str, sent: Sequence[StoredReport], now_unix_s: int) -> dict[str, Answer]:
        """Store what is new, in one transaction. Returns what became of each report, by its id.

        A report of another gate is rejected.
        """
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
            # Date no report before the end of the last export: if this clock went back since then,
            # the report would be in no export.
            exported_unix_s = connection.execute(_EXPORTED_UP_TO).scalar_one() or 0
            rows = [_row(report, max(now_unix_s, exported_unix_s)) for report in ours.values()]
            stored = set(connection.scalars(insert, rows))
            again = take_back(connection, gate_id, [ours[report_id] for report_id in stored])
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

    def outboxes(self) -> list[OutboxView]:
        """Each outbox, with what is missing of it; see outboxes.py."""
        return outboxes_of(self._database)

    def gaps(self) -> list[Gap]:
        """The numbers that never came; see outboxes.py."""
        return gaps_of(self._database)

    def select(
        self, from_unix_s: int, up_to_unix_s: int
    ) -> Generator[Mapping[str, Any], None, None]:
        """The reports received in [from, up to), oldest first, in bounded memory.

        `selected` in each row is how many rows there are.
        """

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

    def count(self) -> int:
        """How many reports are stored."""
        with self._database.reading() as connection:
            return int(
                connection.execute(sa.select(sa.func.count()).select_from(reports)).scalar_one()
            )

    def oldest_unix_s(self, before_unix_s: int, now_unix_s: int) -> int | None:
        """When the first report came that `forget` would delete; see reports/deletion.py."""
        return oldest_unix_s(self._database, before_unix_s, now_unix_s)

    def forget(self, came_before_unix_s: int, now_unix_s: int = 0) -> int:
        """Delete the reports that came before this; see reports/deletion.py."""
        return forget(self._database, came_before_unix_s, now_unix_s)

    # Exports

    def log_export(self, export: Export) -> int:
        """Log an export before its file can be read. Returns its number."""
        row = export._asdict()
        del row["number"]
        with self._database.writing() as connection:
            return int(
                connection.execute(
                    sa.insert(exports).values(row).returning(exports.c.number)
                ).scalar_one()
            )

    def export_log(self) -> list[Export]:
        """Every export, in order."""
        with self._database.reading() as connection:
            return [
                Export(*row)
                for row in connection.execute(sa.select(exports).order_by(exports.c.number))
            ]


_EXPORTED_UP_TO = sa.select(sa.func.max(exports.c.up_to_unix_s))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _row(report: StoredReport, now_unix_s: int) -> dict[str, Any]:
    row = {name: getattr(report, name) for name in report.__struct_fields__}
    return row | {"kind": report.kind.value, "received_unix_s": now_unix_s}
