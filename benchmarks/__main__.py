"""`make bench`: run every benchmark, print one table and write `build/bench.json`.

    python -m benchmarks                # all, about twenty minutes on two cores
    python -m benchmarks --only start   # one of them
    python -m benchmarks --small        # all tiny, in seconds: the tests run it

A slow machine makes no run fail; a benchmark that cannot run does.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from benchmarks.context import SMALL, Bench, Scale
from benchmarks.lane import (
    boards,
    decisions,
    denial,
    lookup,
    memory,
    pcsc,
    start,
    usb_reader,
    watching,
    wire,
)
from benchmarks.lists import adoption, courier, distribution, fleet, publish
from benchmarks.machine import Machine
from benchmarks.reports import drain, reports
from benchmarks.rows import Row
from benchmarks.table import as_json, draw

BENCHMARKS: dict[str, Callable[[Bench], list[Row]]] = {
    "decision": decisions.run,
    "lookup": lookup.run,
    "wire": wire.run,
    "boards": boards.run,
    "usb-reader": usb_reader.run,
    "pcsc": pcsc.run,
    "memory": memory.run,
    "start": start.run,
    "denial": denial.run,
    "adoption": adoption.run,
    "distribution": distribution.run,
    "courier": courier.run,
    "publish": publish.run,
    "drain": drain.run,
    "reports": reports.run,
    "fleet": fleet.run,
    "watching": watching.run,
}


@click.command(epilog="Example: python -m benchmarks --only wire")
@click.option("--small", is_flag=True, help="Everything tiny: whether it runs, not how fast.")
@click.option("--only", type=click.Choice([*BENCHMARKS]), multiple=True, help="May be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/bench.json"),
    show_default=True,
    help="Where the numbers go.",
)
def main(*, small: bool, only: tuple[str, ...], out: Path) -> None:
    """Measure, print one table, and write the numbers as JSON. A missed budget is no failure."""
    console, machine = Console(stderr=True), Machine()
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="turnike-bench-") as folder:
        with Bench(SMALL if small else Scale(), Path(folder), console) as bench:
            for name in only or BENCHMARKS:
                results[name] = BENCHMARKS[name](bench)
        machine.finish()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(as_json(machine, results, small=small), indent=1, ensure_ascii=False) + "\n"
    )
    draw(Console(), machine, results, small=small)


if __name__ == "__main__":
    main()
