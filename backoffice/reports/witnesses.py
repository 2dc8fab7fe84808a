"""The gates as witnesses of the time: no clock of the back office alone deletes anything by age.

Each gate signs the time of its status. A gate whose clock the kernel does not call synchronised
counts its time from what this city has signed, so it repeats a wrong time of the city. Such a gate
is believed only if no gate is synchronised, and only where the law requires the deletion.
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
    """The newest times that gates have signed, in Unix seconds; None: no such gate.

    `any_unix_s` is by any clock, `synchronised_unix_s` by one that the kernel calls synchronised.
    """

    synchronised_unix_s: int | None
    any_unix_s: int | None

    @property
    def best_unix_s(self) -> int | None:
        """The synchronised time, else the time of any gate."""
        return self.any_unix_s if self.synchronised_unix_s is None else self.synchronised_unix_s


def witnessed(database: Database) -> Witnessed:
    """The newest times that the enrolled gates have signed. Raises RegistryError."""
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
    """Whether a lane of the gate reports a synchronised clock.

    An unreadable status reports nothing: a stolen gate sends anything.
    """
    try:
        return any(lane.clock_synchronised for lane in _decoder.decode(status).lanes)
    except (msgspec.MsgspecError, RecursionError):
        return False
