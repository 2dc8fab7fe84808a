"""A program: decode or fold segments, and print time and memory as JSON.

python -m benchmarks.lists.segment_work decode OUT WIRE
python -m benchmarks.lists.segment_work fold OUT NEWEST … OLDEST
"""

import json
import sys
import time
from contextlib import ExitStack
from mmap import ACCESS_READ, mmap
from pathlib import Path

from validator.lists.segment import HEADER_BYTES, Header
from validator.lists.segment_fold import fold_into
from validator.lists.wire import decode

KIB_PER_MB = 1e6 / 1_024


def _memory(field: str) -> float:
    """MB by a field of /proc/self/status. `ru_maxrss` would include the parent's before exec."""
    lines = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines()
    )
    return int(lines[field].split()[0]) / KIB_PER_MB


class _Watch:
    """Progress that records the peak of the process's anonymous memory.

    The kernel can drop mapped files, so they are counted apart.
    """

    def __init__(self) -> None:
        self.peak = self.began = _memory("RssAnon")

    def __call__(self, _done: int, _total: int) -> None:
        self.peak = max(self.peak, _memory("RssAnon"))


def main() -> None:
    """Decode or fold as the arguments ask, and print the result."""
    what, out_path, *paths = sys.argv[1:]
    watch = _Watch()
    with ExitStack() as stack:
        files = [stack.enter_context(Path(path).open("rb")) for path in paths]
        out = stack.enter_context(Path(out_path).open("w+b"))
        started_ns = time.monotonic_ns()
        if what == "decode":
            decode(files[0], out, progress=watch)
        else:
            parts = [
                stack.enter_context(mmap(file.fileno(), 0, access=ACCESS_READ)) for file in files
            ]
            epoch_unix_s = max(Header.parse(part[:HEADER_BYTES]).epoch_unix_s for part in parts)
            fold_into(out, parts, epoch_unix_s, progress=watch)
        took_ns = time.monotonic_ns() - started_ns
    measured = {
        "took_ns": took_ns,
        "began": watch.began,
        "peak": _memory("VmHWM"),
        "peak_own": watch.peak,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
