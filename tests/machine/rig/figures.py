"""What tests measured: shown after the run.

Nobody judges durations. An emulated computer on a shared machine is no place to judge speed; a
limit that a gate must keep is judged on the rigs that run at full speed. But a figure that jumps is
worth a look.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIGURES: dict[str, list[float]] = {}
_TOLD: list[str] = []


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Measure the block, as one more time for `what`."""
    begun_s = time.monotonic()
    yield
    _FIGURES.setdefault(what, []).append(time.monotonic() - begun_s)


def tell(line: str) -> None:
    """Show a line as it is."""
    _TOLD.append(line)


def lines() -> Iterator[str]:
    """Yield a line for each thing that was measured."""
    yield from _TOLD
    for what, times in _FIGURES.items():
        ordered = sorted(times)
        median, most = ordered[len(ordered) // 2], ordered[-1]
        yield f"{what}: {median:.2f} s, at most {most:.2f} s, {len(ordered)} times"
