"""docs/gate.md, "On a laptop": a new user's four terminals, typed as the page shows them.

Only the folder, the port and the way to the commands are replaced, so that the walk can run beside
others.
"""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gate.md"
FOLDER = "/tmp/try"  # noqa: S108  # the page's; nothing is made there
WALK = PAGE.read_text(encoding="utf-8").partition("## On a laptop\n")[2].partition("\n## ")[0]
WAIT_S = 120.0  # a shared machine may stall for seconds


class Terminal:
    """One shell that runs the lines of one block; its output can be waited for."""

    def __init__(self, lines: str) -> None:
        self.output = ""
        self._unread = 0
        self.process = subprocess.Popen(
            ["bash", "-e", "-c", lines],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def type(self, line: str) -> None:
        """Type a line into the program that runs in front."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def wait_for(self, pattern: str) -> str:
        """The first match after the last one found; fails with all output if none comes."""
        deadline_s = time.monotonic() + WAIT_S
        while True:
            if found := re.compile(rf"^.*{pattern}.*\n", re.MULTILINE).search(
                self.output, self._unread
            ):
                self._unread = found.end()
                return found[0]
            self._read(deadline_s, pattern)

    def _read(self, deadline_s: float, pattern: str) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select(
            [self.process.stdout], [], [], max(deadline_s - time.monotonic(), 0)
        )
        data = os.read(self.process.stdout.fileno(), 65_536) if ready else b""
        assert data, f"{pattern!r} did not come in:\n{self.output}"
        self.output += data.decode()


@contextmanager
def terminal(lines: str) -> Iterator[Terminal]:
    """A terminal whose programs end with it."""
    made = Terminal(lines)
    try:
        yield made
    finally:
        os.killpg(made.process.pid, signal.SIGTERM)
        made.process.communicate(timeout=WAIT_S)


def blocks(folder: Path) -> list[str]:
    """The page's blocks of lines, for this folder and a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = WALK.replace(FOLDER, str(folder)).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = text.replace("turnike-backoffice serve\n", f"turnike-backoffice serve --port {port}\n")
    bin_folder = Path(sys.executable).parent
    text = text.replace("source .venv/bin/activate", f'export PATH="{bin_folder}:$PATH"')
    found = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in found]


def test_the_walk(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not here: apt-get install bash")
    begin, city, hardware, gate, cards, look = blocks(tmp_path)
    admitted, away, denied = cards.splitlines()
    with ExitStack() as ends:
        in_city = ends.enter_context(terminal(f"{begin}\n{city}"))
        in_city.wait_for("http://127")
        reader = ends.enter_context(terminal(f"{begin}\n{hardware}"))
        at_gate = ends.enter_context(terminal(f"{begin}\n{gate}"))
        at_gate.wait_for('"list_version":1')
        wait_until_both_are_ready(at_gate)
        reader.type(admitted)
        at_gate.wait_for('"outcome":"admitted"')
        reader.type(away)
        at_gate.wait_for('"passed":true')
        reader.type(denied)
        at_gate.wait_for('"outcome":"denied"')
        shown = shown_until("1 reports came, 0 are missing, 0 were refused", f"{begin}\n{look}")
        assert "1 gates" in shown


def wait_until_both_are_ready(at_gate: Terminal) -> None:
    """Board and reader may have become ready before or after the list came."""
    for device in ("board", "reader"):
        if not re.search(rf'"event":"{device}","state":"ready"', at_gate.output):
            at_gate.wait_for(f'"event":"{device}","state":"ready"')


def shown_until(text: str, lines: str) -> str:
    """What these lines print once `text` is part of it; the report is on its way meanwhile."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        run = subprocess.run(
            ["bash", "-e", "-c", lines], check=False, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        if text in run.stdout:
            return run.stdout
        assert time.monotonic() < deadline_s, run.stdout
