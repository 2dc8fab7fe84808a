"""The table that `make bench` prints, and the same as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.machine import Machine
from benchmarks.rows import Row

WIDTH = 175  # of a table that does not go to a terminal
# Counted, not timed: the third digit is not noise there.
EXACT_UNITS = ("×", "bits/card", "bytes/card")


def draw(
    console: Console, machine: Machine, results: Mapping[str, Sequence[Row]], *, small: bool
) -> None:
    """Print the head and one table."""
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(str(machine), highlight=False)
    if small:
        console.print(
            "small: these numbers show that the benchmarks run, and nothing else", style="bold"
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("n", "p50", "p99", "p99.9", "max"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("unit", "budget", "", "note"):
        table.add_column(column)
    for name, rows in results.items():
        table.add_section()
        table.add_row(Text(name, style="bold"))
        for row in rows:
            table.add_row(*_cells(row), style="dim" if row.compared else None)
    console.print(table)


def _cells(row: Row) -> list[str | Text]:
    digits = 4 if row.unit in EXACT_UNITS else 3
    values = [_number(value, digits) for value in (row.p50, row.p99, row.p999, row.max)]
    one_number = row.max is None
    budget = ", ".join(f"≤ {limit.at_most:g}" if one_number else str(limit) for limit in row.budget)
    name = f"  {row.name}"
    return [name, f"{row.n:,}", *values, row.unit, budget, _met(row), row.note]


def _met(row: Row) -> Text:
    if row.met is None:
        return Text("")
    return Text("met", style="green") if row.met else Text("not met", style="bold red")


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1_000 else f"{value:#.{digits}g}".removesuffix(".")


def as_json(
    machine: Machine, results: Mapping[str, Sequence[Row]], *, small: bool
) -> dict[str, Any]:
    """Everything, for `build/bench.json`."""
    return {
        "machine": machine.as_json(),
        "small": small,
        "rows": [
            {
                "benchmark": name,
                "name": row.name.strip(" …"),
                "n": row.n,
                "p50": row.p50,
                "p99": row.p99,
                "p999": row.p999,
                "max": row.max,
                "unit": row.unit,
                "budget": [
                    {"field": limit.field, "at_most": limit.at_most} for limit in row.budget
                ],
                "met": row.met,
                "compared": row.compared,
                "note": row.note,
            }
            for name, rows in results.items()
            for row in rows
        ],
    }
