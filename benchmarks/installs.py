"""Installs lists one after the other, as the courier will: a program of its own, for benchmarks/adoption.py alone.

    python -m benchmarks.installs LIST_FOLDER

Each line of standard input is a JSON object with `manifest` and `segment` (paths); each is answered by one with `start_ns`, `end_ns`.
"""

import json
import sys
import time
from pathlib import Path

from validator.adapters.list_installer import ListInstaller
from validator.formats.manifest import decode


def main() -> None:
    """Until the end of the input."""
    installer = ListInstaller(Path(sys.argv[1]))
    for line in sys.stdin:
        wanted = json.loads(line)
        start_ns = time.monotonic_ns()
        manifest = Path(wanted["manifest"]).read_bytes()
        segment = decode(manifest).rules[-1].segments[0]
        installer.install(manifest, {segment.file_name: Path(wanted["segment"])})
        installer.prune()
        answer = {"event": "installed", "start_ns": start_ns, "end_ns": time.monotonic_ns()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
