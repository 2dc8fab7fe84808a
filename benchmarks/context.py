"""What every benchmark is given: how much to do, a folder, lists at scale, and a progress bar."""

import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.town import Town, build

REDRAW_S = 0.2

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done.

    The numbers of cards are those of the budgets. The others keep a whole run at about twenty
    minutes on two cores.
    """

    cards: int = 8_260_000
    cards_large: int = 26_000_000
    cards_diskcache: int = 100_000  # it takes 30 µs a card to fill: minutes for the whole table
    known_max: int = 200_000
    decisions: int = 200_000
    decisions_slow: int = 20_000  # of what takes tens of µs
    taps: int = 1_500
    sense_taps: int = 500
    usb_taps: int = 120  # each of four ways: a second for twenty
    pcsc_cards: int = 40  # of each of two programs: more than a second a card
    board_wait_s: float = 3.0  # in each of ten states
    connect_taps: int = 50  # a second each
    starts: int = 12
    watched_taps: int = 300  # in each of ten turns
    denials: int = 1_000
    waiting: int = 100_000  # reports, of a gate that was cut off for days
    looks: int = 5_000
    adoptions: int = 10
    adoptions_large: int = 4
    polls: int = 200
    changes: int = 200
    day_lists: int = 240
    idle_s: float = 10.0


SMALL = Scale(
    cards=70_000,  # an index, as the real one has
    cards_large=80_000,
    cards_diskcache=300,
    known_max=600,
    decisions=300,
    decisions_slow=300,
    taps=6,
    sense_taps=4,
    usb_taps=3,
    pcsc_cards=2,
    board_wait_s=0.2,
    connect_taps=1,
    starts=1,
    watched_taps=2,
    denials=4,
    waiting=300,
    looks=100,
    adoptions=1,
    adoptions_large=1,
    polls=2,
    changes=2,
    day_lists=3,
    idle_s=0.3,
)


class Bench:
    """One run of benchmarks.

    Progress is drawn between measurements and never by a thread, which would hold the interpreter
    while something is measured.
    """

    def __init__(self, scale: Scale, folder: Path, console: Console) -> None:
        """`folder` is used up: lists at full size take about a gigabyte in it."""
        self.scale = scale
        self.folder = folder
        self._towns: dict[int, Town] = {}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._console = console
        self._progress = Progress(*columns, console=console, auto_refresh=False, transient=True)
        self._drawn_s = 0.0

    def town(self, cards: int) -> Town:
        """The lists with so many matched cards; built once a run."""
        for _ in self.track(
            [cards] if cards not in self._towns else [], f"list of {cards:,} cards"
        ):
            self._towns[cards] = build(self.folder / f"town-{cards}", cards, self.scale.known_max)
        return self._towns[cards]

    def track(self, items: Iterable[Item], what: str) -> Iterator[Item]:
        """Go through the items and show how far it is."""
        every = list(items)
        if not self._console.is_terminal and every:
            self._console.print(f"{what} …")
        task = self._progress.add_task(what, total=len(every))
        for item in every:
            self._draw()
            yield item
            self._progress.advance(task)
        self._progress.remove_task(task)

    def say(self, line: str) -> None:
        """Print a line for the operator of the run."""
        self._console.print(line)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _draw(self) -> None:
        if time.monotonic() - self._drawn_s >= REDRAW_S:
            self._drawn_s = time.monotonic()
            self._progress.refresh()


@contextmanager
def quiet_memory() -> Iterator[None]:
    """No garbage collection while something is timed, as in the lane."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
