"""The gates as witnesses of the time: what is deleted for its age is deleted by their clocks too, never by the back office's alone.

Each gate signs the time at which it sends a status. A gate whose clock the kernel does not call synchronised counts its time from what
this city has signed, so it repeats a wrong time of the city. Where the law wants something deleted it is believed if no gate is
synchronised; where nothing is lost by waiting it is not.
"""

from contextlib import closing
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from backoffice.registry.database import Database
from backoffice.reports.schema import gates, statuses


class _Lane(Struct, frozen=True):
    clock_synchronised: bool = False


class _Status(Struct, frozen=True):
    lanes: tuple[_Lane, ...] = ()


_decoder = msgspec.json.Decoder(_Status)


class Witnessed(NamedTuple):
    """The newest time that a gate has signed, in Unix seconds, by a synchronised clock and by any; None: no such gate ever has."""

    synchronised_unix_s: int | None
    any_unix_s: int | None

    @property
    def best_unix_s(self) -> int | None:
        """The synchronised one, else any."""
        return self.any_unix_s if self.synchronised_unix_s is None else self.synchronised_unix_s


def witnessed(database: Database) -> Witnessed:
    """What the gates that may speak have said of the time. Raises RegistryError."""
    chosen = (
        sa.select(statuses.c.created_unix_s, statuses.c.status)
        .outerjoin(gates, gates.c.gate_id == statuses.c.gate_id)
        .where(gates.c.struck_off_unix_s.is_(None))
        .order_by(statuses.c.created_unix_s.desc())
    )
    newest = None
    with closing(database.stream(chosen)) as rows:
        for created_unix_s, status in rows:
            newest = int(created_unix_s) if newest is None else newest
            if _is_synchronised(status):
                return Witnessed(int(created_unix_s), newest)
    return Witnessed(None, newest)


def _is_synchronised(status: str) -> bool:
    """Whether a lane of the gate says so. What a gate sends is anybody's who has stolen it: what cannot be read says nothing."""
    try:
        return any(lane.clock_synchronised for lane in _decoder.decode(status).lanes)
    except (msgspec.MsgspecError, RecursionError):
        return False
