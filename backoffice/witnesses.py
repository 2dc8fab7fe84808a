"""The gates as witnesses of the time: what is deleted for its age is deleted by their clocks too, never by the back office's alone.

Each gate signs the time at which it sends a status. A gate whose clock the kernel does not call synchronised counts its time from what
this city has signed, so it repeats a wrong time of the city: it counts only where no gate is synchronised.
"""

from contextlib import closing

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from backoffice.database import Database
from backoffice.report_schema import gates, statuses


class _Lane(Struct, frozen=True):
    clock_synchronised: bool = False


class _Status(Struct, frozen=True):
    lanes: tuple[_Lane, ...] = ()


_decoder = msgspec.json.Decoder(_Status)


def witnessed_unix_s(database: Database) -> int | None:
    """The newest time that a gate has signed, in Unix seconds, by a synchronised clock if any gate has one. None: no gate has ever.

    Raises RegistryError.
    """
    chosen = (
        sa.select(statuses.c.created_unix_s, statuses.c.status)
        .outerjoin(gates, gates.c.gate_id == statuses.c.gate_id)
        .where(gates.c.struck_off_unix_s.is_(None))
        .order_by(statuses.c.created_unix_s.desc())
    )
    newest = None
    with closing(database.stream(chosen)) as rows:
        for created_unix_s, status in rows:
            newest = created_unix_s if newest is None else newest
            if _is_synchronised(status):
                return int(created_unix_s)
    return newest


def _is_synchronised(status: str) -> bool:
    """Whether a lane of the gate says so. What a gate sends is anybody's who has stolen it: what cannot be read says nothing."""
    try:
        return any(lane.clock_synchronised for lane in _decoder.decode(status).lanes)
    except (msgspec.MsgspecError, RecursionError):
        return False
