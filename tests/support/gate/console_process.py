"""A console as a process: its address, its streams, and requests byte by byte."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.machine.programs import WAIT_S, Program, program


@dataclass(frozen=True)
class Answered:
    """An answer; its head in lower case."""

    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stream:
    """An open page."""

    def __init__(self, port: int) -> None:
        self.heard = b""
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")

    def status(self) -> int:
        """Of the answer, once its head is here."""
        head = self._line()
        while self._line() != b"\r\n":
            pass
        return int(head.split()[1])

    def event(self, name: str, **fields: object) -> Any:
        """The next such event."""
        while True:
            if self._line() == f"event: {name}\n".encode():
                data = json.loads(self._line().removeprefix(b"data: "))
                if all(data.get(key) == value for key, value in fields.items()):
                    return data

    def gate(self, **fields: object) -> Any:
        """The next state whose first lane is so."""
        while True:
            lane = self.event("gate")["lanes"][0]
            if all(lane[key] == value for key, value in fields.items()):
                return lane

    def is_ended(self) -> bool:
        """Whether the program ends by itself."""
        while self._file.readline():
            pass
        return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _line(self) -> bytes:
        line = self._file.readline()
        assert line, f"the stream has ended after {self.heard[-2_000:]!r}"
        self.heard += line
        return line


class Console:
    """The process, and what a browser asks of it."""

    def __init__(self, process: Program) -> None:
        self.program = process
        self.port = int(process.event("started")["address"].rstrip("/").rpartition(":")[2])

    def ask(self, path: str, *, method: str = "GET", host: str = "", head: str = "") -> Answered:
        """One request on a connection of its own."""
        return self.say(
            f"{method} {path} HTTP/1.1\r\nHost: {host or f'localhost:{self.port}'}\r\n"
            f"Connection: close\r\n{head}\r\n".encode()
        )

    def say(self, data: bytes) -> Answered:
        """These bytes; a connection that is broken off has status 0."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), WAIT_S) as caller:
            try:
                caller.sendall(data)
                while part := caller.recv(65_536):
                    said += part
            except (ConnectionResetError, BrokenPipeError):
                pass
        top, _, body = said.partition(b"\r\n\r\n")
        return Answered(int(top.split()[1]) if top else 0, top.decode().lower(), body)

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """All samples."""
        text = self.ask("/metrics").body.decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @contextmanager
    def page(self) -> Iterator[Stream]:
        """An open page that was let in."""
        stream = Stream(self.port)
        try:
            assert stream.status() == 200
            yield stream
        finally:
            stream.close()

    @property
    def rss_kib(self) -> int:
        lines = Path(f"/proc/{self.program.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def with_console(config: Path, socket_path: Path) -> Path:
    path = config.with_name("console.toml")
    table = f'[console]\nlisten = "127.0.0.1:0"\nlanes = ["{socket_path}"]\n'
    path.write_text(config.read_text() + table)
    return path


@contextmanager
def console(config: Path, *module: str) -> Iterator[Console]:
    arguments = module or ("validator", "console", "--config")
    with program(*arguments, str(config)) as process:
        yield Console(process)
