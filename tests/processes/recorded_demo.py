"""The demo, whose folder is kept, with all that its processes print and all that the lane socket says: `python -m tests.processes.recorded_demo FOLDER …`.

The demo itself runs as ever; only where it would tidy up, and where it would read and forget, somebody takes notes. FOLDER/demo is what it leaves behind,
FOLDER/heard what each child printed (its standard error too, in a file of its own), and what the lane socket answered and told whoever watches.
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
from pathlib import Path
from typing import Any

from turnike_demo import children
from turnike_demo.run import Demo
from validator.cli import main
from validator.ipc.client import LaneClient

FOLDER = Path(sys.argv.pop(1))
HEARD = FOLDER / "heard"


@contextmanager
def kept(**_: object) -> Iterator[str]:
    """A folder that stays."""
    (FOLDER / "demo").mkdir()
    yield str(FOLDER / "demo")


def note(name: str, data: bytes) -> None:
    """Write down what was heard."""
    with (HEARD / name).open("ab") as out:
        out.write(data)


class RecordedChild(children.Child):
    """A child whose every word is noted."""

    def __init__(self, name: str, *command: str, is_elsewhere: bool = False) -> None:
        popen = subprocess.Popen
        with (HEARD / f"{name}.stderr").open("ab") as errors:
            # The only Popen until it is undone: the demo starts its children in one thread.
            subprocess.Popen = lambda *args, **more: popen(*args, **more, stderr=errors)  # type: ignore[assignment,misc,call-overload]
            try:
                super().__init__(name, *command, is_elsewhere=is_elsewhere)
            finally:
                subprocess.Popen = popen  # type: ignore[misc]

    def take(self) -> Iterator[children.Line]:
        """The lines that have come."""
        for line in super().take():
            note(f"{self.name}.stdout", json.dumps(line).encode() + b"\n")
            yield line


def watch(path: Path) -> None:
    """Note every event that the lane socket tells."""
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
    """What can still be asked at the end: rubbish too, since an answer might repeat it."""
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


HEARD.mkdir(parents=True)
tempfile.TemporaryDirectory = kept  # type: ignore[assignment,misc]
for module in ("crowd", "gate", "office", "programs", "visitor"):
    vars(sys.modules[f"validator.demo.{module}"])["Child"] = RecordedChild
LaneClient._ask = asked  # type: ignore[method-assign]
Demo._start = started  # type: ignore[method-assign]
Demo._result = ended  # type: ignore[method-assign]
os.environ["PYTHONUNBUFFERED"] = "1"
main()
