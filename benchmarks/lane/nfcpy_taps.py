"""Cards that are read by nfcpy's own loops (nfcpy_loop.py) on a simulated reader."""

import time
from collections.abc import Sequence
from random import Random

from benchmarks.context import Bench
from benchmarks.lane.gate import START_S
from benchmarks.rows import Row, timed
from tests.support.machine.programs import program


def nfcpy_taps(
    bench: Bench,
    reader: tuple[str, ...],
    way: str,
    taps: int,
    rest_s: float,
    name: str,
    before: Sequence[str] = (),
) -> Row:
    """Return the row of card in the field → UID known, by the loop of this `way`.

    Each of the cards comes after a pause of up to `rest_s` to `reader`, the arguments of a
    simulated one. The words `before` both commands enter a rig.
    """
    town, rest = bench.town(bench.scale.cards), Random(way)
    taken_ns = []
    with (
        program("firmware_sim", *reader, before=before) as device,
        program("benchmarks.lane.nfcpy_loop", way, device.first_line(), before=before) as loop,
    ):
        loop.event("ready", START_S)
        for number in bench.track(range(taps), name):
            uid = town.matched[-1 - number].hex()
            time.sleep(rest.uniform(0, rest_s))
            device.say(f"present {uid}")
            presented_ns = device.event("present", uid=uid)["at_ns"]
            taken_ns.append(loop.event("uid", uid=uid)["at_ns"] - presented_ns)
            loop.event("done")
            device.say("remove")
            device.event("removed")
            loop.event("gone")
    return timed(
        f"… {name}", "ms", taken_ns, compared=True, note="only the UID: no decision, no gate"
    )
