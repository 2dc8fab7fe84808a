"""Runs the demo and keeps its folder and all that its gate prints, answers and sends.

    python -m tests.processes.recorded_demo FOLDER demo …

The demo runs as ever; this program changes only where it would remove its folder, and copies what
it reads. FOLDER/demo is the demo's folder. FOLDER/printed has what each child printed, its standard
error in a file of its own, and what the lane socket answered and sent to a watcher.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from turnike_demo.processes.child import Child
from turnike_demo.processes.events import Line
from turnike_demo.run import Demo
from validator.cli import main
from validator.ipc.client import LaneClient

FOLDER = Path(sys.argv.pop(1))
PRINTED = FOLDER / "printed"


@contextmanager
def kept(**_: object) -> Iterator[str]:
    """A temporary folder that is not removed."""
    (FOLDER / "demo").mkdir()
    yield str(FOLDER / "demo")


def note(name: str, data: bytes) -> None:
    """Append bytes to a file of what was printed."""
    with (PRINTED / name).open("ab") as out:
        out.write(data)


class RecordedChild(Child):
    """A child whose output is kept in files."""

    def __init__(self, name: str, *command: str, is_elsewhere: bool = False) -> None:
        popen = subprocess.Popen
        with (PRINTED / f"{name}.stderr").open("ab") as errors:
            # The only Popen until it is undone: the demo starts its children in one thread.
            subprocess.Popen = partial(popen, stderr=errors)  # type: ignore[assignment,misc]
            try:
                super().__init__(name, *command, is_elsewhere=is_elsewhere)
            finally:
                subprocess.Popen = popen  # type: ignore[misc]

    def read_lines(self) -> Iterator[Line]:
        """Read the lines, and keep them."""
        for line in super().read_lines():
            note(f"{self.name}.stdout", json.dumps(line).encode() + b"\n")
            yield line


def watch(path: Path) -> None:
    """Keep every event that the lane socket sends to a watcher."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as lane:
        lane.connect(str(path))
        lane.sendall(b'{"request":"watch"}\n')
        while data := lane.recv(65_536):
            note("watch", data)


def asked(self: LaneClient, request: Any, ask: Any = LaneClient._ask) -> Any:
    line = ask(self, request)
    note("answers", line + b"\n")
    return line


def started(self: Demo, stack: ExitStack, start: Any = Demo._start) -> None:
    start(self, stack)
    path = Path(self._folder) / "lane.sock"
    threading.Thread(target=watch, args=(path,), daemon=True).start()


def ended(self: Demo, result: Any = Demo._result) -> Any:
    """Keep what the gate's own commands print before the demo ends."""
    for command in (
        ["reports", "show"],
        ["reports", "show", "--json"],
        ["list", "show"],
        ["check"],
    ):
        shown = subprocess.run(
            [sys.executable, "-m", "validator", *command, "--config", str(self._config)],
            capture_output=True,
            check=False,
        )
        note("commands", shown.stdout + shown.stderr)
    return result(self)


PRINTED.mkdir(parents=True)
tempfile.TemporaryDirectory = kept  # type: ignore[assignment,misc]
STARTERS = (
    "city.back_office",
    "gate.crowd_process",
    "gate.gate",
    "processes.programs",
    "turnstile.visitor_lane",
)
for module in STARTERS:
    vars(sys.modules[f"turnike_demo.{module}"])["Child"] = RecordedChild
LaneClient._ask = asked  # type: ignore[method-assign]
Demo._start = started  # type: ignore[method-assign]
Demo._result = ended  # type: ignore[method-assign]
os.environ["PYTHONUNBUFFERED"] = "1"
main()
