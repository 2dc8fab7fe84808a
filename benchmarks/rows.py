"""The results of a benchmark: rows of percentiles, each with the budget that it serves.

A percentile is shown only when enough was measured for it to mean something: the 99.9th of fifty
taps is just their slowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Field = Literal["p50", "p99", "p999", "max"]
FIELD_NAMES: dict[Field, str] = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "max"}
P99_COUNT_MIN = 100
P999_COUNT_MIN = 1_000
NS_PER: dict[str, float] = {"µs": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that must not be exceeded; `why` is its source if no budget names the number."""

    field: Field
    at_most: float
    why: str = ""

    def __str__(self) -> str:
        """As in the table of budgets."""
        return (
            f"{FIELD_NAMES[self.field]} ≤ {self.at_most:,.4g}{f' ({self.why})' if self.why else ''}"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `compared` marks what a user would pick instead; such a row follows the row it is compared with.
    """

    name: str
    unit: str
    n: int
    p50: float
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    budget: tuple[Limit, ...] = ()
    compared: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """True if every limit holds; None without limits, or if too little was measured."""
        if not self.budget:
            return None
        values = [(getattr(self, limit.field), limit.at_most) for limit in self.budget]
        if any(value is None for value, _ in values):
            return None
        return all(value <= at_most for value, at_most in values)


def timed(
    name: str,
    unit: str,
    durations_ns: Sequence[int],
    *budget: Limit,
    compared: bool = False,
    note: str = "",
) -> Row:
    """The row of these durations. The 50th percentile is the middle one, not an average of two."""
    values = np.sort(np.asarray(durations_ns, dtype=np.int64)) / NS_PER[unit]
    n = len(values)

    def percentile(percent: float) -> float:
        return float(np.percentile(values, percent, method="higher"))

    return Row(
        name,
        unit,
        n,
        percentile(50),
        percentile(99) if n >= P99_COUNT_MIN else None,
        percentile(99.9) if n >= P999_COUNT_MIN else None,
        float(values[-1]),
        budget,
        compared,
        note,
    )


def counted(
    name: str, unit: str, value: float, *budget: Limit, compared: bool = False, note: str = ""
) -> Row:
    """The row of one number that is not a sample: bytes, a share."""
    return Row(name, unit, 1, value, budget=budget, compared=compared, note=note)
