"""Measure a list's bytes a card on disk and the memory of its lane, beside a Python set.

The pages of a mapped list are page cache: the kernel may drop and read them again, and two lanes on
one machine share them. Linux nevertheless counts them as "private clean" of the only process that
maps them. So the budget is for private memory without the list's own mappings: what no other
process can use and the kernel cannot drop.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.context import Bench
from benchmarks.lane.gate import gate
from benchmarks.rows import Limit, Row, counted
from benchmarks.town import Town

DISK_BUDGET = (Limit("p50", 7.5),)
MEMORY_BUDGET = (Limit("p50", 45.0),)
MB = 1_000_000
KIB = 1_024
TAPS = 200  # so that a lane that has served is measured, not one that has just started
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


def run(bench: Bench) -> list[Row]:
    """Disk at both sizes, then memory at the large one."""
    scale = bench.scale
    small, large = bench.town(scale.cards), bench.town(scale.cards_large)
    rows = [_disk(small), _disk(large)]
    private = dict(_lane(bench, large))
    what = f"lane, {large.cards / 1e6:.2f} M cards:"
    rows += [
        counted(
            f"{what} private memory",
            "MB",
            private["private"],
            *MEMORY_BUDGET,
            note="without the mapped list",
        ),
        counted(
            f"  {what} anonymous",
            "MB",
            private["anonymous"],
            note="heap, stacks: what can never be dropped",
        ),
        counted(
            f"  {what} resident list pages",
            "MB",
            private["list"],
            note="page cache, shared, can be dropped",
        ),
        _set(large),
    ]
    return rows


def _disk(town: Town) -> Row:
    matched = town.manifest.rules[-1].segments[0]
    return counted(
        f"matched table on disk, {town.cards / 1e6:.2f} M cards",
        "bytes/card",
        matched.bytes / town.cards,
        *DISK_BUDGET,
        note="5 fingerprint (2 more by the index) + 2 until + header and index",
    )


def _lane(bench: Bench, town: Town) -> Iterator[tuple[str, float]]:
    with gate(town, "ideal") as at:
        rest = Random(1)
        for number in bench.track(
            range(min(TAPS, len(town.matched))), "taps before memory is read"
        ):
            at.tap(town.matched[number], rest, opens=True)
        yield from memory_of(at.lane.process.pid, ".seg").items()


def memory_of(pid: int, list_suffix: str) -> dict[str, float]:
    """MB of a process: `private`, `anonymous` and `list`.

    `list` counts the resident pages of files with `list_suffix`; `private` leaves them out.
    """
    found = dict.fromkeys(("private", "anonymous", "list"), 0)
    of_list = False
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
        if _MAPPING.match(line):
            of_list = list_suffix in line.partition("/")[2]
            continue
        name, _, value = line.partition(":")
        kib = int(value.split()[0]) if value.strip().endswith("kB") else 0
        if of_list:
            found["list"] += kib if name == "Rss" else 0
        elif name in {"Private_Clean", "Private_Dirty"}:
            found["private"] += kib
        found["anonymous"] += kib if name == "Anonymous" else 0
    return {name: kib * KIB / MB for name, kib in found.items()}


def _set(town: Town) -> Row:
    command = [sys.executable, "-m", "benchmarks.lane.set_memory", str(town.fingerprints)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return counted(
        "… a Python set of the same cards",
        "MB",
        said["private"],
        compared=True,
        note=f"knows no until; takes {said['load_s']:.1f} s to fill",
    )
