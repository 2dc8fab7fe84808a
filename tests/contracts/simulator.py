"""One simulated device as a process of its own: verbs in, events out."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.machine.programs import as_hardware

ANSWER_S = 90.0  # within which a simulated device answers a verb; far above what it needs
# From and to: how long a busy machine lets a process wait for its turn, and how often.
STALL_S = 0.05, 0.3
BETWEEN_STALLS_S = 0.02, 0.4


class Simulator:
    """One `firmware-sim` process. Each verb waits for the event by which the device confirms it."""

    def __init__(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("firmware-sim")), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        as_hardware(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self.path = self._line(time.monotonic() + ANSWER_S).decode()

    def say(self, verb: str, answer: str) -> dict[str, Any]:
        """Send a verb, wait for the event `answer`, and return that event."""
        self.call(verb)
        return self.wait_for(answer, verb)

    def call(self, verb: str) -> None:
        """Send a verb and do not wait: for a test that serves a reader meanwhile."""
        self._stdin.write(f"{verb}\n".encode())

    def wait_for(self, name: str, why: str = "") -> dict[str, Any]:
        """Return the next event of that name. All events stay in `events`.

        `why` is named if the device reports an error instead.
        """
        deadline = time.monotonic() + ANSWER_S
        while True:
            event: dict[str, Any] = json.loads(self._line(deadline))
            self.events.append(event)
            assert event["event"] != "error", f"{why}: {event['message']}"
            if event["event"] == name:
                return event

    @contextmanager
    def stalling(self, rng: random.Random) -> Iterator[None]:
        """Stop the process for a moment now and then meanwhile, as a busy machine does."""
        ended = threading.Event()

        def stall() -> None:
            while not ended.wait(rng.uniform(*BETWEEN_STALLS_S)):
                self._process.send_signal(signal.SIGSTOP)
                ended.wait(rng.uniform(*STALL_S))
                self._process.send_signal(signal.SIGCONT)

        staller = threading.Thread(target=stall)
        staller.start()
        try:
            yield
        finally:
            ended.set()
            staller.join()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(ANSWER_S)
        self._stdin.close()
        self._stdout.close()

    def _line(self, deadline: float) -> bytes:
        while not self._lines:
            wait_s = max(0.0, deadline - time.monotonic())
            assert select.select((self._stdout,), (), (), wait_s)[0], (
                "the simulated device sends no event"
            )
            data = os.read(self._stdout.fileno(), 65536)
            assert data, "the simulated device has ended"
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()
