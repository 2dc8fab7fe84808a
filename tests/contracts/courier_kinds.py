"""The kinds of adapters of the courier's ports, and small makers, for their contract suites."""

from tests.simulation.fleet.lives import Life, steady
from tests.simulation.fleet.ports import (
    Line,
)
from tests.simulation.fleet.tally import Load, Of, Tally
from tests.support.city.list_making import KEY
from tests.support.gate.courier_world import (
    KEYS,
    NOW_UNIX_S,
    VERSIONS,
)
from validator.domain.floor import Floor
from validator.ipc.accepted import Accepted
from validator.lists.fingerprint_keys import key_id

KEY_HEX = key_id(KEY).hex()
RULE = "suspended"
KINDS = ["real", "world", "fleet"]
"""The adapter of a gate, the stand-in of the courier's own tests, and that of the fleet."""


def a_line(life: Life | None = None) -> Line:
    return Line(life or steady(), Tally([[0] * len(Of)], [True]), Load(10))


def accepted(list_version: int, signed_unix_s: int = NOW_UNIX_S - 5) -> Accepted:
    floor = Floor(VERSIONS, KEYS, list_version, signed_unix_s, era=1)
    return Accepted.of(floor, b'{"list_version":7}', "boot", 5_000)
