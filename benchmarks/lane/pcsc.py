"""Measure a PC/SC reader: from a card in its field to the lane's event, beside pyscard.

The simulated CCID reader has an interrupt endpoint and reports a card at once, so what is left is
libusb, libccid, pcscd and ours. A real reader adds how often it scans its field.
"""

from dataclasses import replace

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
    rows = _rows("card → event, PC/SC", taken["ours"], compared=False)
    if taken["monitor"] is not None:
        return rows + _rows("… pyscard's CardMonitor", taken["monitor"], compared=True)
    return [replace(rows[0], note="no rival: Debian's python3-pyscard is not installed"), *rows[1:]]


def _rows(name: str, times: dict[str, list[int | None]], *, compared: bool) -> list[Row]:
    """Three rows of one way; a card that it missed counts in the note alone."""
    mark = "…" if compared else "–"
    cards, swapped = ([each for each in times[kind] if each] for kind in ("cards", "swapped"))
    rows = []
    if cards:
        p90_ms = float(np.percentile(cards, 90, method="higher")) / NS_PER["ms"]
        budget = () if compared else (Limit("p50", P90_MS, "p90"),)
        rows = [
            timed(name, "ms", cards, compared=compared, note=_missed(times["cards"])),
            counted(f"{mark} 90 of 100 cards", "ms", p90_ms, *budget, compared=compared),
        ]
    if swapped:
        note = _missed(times["swapped"])
        rows.append(
            timed(f"{mark} a card in another's place", "ms", swapped, compared=compared, note=note)
        )
    return rows


def _missed(times: list[int | None]) -> str:
    count = times.count(None)
    return f"{count} of {len(times)} missed" if count else ""
