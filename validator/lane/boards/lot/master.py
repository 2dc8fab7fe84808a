"""The master of a Modbus line with one turnstile: one request at a time. Pure; time is an argument.

A line may echo what the master sends (two-wire RS-485): an echo of the request under way is
skipped. Other bytes before an answer are noise and are skipped too.
"""

from dataclasses import dataclass

from validator.lane.boards.lot.frames import (
    EXCEPTION_BYTES,
    Refused,
    Request,
    answer_bytes,
    decode,
    encode,
)

NS_PER_MS = 1_000_000
# The maker's SDK waits 50 ms for an answer; an USB adapter may hold its bytes for 16 ms each way.
ANSWER_NS = 100 * NS_PER_MS
PAUSE_NS = 5 * NS_PER_MS  # between two requests, as the maker's SDK recommends
NOISE_BYTES_MAX = 512  # more without an answer: the line babbles; wait for the time-out


@dataclass(frozen=True, slots=True)
class Answered:
    """The turnstile has answered: the registers of a read, nothing for a write."""

    request: Request
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer that is valid came in time; whether the request was done is unknown."""

    request: Request


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """The turnstile refuses the request, with this exception code."""

    request: Request
    code: int


Result = Answered | Failed | RefusedRequest


class Master:
    """Sends one request and finds its answer in what comes back."""

    def __init__(self, address: int, now_ns: int) -> None:
        self.outgoing = bytearray()
        self._address = address
        self._request: Request | None = None
        self._sent = b""
        self._received = bytearray()
        self._due_ns = now_ns

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._request is None

    @property
    def due_ns(self) -> int:
        """When the answer is late, or from when on a request may be sent."""
        return self._due_ns

    def may_ask(self, now_ns: int) -> bool:
        """Return whether a request may be sent now."""
        return self.is_idle and now_ns >= self._due_ns

    def ask(self, request: Request, now_ns: int) -> None:
        """Send a request; `may_ask` has to be true."""
        self._request = request
        self._sent = encode(self._address, request)
        self._received.clear()
        self.outgoing += self._sent
        self._due_ns = now_ns + ANSWER_NS

    def receive(self, data: bytes, now_ns: int) -> Result | None:
        """Take bytes from the line; return the result of the request, once it is known."""
        request = self._request
        if request is None:
            return None  # a late answer: the state is read again anyway
        if len(self._received) < NOISE_BYTES_MAX:
            self._received += data
        result = self._find(request)
        if result is None and now_ns >= self._due_ns:
            result = Failed(request)
        if result is not None:
            self._request = None
            self._due_ns = now_ns + PAUSE_NS
        return result

    def _find(self, request: Request) -> Result | None:
        received = bytes(self._received)
        echo_at = received.find(self._sent)
        first = echo_at + len(self._sent) if echo_at >= 0 else 0
        shortest = min(EXCEPTION_BYTES, answer_bytes(request))
        for at in range(first, len(received) - shortest + 1):
            found = decode(self._address, request, received[at:])
            if isinstance(found, Refused):
                return RefusedRequest(request, found.code)
            if found is not None:
                return Answered(request, found)
        return None
