"""Measure a PC/SC reader: from a card in its field to the lane's event, beside pyscard.

The simulated CCID reader has an interrupt endpoint and reports a card at once, so what is left is
libusb, libccid, pcscd and ours. A real reader adds how often it scans its field.
"""

import numpy as np

from benchmarks.context import Bench
from benchmarks.rows import NS_PER, Limit, Row, counted, timed
from firmware_sim.usb.usbfs.rig import Rig, RigError
from tests.support.machine.programs import program

P90_MS = 25.0
INSIDE_S = 300.0


def run(bench: Bench) -> list[Row]:
    """Ours and pyscard's CardMonitor, each for laid and for swapped cards."""
    count = bench.scale.pcsc_cards
    folder = bench.folder / "pcsc"
    folder.mkdir()
    try:
        with (
            Rig() as rig,
            program(
                "benchmarks.lane.pcsc_cards", str(count), str(folder), before=rig.command()
            ) as inside,
        ):
            taken = inside.event("taken", INSIDE_S)["taken"]
    except RigError as error:
        raise RuntimeError(f"no simulated USB bus: {error}") from error
    ours, monitor = taken["ours"], taken["monitor"]
    alone = "" if monitor is not None else "no rival: Debian's python3-pyscard is not installed"
    rows = [
        timed("card → event, PC/SC", "ms", ours["cards"], note=alone),
        counted("– 90 of 100 cards", "ms", _p90_ms(ours["cards"]), Limit("p50", P90_MS, "p90")),
        timed("– a card in another's place", "ms", ours["swapped"]),
    ]
    if monitor is not None:
        rows += [
            timed("… pyscard's CardMonitor", "ms", monitor["cards"], compared=True),
            counted("… 90 of 100 cards", "ms", _p90_ms(monitor["cards"]), compared=True),
            timed("… a card in another's place", "ms", monitor["swapped"], compared=True),
        ]
    return rows


def _p90_ms(durations_ns: list[int]) -> float:
    return float(np.percentile(durations_ns, 90, method="higher")) / NS_PER["ms"]
