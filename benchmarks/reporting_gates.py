"""Gates that upload, as a program of its own: what they send is signed before anything is timed. For benchmarks/reports.py alone.

    python -m benchmarks.reporting_gates URL REQUESTS BATCH

Says "ready" when every request is made, and sends them when a line comes: each on a kept connection of its gate's web server, several at once.
A BATCH of 0 is what a gate says each minute of how it fares. Ends with how long all took, and each of them.
"""

import gzip
import json
import socket
import sys
import time
from hashlib import sha256
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.reports import stored
from validator.formats.signed_request import sign

GATES = 250
CONNECTIONS = 8
SEALED_CHARACTERS = 76  # seven bytes in a sealed box, base64
STATUS_BYTES = 2_000
_READ_BYTES = 65_536


def gate_id(number: int) -> str:
    """Its name."""
    return f"gate-{number:05d}"


def gate_key(number: int) -> Ed25519PrivateKey:
    """Its key."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"key of gate {number}".encode()).digest())


def requests(url: str, count: int, batch: int) -> list[bytes]:
    """As many requests, of one gate after the other, as they stand on the line."""
    keys = [gate_key(number) for number in range(GATES)]
    return [_request(url, number, batch, keys[number % GATES]) for number in range(count)]


def _request(url: str, number: int, batch: int, key: Ed25519PrivateKey) -> bytes:
    gate = gate_id(number % GATES)
    path = "v1/reports" if batch else f"v1/gates/{gate}/status"
    content = _reports(gate, number, batch) if batch else _status(number)
    body = gzip.compress(content, 6, mtime=0)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    signed = sign("POST", url + path, headers, body, key, gate, 1_800_000_000 + number)
    lines = [f"POST /{path} HTTP/1.1", f"host: {urlsplit(url).netloc}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _reports(gate: str, number: int, batch: int) -> bytes:
    """The next ones of this gate, in an outbox that goes by the size of the batch."""
    first = number // GATES * batch + 1
    sealed = {"sealed": "s" * SEALED_CHARACTERS, "sealed_to": "0" * 16, "outbox_id": f"{batch:032x}"}
    each = [stored(seq, gate_id=gate, **sealed).json() for seq in range(first, first + batch)]
    return b'{"reports":[' + b",".join(each) + b"]}"


def _status(number: int) -> bytes:
    random = sha256(str(number).encode()).hexdigest() * (STATUS_BYTES // 64)
    return json.dumps({"list_version": number, "lanes": random}).encode()


class Gates:
    """Sends the requests, a few at once: as soon as one is answered, the next."""

    def __init__(self, url: str, requests: list[bytes], batch: int) -> None:
        self.taken_ns: list[int] = []
        """How long each took."""
        self.wrong: list[bytes] = []
        """Answers that say something else than that everything was stored."""
        self._batch = batch
        self._waiting: SimpleQueue[bytes] = SimpleQueue()
        for request in requests:
            self._waiting.put(request)
        parts = urlsplit(url)
        where = (parts.hostname, parts.port)
        self._lines = [socket.create_connection(where) for _ in range(CONNECTIONS)]

    def send(self) -> int:
        """Send all; ns taken."""
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
            started_ns = time.perf_counter_ns()
            line.sendall(request)
            answer = _answer(line)
            self.taken_ns.append(time.perf_counter_ns() - started_ns)
            if not answer.startswith(b"HTTP/1.1 200") or answer.count(b'"stored"') != self._batch:
                self.wrong.append(answer)


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
    gates = Gates(url, requests(url, count, batch), batch)
    print(json.dumps({"event": "ready"}), flush=True)
    sys.stdin.readline()
    took_ns = gates.send()
    wrong = [answer[:300].decode(errors="replace") for answer in gates.wrong[:3]]
    print(json.dumps({"event": "sent", "took_ns": took_ns, "each_ns": gates.taken_ns, "wrong": wrong}))


if __name__ == "__main__":
    main()
