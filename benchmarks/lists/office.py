"""A back office at the city's true size: a registry on SQLite, real keys, the real publisher.

The publisher is a process of its own, `python -m benchmarks.lists.office HOME`. Each line of its
standard input is a Unix time at which it publishes. It answers by one JSON object: what was
published, the ns it took, and the most memory held meanwhile in MB.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backoffice.home.config import FILE_NAME, Config, example, load
from backoffice.publishing.publisher import Publisher
from backoffice.registry.registry import Registry, State
from backoffice.signing.ceremonies import found_for_development
from backoffice.signing.clock import say_right
from benchmarks.context import Bench
from benchmarks.town import DAY_S, SUSPENDED_OF_MATCHED, UID_BYTES
from tests.support.machine.programs import Line, Program, program

PUBLISHED_S = 1_200.0
BATCH = 100_000
SUSPENDED_DAYS = 10
KINDS_OF_CHANGE = 4
KIB_PER_MB = 1e6 / 1_024

Numbers = NDArray[np.uint64]
"""UIDs as numbers: a list of eight million bytes objects would weigh half a gigabyte."""


@dataclass
class CityOffice:
    """A home and its cards: matched ones, 3.6 % of them suspended, and spare ones not issued."""

    config: Config
    matched: Numbers
    spare: deque[int]
    suspended: deque[int]
    to_change: Iterator[int]

    @classmethod
    def founded(cls, home: Path, cards: int, spare: int, now_unix_s: int) -> "CityOffice":
        """Make the home, with an empty registry."""
        home.mkdir()
        (home / FILE_NAME).write_text(example(), "utf-8")
        config = load(home)
        found_for_development(config.home, now_unix_s)
        rng = np.random.default_rng(4)
        uids = np.unique(rng.integers(0, 1 << 48, size=cards + spare, dtype=np.uint64)) + np.uint64(
            4 << 48
        )
        drawn = rng.permutation(len(uids))
        matched, others = uids[np.sort(drawn[spare:])], uids[drawn[:spare]]
        suspended = rng.permutation(matched)[: int(cards * SUSPENDED_OF_MATCHED)]
        to_change = iter(rng.permutation(matched)[:spare].tolist())
        return cls(config, matched, deque(others.tolist()), deque(suspended.tolist()), to_change)

    def fill(self, bench: Bench, now_unix_s: int) -> int:
        """Issue and match all cards, suspend some; return the ns taken."""
        ends_unix_s = now_unix_s + SUSPENDED_DAYS * DAY_S
        suspended = np.sort(np.asarray(self.suspended, np.uint64))
        batches = [
            (rule, numbers[at : at + BATCH].tolist(), ends)
            for rule, numbers, ends in (
                ("matched", self.matched, None),
                ("suspended", suspended, ends_unix_s),
            )
            for at in range(0, len(numbers), BATCH)
        ]
        started_ns = time.monotonic_ns()
        with Registry.open(self.config.database_url) as registry:
            for rule, numbers, ends in bench.track(batches, "filling the registry"):
                registry.set_states(
                    rule, _states(numbers, is_in=True, ends_unix_s=ends), issue=True
                )
        return time.monotonic_ns() - started_ns

    def change(self, registry: Registry, cards: int, now_unix_s: int) -> None:
        """Change so many cards, a quarter each way.

        They are suspended, freed before their end, newly matched, or matched no more.
        """
        share = range(cards // KINDS_OF_CHANGE)
        suspended, unmatched = ([next(self.to_change) for _ in share] for _ in range(2))
        freed, joined = ([from_.popleft() for _ in share] for from_ in (self.suspended, self.spare))
        self.suspended.extend(suspended)
        ends_unix_s = now_unix_s + SUSPENDED_DAYS * DAY_S
        registry.set_states("suspended", _states(suspended, is_in=True, ends_unix_s=ends_unix_s))
        registry.set_states("suspended", _states(freed, is_in=False))
        registry.set_states("matched", _states(joined, is_in=True), issue=True)
        registry.set_states("matched", _states(unmatched, is_in=False))


def _states(numbers: Sequence[int], *, is_in: bool, ends_unix_s: int | None = None) -> list[State]:
    return [
        State(number.to_bytes(UID_BYTES, "big"), is_in, ends_unix_s if is_in else None)
        for number in sorted(numbers)
    ]


@contextmanager
def publisher(city: CityOffice) -> Iterator[Program]:
    """The publisher's process."""
    with program("benchmarks.lists.office", str(city.config.folder)) as started:
        yield started


def publish(process: Program, now_unix_s: int) -> Line:
    """Let the publisher publish at this time; return its line."""
    process.say(str(now_unix_s))
    return process.event("published", PUBLISHED_S)


def _forget_peak() -> None:
    """Reset the peak of this process's memory: see clear_refs in proc(5)."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / KIB_PER_MB


def main() -> None:
    """Publish at each line of input."""
    config = load(Path(sys.argv[1]))
    with Registry.open(config.database_url) as registry:
        publisher = Publisher(config, registry)
        for line in sys.stdin:
            _forget_peak()
            started_ns = time.monotonic_ns()
            say_right(config.home, int(line))  # a month may have passed since the last list
            with publisher.alone():
                outcome = publisher.publish(int(line))
            told = {
                "event": "published",
                "took_ns": time.monotonic_ns() - started_ns,
                "peak": _peak_mb(),
                "list_version": outcome.version,
                "changes": outcome.changes,
                "built": [[rule, piece.kind.name, piece.bytes] for rule, piece in outcome.built],
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
