"""Durations that tests measured: shown after the run, judged by nobody.

An emulated computer on a shared machine is no place to judge speed; a limit that a gate must keep
is judged on the rigs that run at full speed. But a figure that jumps is worth a look.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIGURES: dict[str, list[float]] = {}


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Measure the block, as one more time for `what`."""
    begun_s = time.monotonic()
    yield
    _FIGURES.setdefault(what, []).append(time.monotonic() - begun_s)


def lines() -> Iterator[str]:
    """Yield a line for each thing that was measured."""
    for what, times in _FIGURES.items():
        ordered = sorted(times)
        median, most = ordered[len(ordered) // 2], ordered[-1]
        yield f"{what}: {median:.2f} s, at most {most:.2f} s, {len(ordered)} times"
