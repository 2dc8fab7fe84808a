"""What a Python set of fingerprints costs, in a process of its own: `python -m benchmarks.set_memory FILE` of raw u64.

It prints its private memory in MB, the interpreter's own included as in the lane, and the seconds to fill the set.
"""

import json
import os
import sys
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from benchmarks.memory import memory_of

STEP_BYTES = 1 << 20


def _fingerprints(path: Path) -> Iterator[int]:
    with path.open("rb") as file:
        while step := file.read(STEP_BYTES):
            yield from array("Q", step)


def main() -> None:
    """Fill it and say what it costs."""
    before = memory_of(os.getpid(), ".seg")["private"]
    started_s = time.monotonic()
    held = set(_fingerprints(Path(sys.argv[1])))
    load_s = time.monotonic() - started_s
    private = memory_of(os.getpid(), ".seg")["private"]
    print(json.dumps({"cards": len(held), "private": private, "before": before, "load_s": load_s}))


if __name__ == "__main__":
    main()
