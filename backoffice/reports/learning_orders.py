"""Orders to learn a card, on their way to gates, and the gates' answers. Nothing here is believed.

    put_order(database, gate_id, waiting)      # the operator's command
    open_order(database, gate_id, now_unix_s)  # the receiver, in the answer to a status
    put_answer(database, gate_id, answer, …)   # the receiver, when the gate answers

A gate has one order at a time. The database is the receiver's, where an intruder may write: the
lane checks who signed the order, and the operator's command who signed the answer.
"""

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.schema import learning_orders
from validator.learning.answer import Answer, State
from validator.learning.signed_text import SignedText

ASKED = "asked"
_OPEN = (ASKED, State.WAITING.value)
_signed = msgspec.json.Decoder(SignedText, strict=True)


class WaitingOrder(NamedTuple):
    """An order for which somebody waits until `ends_unix_s`."""

    request_id: str
    signed: SignedText
    accept_until_unix_s: int
    ends_unix_s: int


class OrderBusyError(Exception):
    """The gate has an order for which somebody waits until `ends_unix_s`."""

    def __init__(self, ends_unix_s: int) -> None:
        super().__init__(ends_unix_s)
        self.ends_unix_s = ends_unix_s


def put_order(database: Database, gate_id: str, waiting: WaitingOrder, now_unix_s: int) -> None:
    """Put an order where the gate will find it. Raises OrderBusyError, RegistryError."""
    row = {
        "request_id": waiting.request_id,
        "signed_order": msgspec.json.encode(waiting.signed).decode(),
        "accept_until_unix_s": waiting.accept_until_unix_s,
        "ends_unix_s": waiting.ends_unix_s,
        "state": ASKED,
        "signed_answer": "",
    }
    with database.writing() as connection:
        busy = sa.select(learning_orders.c.ends_unix_s).where(
            learning_orders.c.gate_id == gate_id,
            learning_orders.c.state.in_(_OPEN),
            learning_orders.c.ends_unix_s > now_unix_s,
        )
        if (ends_unix_s := connection.execute(busy).scalar_one_or_none()) is not None:
            raise OrderBusyError(int(ends_unix_s))
        insert = database.insert(learning_orders).values(gate_id=gate_id, **row)
        connection.execute(insert.on_conflict_do_update(index_elements=["gate_id"], set_=row))


def open_order(database: Database, gate_id: str, now_unix_s: int) -> SignedText | None:
    """The order that this gate has not taken yet; None if there is none. Raises RegistryError."""
    chosen = sa.select(learning_orders.c.signed_order).where(
        learning_orders.c.gate_id == gate_id,
        learning_orders.c.state == ASKED,
        learning_orders.c.accept_until_unix_s >= now_unix_s,
    )
    with database.reading() as connection:
        text = connection.execute(chosen).scalar_one_or_none()
    return None if text is None else _decoded(text)


def put_answer(database: Database, gate_id: str, answer: Answer, signed: SignedText) -> bool:
    """Keep an answer, unless it is to another order, or one came after which none follows.

    Returns whether it was kept. Raises RegistryError.
    """
    statement = (
        sa.update(learning_orders)
        .where(
            learning_orders.c.gate_id == gate_id,
            learning_orders.c.request_id == answer.request_id,
            learning_orders.c.state.in_(_OPEN),
        )
        .values(state=answer.state.value, signed_answer=msgspec.json.encode(signed).decode())
    )
    with database.writing() as connection:
        return bool(connection.execute(statement).rowcount)


def answer_to(database: Database, gate_id: str, request_id: str) -> SignedText | None:
    """The newest answer to an order, unchecked; None if there is none. Raises RegistryError."""
    chosen = sa.select(learning_orders.c.signed_answer).where(
        learning_orders.c.gate_id == gate_id, learning_orders.c.request_id == request_id
    )
    with database.reading() as connection:
        text = connection.execute(chosen).scalar_one_or_none()
    return _decoded(text) if text else None


def withdraw(database: Database, gate_id: str, request_id: str) -> None:
    """Delete an order and its answer: nobody waits any more. Raises RegistryError."""
    with database.writing() as connection:
        connection.execute(
            sa.delete(learning_orders).where(
                learning_orders.c.gate_id == gate_id, learning_orders.c.request_id == request_id
            )
        )


def _decoded(text: str) -> SignedText | None:
    try:
        return _signed.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # an intruder wrote it
