"""A program: gates that upload reports or statuses. benchmarks/reports/reports.py uses it.

    python -m benchmarks.reports.reporting_gates URL REQUESTS BATCH

It prints "ready" when every request is made, sends them at a line of input, and ends with the time
of all and of each. Each request goes over a kept connection, several at once. With a BATCH of 0 it
sends the status that a gate sends each minute. Reports are signed before anything is timed. A
status is signed when it is sent, with the nonce from the answer to the gate's status before: that
is in the time of the whole and not of the request.
"""

import gzip
import json
import socket
import sys
import time
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.gate.reports import stored
from validator.reports.signed_request import FIRST_NONCE, sign

Status = tuple[int, bytes]
"""The number of its gate, and its body."""

GATES = 250
CONNECTIONS = 8
SEALED_CHARACTERS = 76  # seven bytes in a sealed box, base64
STATUS_BYTES = 2_000
_READ_BYTES = 65_536


def gate_id(number: int) -> str:
    """The name of a gate."""
    return f"gate-{number:05d}"


@cache
def gate_key(number: int) -> Ed25519PrivateKey:
    """The signing key of a gate."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"key of gate {number}".encode()).digest())


def requests(url: str, count: int, batch: int) -> list[bytes]:
    """The bytes of so many uploads of reports, of one gate after the other."""
    made = []
    for number in range(count):
        gate = number % GATES
        made.append(
            _request(url, "v1/reports", _packed(_reports(gate_id(gate), number, batch)), gate)
        )
    return made


def statuses(count: int) -> list[Status]:
    """So many statuses, of one gate after the other."""
    return [(number % GATES, _packed(_status(number))) for number in range(count)]


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


def _request(url: str, path: str, body: bytes, gate: int, nonce: str = "") -> bytes:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    key, now_unix_s = gate_key(gate), int(time.time())
    signed = sign("POST", url + path, headers, body, key, gate_id(gate), now_unix_s, nonce)
    lines = [
        f"POST /{path} HTTP/1.1",
        f"host: {urlsplit(url).netloc}",
        f"content-length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _reports(gate: str, number: int, batch: int) -> bytes:
    """The next reports of this gate, from an outbox named by the size of the batch."""
    first = number // GATES * batch + 1
    sealed = {
        "sealed": "s" * SEALED_CHARACTERS,
        "sealed_to": "0" * 16,
        "outbox_id": f"{batch:032x}",
    }
    each = [stored(seq, gate_id=gate, **sealed).json() for seq in range(first, first + batch)]
    return b'{"reports":[' + b",".join(each) + b"]}"


def _status(number: int) -> bytes:
    random = sha256(str(number).encode()).hexdigest() * (STATUS_BYTES // 64)
    return json.dumps({"list_version": number, "lanes": random}).encode()


class Gates:
    """Sends the requests over a few connections, the next one at each answer."""

    def __init__(self, url: str, requests: Sequence[bytes | Status], batch: int) -> None:
        """For statuses, this sends one of each gate first, since a gate has no nonce before."""
        self.taken_ns: list[int] = []
        """Ns of each request."""
        self.wrong: list[bytes] = []
        """Answers other than that everything was stored."""
        self._url = url
        self._batch = batch
        self._nonces = dict.fromkeys(range(GATES), FIRST_NONCE)
        parts = urlsplit(url)
        where = (parts.hostname, parts.port)
        self._lines = [socket.create_connection(where) for _ in range(CONNECTIONS)]
        self._waiting: SimpleQueue[bytes | Status] = SimpleQueue()
        if not batch:
            for status in statuses(GATES):
                self._ask(self._lines[0], status)
            self.taken_ns.clear()
            self.wrong.clear()
        for request in requests:
            self._waiting.put(request)

    def send(self) -> int:
        """Send all requests; return the ns taken."""
        threads = [Thread(target=self._send, args=(line,)) for line in self._lines]
        started_ns = time.perf_counter_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter_ns() - started_ns

    def _send(self, line: socket.socket) -> None:
        while True:
            try:
                request = self._waiting.get_nowait()
            except Empty:
                return
            self._ask(line, request)

    def _ask(self, line: socket.socket, request: bytes | Status) -> None:
        """Send one request; record its time, and its answer if that is wrong.

        Fewer requests are under way than there are gates, so that a gate has the answer to its
        last status when its next is sent.
        """
        gate, content = (
            (-1, request) if isinstance(request, bytes) else (request[0], self._signed(*request))
        )
        started_ns = time.perf_counter_ns()
        line.sendall(content)
        answer = _answer(line)
        self.taken_ns.append(time.perf_counter_ns() - started_ns)
        is_good = answer.startswith(b"HTTP/1.1 200") and answer.count(b'"stored"') == self._batch
        if gate >= 0:
            told = json.loads(answer[answer.index(b"{") :])
            self._nonces[gate] = told["next_nonce"]
            is_good = is_good and told["kept"]
        if not is_good:
            self.wrong.append(answer)

    def _signed(self, gate: int, body: bytes) -> bytes:
        return _request(
            self._url, f"v1/gates/{gate_id(gate)}/status", body, gate, self._nonces[gate]
        )


def _answer(line: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _read(line)
    head, _, content = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(content) < length:
        content += _read(line)
    return head + content


def _read(line: socket.socket) -> bytes:
    data = line.recv(_READ_BYTES)
    if not data:
        raise ConnectionError("the receiver hung up")
    return data


def main() -> None:
    """Prepare, wait, send."""
    url, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    gates = Gates(url, requests(url, count, batch) if batch else statuses(count), batch)
    print(json.dumps({"event": "ready"}), flush=True)
    sys.stdin.readline()
    took_ns = gates.send()
    wrong = [answer[:300].decode(errors="replace") for answer in gates.wrong[:3]]
    print(
        json.dumps({"event": "sent", "took_ns": took_ns, "each_ns": gates.taken_ns, "wrong": wrong})
    )


if __name__ == "__main__":
    main()
