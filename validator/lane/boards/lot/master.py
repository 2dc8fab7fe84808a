"""The master of a Modbus line with one turnstile: one request at a time. Pure; time is an argument.

A line may echo what the master sends (two-wire RS-485): an echo of the request under way is
skipped. Other bytes before an answer are noise and are skipped too.

An answer names neither its request nor its time. One that is late looks like the answer to the next
request of the same kind, and every answer after it is one behind. So each answer is taken for that
to the oldest request which may still be unanswered, and says from when it is.
"""

from collections import defaultdict, deque
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
# The maker's SDK waits 50 ms for an answer; a USB adapter may hold its bytes for 16 ms each way.
ANSWER_NS = 100 * NS_PER_MS
PAUSE_NS = 5 * NS_PER_MS  # between two requests, as the maker's SDK recommends
LATE_NS = 1_000 * NS_PER_MS  # an answer that has not come by then was lost
BUSY = (5, 6)  # exceptions of a device that works on something: it is asked again
NOISE_BYTES_MAX = 512  # more without an answer: the line babbles; wait for the time-out


@dataclass(frozen=True, slots=True)
class Answered:
    """The turnstile has answered: the registers of a read, nothing for a write.

    They may be as old as `since_ns`, when a request like this one was sent.
    """

    request: Request
    values: tuple[int, ...]
    since_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer that is valid came in time; whether the request was done is unknown.

    `is_busy`: the turnstile has answered that it cannot do it now.
    """

    request: Request
    is_busy: bool = False


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
        self._is_busy = False
        self._unanswered: defaultdict[Request, _Unanswered] = defaultdict(_Unanswered)

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
        self._unanswered[request].ask(now_ns)
        self._request, self._is_busy = request, False
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
            self._unanswered[request].failed_ns.append(now_ns)
            result = Failed(request, self._is_busy)
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
            if isinstance(found, Refused) and found.code not in BUSY:
                return RefusedRequest(request, found.code)
            if isinstance(found, Refused):
                self._is_busy = True
            elif found is not None:
                since_ns = self._unanswered[request].asked_ns.popleft()
                return Answered(request, found, since_ns)
        return None


class _Unanswered:
    """When equal requests were sent that may still be answered, and when some failed."""

    def __init__(self) -> None:
        self.asked_ns: deque[int] = deque()
        self.failed_ns: deque[int] = deque()

    def ask(self, now_ns: int) -> None:
        """Add a request, and drop as many as can no longer be answered."""
        while self.failed_ns and now_ns - self.failed_ns[0] > LATE_NS:
            self.failed_ns.popleft()
        while len(self.asked_ns) > len(self.failed_ns):
            self.asked_ns.popleft()
        self.asked_ns.append(now_ns)
