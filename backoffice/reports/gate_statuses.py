"""The last status of each gate: each status is kept once, in the order of arrival.

    heard = keep_status(database, Speaker("kadikoy-03", created_unix_s, nonce), now_unix_s, "{...}")
    heard.kept, heard.next_nonce

An attacker on the way can send a signed status again. It must neither replace a newer one nor count
as a sign of life. The gate's clock cannot tell the two apart: it may have been ahead, or have begun
again in 1970. So each status is signed with a nonce, which came with the answer to the one before
and is good once. docs/decisions/0016 names the alternatives.
"""

import secrets
from typing import NamedTuple

import sqlalchemy as sa

from backoffice.registry.database import Database
from backoffice.reports.schema import nonces, statuses
from validator.reports.signed_request import Speaker

AHEAD_S_MAX = 86_400  # a gate's time further ahead of this clock counts as now plus a day
# How long a nonce is good. A gate sends four statuses in that time at least; one that is held back
# for longer is worthless.
NONCE_S = 3_600
_NONCE_BYTES = 16


class Heard(NamedTuple):
    """Whether a status was kept, and the nonce for the next one.

    The nonce is None for a gate whose program has no nonces.
    """

    kept: bool
    next_nonce: str | None = None


def keep_status(database: Database, speaker: Speaker, now_unix_s: int, status: str) -> Heard:
    """Keep a gate's status, unless it was received before. Raises RegistryError."""
    created_unix_s = min(speaker.created_unix_s, now_unix_s + AHEAD_S_MAX)
    row = {"created_unix_s": created_unix_s, "received_unix_s": now_unix_s, "status": status}
    insert = database.insert(statuses).values(gate_id=speaker.gate_id, **row)
    with database.adding() as connection:
        if not speaker.nonce:
            if connection.execute(_HAS_USED_ONE, {"gate_id": speaker.gate_id}).first() is not None:
                return Heard(kept=False)
            # An old program without nonces: only its own clock can order its statuses.
            newer = statuses.c.created_unix_s < created_unix_s
            kept = insert.on_conflict_do_update(index_elements=["gate_id"], set_=row, where=newer)
            return Heard(kept=bool(connection.execute(kept).rowcount))
        following = secrets.token_hex(_NONCE_BYTES)
        if not _take(connection, speaker, following, now_unix_s):
            return Heard(
                kept=False,
                next_nonce=_open_nonce(database, connection, speaker.gate_id, now_unix_s),
            )
        connection.execute(insert.on_conflict_do_update(index_elements=["gate_id"], set_=row))
        return Heard(kept=True, next_nonce=following)


def _take(connection: sa.Connection, speaker: Speaker, following: str, now_unix_s: int) -> bool:
    """Replace the nonce if it is the one that was given out.

    Of two statuses at once, one succeeds.
    """
    statement = (
        sa.update(nonces)
        .where(nonces.c.gate_id == speaker.gate_id, nonces.c.nonce == speaker.nonce)
        # A nonce of the future was given out by a clock that ran ahead.
        .where(nonces.c.issued_unix_s.between(now_unix_s - NONCE_S, now_unix_s))
        .values(nonce=following, issued_unix_s=now_unix_s, is_used=True)
    )
    return bool(connection.execute(statement).rowcount)


def _open_nonce(
    database: Database, connection: sa.Connection, gate_id: str, now_unix_s: int
) -> str:
    """The nonce that is good now.

    It stays the same for half of NONCE_S: a replay must not replace the one that the gate is about
    to use.
    """
    renewed = {"nonce": secrets.token_hex(_NONCE_BYTES), "issued_unix_s": now_unix_s}
    insert = database.insert(nonces).values(gate_id=gate_id, is_used=False, **renewed)
    is_old = sa.not_(nonces.c.issued_unix_s.between(now_unix_s - NONCE_S // 2, now_unix_s))
    connection.execute(
        insert.on_conflict_do_update(index_elements=["gate_id"], set_=renewed, where=is_old)
    )
    return str(connection.execute(_OF_GATE, {"gate_id": gate_id}).scalar_one())


_OF_GATE = sa.select(nonces.c.nonce).where(nonces.c.gate_id == sa.bindparam("gate_id"))
_HAS_USED_ONE = _OF_GATE.where(nonces.c.is_used)
