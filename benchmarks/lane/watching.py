"""Measure taps with no page of the console open and with five, in turns on one gate.

Serves the promise that status pages do not slow the lane down. Real processes on ptys, ideal chip.
The console polls and watches the lane socket as it always does, and the pages are streams that are
read as a browser reads them.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.gate import Gate, gate
from benchmarks.rows import Field, Limit, Row, timed
from tests.support.machine.programs import program

PAGES = 5
TURNS = 10  # of each kind, one after the other: a shared machine has good and bad minutes
SPARE = 1.1  # on top of what turns without pages differ by among themselves
FIELDS: tuple[Field, ...] = ("p50", "p99", "p999")
NS_PER_US = 1_000

CONSOLE = """
[console]
listen = "127.0.0.1:0"
lanes = ["{socket}"]
"""


def run(bench: Bench) -> list[Row]:
    """Measure taps of cards that the gate admits, with and without pages."""
    town, rest = bench.town(bench.scale.cards), Random(1)
    cards = cycle(town.matched)
    alone: list[list[int]] = [[], []]  # of even and odd turns: what they differ by is noise
    watched: list[int] = []
    with quiet_memory(), gate(town, "ideal") as at:
        config = _config(town.folder)
        for turn in bench.track(range(TURNS), "taps without and with five pages"):
            alone[turn % 2] += _taps(at, cards, rest, bench.scale.watched_taps)
            with _pages(config):
                watched += _taps(at, cards, rest, bench.scale.watched_taps)
    rows = [
        timed(f"… no page open, {which} turns", "µs", taken, compared=True)
        for which, taken in zip(("even", "odd"), alone, strict=True)
    ]
    limits = []
    for field in FIELDS:
        values = [value for row in rows if (value := getattr(row, field)) is not None]
        if values:
            limits.append(Limit(field, SPARE * max(values), "no page open, and noise"))
    return [timed(f"card read → told, {PAGES} pages open", "µs", watched, *limits), *rows]


def _taps(at: Gate, cards: Iterator[bytes], rest: Random, count: int) -> list[int]:
    """Tap `count` times; ns of each from the reader's event until the board had its outcome."""
    return [at.tap(next(cards), rest, opens=True)[1]["told_us"] * NS_PER_US for _ in range(count)]


def _config(folder: Path) -> Path:
    """The lane's own configuration and a console's."""
    path = folder / "console.toml"
    lane = (folder / "validator.toml").read_text()
    path.write_text(lane + CONSOLE.format(socket=folder / "lane.sock"))
    return path


@contextmanager
def _pages(config: Path) -> Iterator[None]:
    """A console with pages open, each read as long as its stream goes on."""
    with ExitStack() as stack:
        console = stack.enter_context(program("validator", "console", "--config", str(config)))
        port = urlsplit(console.event("started")["address"]).port
        readers = []
        for _ in range(PAGES):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/events")
            answer = connection.getresponse()
            if answer.status != http.client.OK or not answer.readline():
                raise RuntimeError(f"the console answers {answer.status}")
            readers.append(threading.Thread(target=_read, args=(answer,)))
            readers[-1].start()
        yield
    for reader in readers:  # the console has ended, and with it their streams
        reader.join()


def _read(answer: http.client.HTTPResponse) -> None:
    with suppress(OSError, http.client.HTTPException):
        while answer.readline():
            pass
