"""Thousands of connections to a real `serve`, on loopback.

The server ends those that finish nothing, and answers a gate all the while.
"""

import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backoffice.home.config import load
from backoffice.receiver.connections import FILES_KEPT, ConnectionLimits
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S, stored
from validator.courier.ports import Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.web.client import Web

SERVE_FILES = 4_096  # what `serve` is allowed
SILENT, HALF = 2_500, 500
WAIT_S = 120.0
RULES = '[[rules]]\nname = "suspended"\neffect = "refuse"\nuntil_unit_s = 60\n'


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Raise the limit of open files for this process, or fail with what is missing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < 2 * SERVE_FILES:
        pytest.skip(f"{hard} descriptors: ulimit -Hn {2 * SERVE_FILES} before the tests")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * SERVE_FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def serving(tmp_path: Path, descriptors: None) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    """A `serve` that may have few descriptors, and its port."""
    del descriptors
    (tmp_path / "backoffice.toml").write_text(RULES)
    limited = (
        "import resource, runpy, sys;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (1024, {SERVE_FILES}));"
        "sys.argv = ['serve', 'serve', '--home', sys.argv[1], '--port', '0'];"
        "runpy.run_module('backoffice', run_name='__main__')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", limited, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline()
            yield int(address.rstrip("/\n").rpartition(":")[2]), process
        finally:
            process.terminate()
            process.wait(WAIT_S)


def ended(callers: list[socket.socket]) -> None:
    """Wait until the other side has hung up on each."""
    waiting = {caller.fileno(): caller for caller in callers}
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLIN)
    while waiting:
        found = poll.poll(WAIT_S * 1_000)
        assert found, f"{len(waiting)} connections that finish nothing are held for ever"
        for number, _ in found:
            poll.unregister(number)
            del waiting[number]


def test_gates_are_answered_beside_thousands_that_finish_nothing_and_those_are_ended(
    serving: tuple[int, "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    port, process = serving
    key = Ed25519PrivateKey.generate()
    web = Web()
    office = ReceiverClient(f"http://127.0.0.1:{port}/", web, "gate", key, lambda: NOW_UNIX_S)
    with ExitStack() as stack:
        store = stack.enter_context(ReportStore.open(load(tmp_path).database_url))
        stack.callback(web.close)
        token, public = store.invite("gate", NOW_UNIX_S), key.public_key().public_bytes_raw()
        store.enrol("gate", token, public, NOW_UNIX_S)

        def sent(seq: int) -> Result:
            (answer,) = office.send([stored(seq)]).values()
            return answer.result

        def called(count: int, said: bytes) -> list[socket.socket]:
            made = []
            for _ in range(count):
                caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_S))
                caller.sendall(said)
                made.append(caller)
            return made

        callers = called(SILENT, b"") + called(HALF, b"POST /v1/reports HTTP/1.1\r\nHost: loc")
        assert sent(1) is Result.STORED
        open_files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        assert open_files < SERVE_FILES - FILES_KEPT, "within what it promised"
        ended(callers)
        assert sent(2) is Result.STORED
        # More than it may keep: it refuses those for which there is no room, and nothing else.
        callers += called(SERVE_FILES + 100, b"")
        ended(callers[SILENT + HALF :])
        assert sent(3) is Result.STORED
    process.terminate()
    _, said = process.communicate(timeout=WAIT_S)
    (line,) = said.splitlines()
    assert line.startswith(
        f"may open {SERVE_FILES:,} files, and 20,000 gates at once (--gates) need "
    )
    assert f"until then it keeps {SERVE_FILES - FILES_KEPT:,} connections" in line
    assert ConnectionLimits().head_s < WAIT_S
