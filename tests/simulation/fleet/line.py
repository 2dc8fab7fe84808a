"""Measure what a request of the real web client costs besides the file, in bytes of the TCP stream.

    python -m tests.simulation.fleet.line     # against the tests' own web server

A relay counts between the client and a real TLS server, whose answers are as long as nginx's.
Headers, TLS records and handshakes are counted; TCP and IP are not. `sizes.py` keeps the figures,
and a test compares them with this measurement again.
"""

import selectors
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import click

from tests.support.web.web_server import Authority, WebServer
from validator.courier.web.client import StatusError, Web

FILE_BYTES = 1_000
LARGE_BYTES = 1 << 24
MIB = 1 << 20
_STEP_BYTES = 1 << 16
_HASH = sha256(b"").hexdigest()
FILES = {
    "timestamp": "metadata/timestamp.json",
    "snapshot": "metadata/123456.snapshot.json",
    "targets": "metadata/123456.targets.json",
    "manifest": f"targets/{_HASH}.manifest.json",
    "index": f"indexes/{_HASH}.json",
}


class Passed(NamedTuple):
    """Bytes from the gate to the city, and from the city to the gate."""

    up: int
    down: int

    def minus(self, other: "Passed", body_bytes: int = 0) -> "Passed":
        """What has passed since `other`, less `body_bytes` towards the gate."""
        return Passed(self.up - other.up, self.down - other.down - body_bytes)


class Relay:
    """A TCP relay on loopback between a gate and a server, which counts bytes both ways."""

    def __init__(self, port: int) -> None:
        """Relay to the server on this port."""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up = self._down = 0

    @property
    def port(self) -> int:
        """The TCP port of the relay."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def passed(self) -> Passed:
        """The bytes until now: what a reader has received is counted."""
        return Passed(self._up, self._down)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                gate, _ = self._listener.accept()
                with gate, socket.create_connection(("127.0.0.1", self._to)) as city:
                    self._pump(gate, city)

    def _pump(self, gate: socket.socket, city: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(gate, selectors.EVENT_READ, city)
            selector.register(city, selectors.EVENT_READ, gate)
            while True:
                for key, _ in selector.select():
                    from_gate = key.data is city
                    step = (gate if from_gate else city).recv(_STEP_BYTES)
                    if not step:
                        return
                    self._up += len(step) if from_gate else 0
                    self._down += 0 if from_gate else len(step)
                    key.data.sendall(step)


def fill(folder: Path) -> None:
    """Write files of every kind into `folder`, named as published ones are."""
    contents = dict.fromkeys(FILES.values(), b"{" * FILE_BYTES)
    contents |= {_piece(size): bytes(size) for size in (FILE_BYTES, LARGE_BYTES)}
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def measure(port: int, ca_file: Path) -> dict[str, Passed]:
    """The cost of one request of each kind, from a server on `port` that serves what `fill` wrote.

    The bodies are taken off. `ca_file` holds the certificates by which the server is checked.
    """
    costs = {}
    with Relay(port) as relay, tempfile.TemporaryDirectory() as temporary:
        web, base = Web(ca_file=str(ca_file)), f"https://localhost:{relay.port}/"

        def count(ask: Callable[[], object], body_bytes: int) -> Passed:
            before = relay.passed
            ask()
            return relay.passed.minus(before, body_bytes)

        def download(size: int) -> None:
            name = _piece(size)
            web.download(f"{base}{name}", Path(temporary) / str(size), size, Path(name).stem)

        first = count(lambda: _absent(web, base), 0)
        costs["root"] = count(lambda: _absent(web, base), 0)
        costs["handshake"] = first.minus(costs["root"])
        tag = ""
        for kind, name in FILES.items():
            costs[kind] = count(partial(web.get, f"{base}{name}", FILE_BYTES), FILE_BYTES)
        answer = web.get(f"{base}{FILES['timestamp']}", FILE_BYTES)
        tag = answer.etag if answer else ""
        costs["unmodified"] = count(
            lambda: web.get(f"{base}{FILES['timestamp']}", FILE_BYTES, tag), 0
        )
        costs["piece"] = count(lambda: download(FILE_BYTES), FILE_BYTES)
        large = count(lambda: download(LARGE_BYTES), LARGE_BYTES)
        costs["mib"] = Passed(0, (large.down - costs["piece"].down) * MIB // LARGE_BYTES)
        web.close()
    return costs


def measured_here() -> Mapping[str, Passed]:
    """The costs with the tests' own server."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fill(folder)
        authority = Authority(folder)
        with WebServer(folder, tls=authority.context()) as server:
            return measure(server.port, authority.file)


def _piece(size: int) -> str:
    return f"segments/{sha256(bytes(size)).hexdigest()}.wire"


def _absent(web: Web, base: str) -> None:
    with suppress(StatusError):
        web.get(f"{base}metadata/2.root.json", FILE_BYTES)
        raise AssertionError("this server finds what is not there")


@click.command()
@click.option(
    "--port", type=int, help="Of another server on this machine, which serves --folder over TLS."
)
@click.option(
    "--ca", type=click.Path(path_type=Path), help="What its certificate is to be checked with."
)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Filled with files to ask for, then used."
)
def main(port: int | None, ca: Path | None, folder: Path | None) -> None:
    """Print what was counted."""
    if folder:
        fill(folder)
    costs = measure(port, ca) if port and ca else measured_here()
    for kind, passed in costs.items():
        click.echo(f'    "{kind}": Passed({passed.up}, {passed.down}),')


if __name__ == "__main__":
    main()
