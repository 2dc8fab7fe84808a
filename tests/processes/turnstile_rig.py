"""A running demo, and a page of its turnstile over HTTP: the scenes, and what a visitor does.

with playing() as page:
    page.until(lambda scene: scene["board"]["shows"] == "ready")
    page.do("tap", card="matched")

`until` waits for a scene, and fails with the last one when it does not come.
"""

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LIMIT_S = 120.0  # a shared machine may stall; a test that passes never waits so long
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")

SceneSeen = dict[str, Any]


class Page:
    """A running demo and one page of its turnstile."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start a demo with `folder` for its files; return when it has printed its address."""
        self.folder = folder
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "validator",
                "demo",
                "--cards",
                "1000",
                "--timing",
                "ideal",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        self.printed = bytearray()
        self.lately: deque[str] = deque(maxlen=4)
        """The cards that the reader may still remember (decision 0004).

        It remembers two. The cards of a clash, and one that left early, may count or not.
        """
        self.received = bytearray()
        """The bytes of all events."""
        try:
            self.url = self._address()
        except BaseException:
            self.process.kill()
            raise
        self._news = threading.Condition()
        self._scene: SceneSeen = {}
        self._listeners = [
            threading.Thread(target=target, daemon=True) for target in (self._listen, self._drain)
        ]
        for listener in self._listeners:
            listener.start()

    @property
    def port(self) -> int:
        """The port of the page."""
        return urlsplit(self.url).port or 0

    def until(self, is_so: Callable[[SceneSeen], object]) -> SceneSeen:
        """Wait for a scene for which `is_so` is true, and return it."""
        end_s = time.monotonic() + LIMIT_S
        with self._news:
            while not self._scene or not is_so(self._scene):
                if not self._news.wait(end_s - time.monotonic()):
                    raise AssertionError(
                        f"no such scene came; {json.dumps(self._scene)} {self.printed.decode()}"
                    )
            return self._scene

    def do(self, verb: str, **more: object) -> tuple[int, str]:
        """Send a verb; return the status, and the refusal or the problem, if any."""
        self.lately += {"clash": ["matched", "unmatched"], "pull_early": ["matched"]}.get(verb, [])
        self.lately += [str(more["card"])] if verb in {"tap", "lay"} else []
        return self.post(json.dumps({"verb": verb, **more}).encode())

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Send a body, with these headers in place of a page's; return as `do` does."""
        own = {"content-type": "application/json", "origin": self.url.rstrip("/")}
        status, answer = self.ask("POST", "/do", body, own | dict(headers or {}))
        (problem,) = json.loads(answer).values() if answer.startswith(b"{") else ("",)
        return status, problem

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send one request; return the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> int:
        """End the demo with Ctrl-C; return its exit code. `result` has its last line."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        code = self.process.wait(LIMIT_S)
        self.result = json.loads(lines[-1]) if lines else {}
        self._close()
        return code

    def _close(self) -> None:
        """Wait for the threads that read from a demo which has ended."""
        for listener in self._listeners:
            listener.join(LIMIT_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def stop(self) -> None:
        """Kill the demo if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self._close()

    def _address(self) -> str:
        assert self.process.stderr is not None
        end_s = time.monotonic() + LIMIT_S
        while True:
            found = ADDRESS.search(self.printed.decode(errors="replace"))
            if found:
                return found[0]
            select.select([self.process.stderr], [], [], end_s - time.monotonic())
            read = os.read(self.process.stderr.fileno(), 65_536)
            assert read, self.printed
            assert time.monotonic() < end_s, self.printed
            self.printed += read

    def _drain(self) -> None:
        assert self.process.stderr is not None
        while read := os.read(self.process.stderr.fileno(), 65_536):
            self.printed += read

    def _listen(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request("GET", "/events")
            for line in iter(connection.getresponse().readline, b""):
                self._take(line)
        finally:
            connection.close()

    def _take(self, line: bytes) -> None:
        self.received += line
        if line.startswith(b"data: "):
            with self._news:
                self._scene = json.loads(line.removeprefix(b"data: "))
                self._news.notify_all()


@contextmanager
def playing(folder: Path, *arguments: str) -> Iterator[Page]:
    """Run a demo for the length of a block, on any port."""
    page = Page(folder, "--page-port", "0", *arguments)
    try:
        yield page
        if page.process.poll() is None:
            assert page.end() == 0, page.printed.decode()
    finally:
        page.stop()
