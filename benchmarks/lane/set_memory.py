"""A program: fill a Python set with the fingerprints of a file of raw u64.

    python -m benchmarks.lane.set_memory FILE

It prints its private memory in MB, the interpreter's own included as in the lane, and the seconds
to fill the set.
"""

import json
import os
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lane.memory import memory_of

STEP_BYTES = 1 << 20


def _fingerprints(path: Path) -> Iterator[int]:
    with path.open("rb") as file:
        while step := file.read(STEP_BYTES):
            yield from array("Q", step)


def main() -> None:
    """Fill the set and print its cost."""
    before = memory_of(os.getpid(), ".seg")["private"]
    started_s = time.monotonic()
    held = set(_fingerprints(Path(sys.argv[1])))
    load_s = time.monotonic() - started_s
    private = memory_of(os.getpid(), ".seg")["private"]
    print(json.dumps({"cards": len(held), "private": private, "before": before, "load_s": load_s}))


if __name__ == "__main__":
    main()
