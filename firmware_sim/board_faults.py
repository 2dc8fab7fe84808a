"""Named faults of the simulated board: what goes wrong with what it says, hears, or lives through. Seeded, so that a run repeats.

A fault is `NAME` (every time), `NAME=N` (the next N times) or `NAME=0.1` (that often); `delayed` takes milliseconds instead.
It spoils frames and says when to fail; board.py does the failing. It knows nothing of sessions.
"""

from dataclasses import dataclass
from random import Random

from firmware_sim.board_frames import Frame, Heartbeat, Hello, encode, stuff, unstuff

BROWNOUT_MS = 200  # a supply that dips and recovers
UNPLUGGED_MS = 500  # somebody pulls the cable by mistake and puts it back
NOISE_MAX_BYTES = 12
DELAY_MAX_MS = 60_000
COUNT_MAX = 1_000_000

# Name -> what it does; the order is the order of the help.
FAULTS = {
    "noise": "random bytes before a frame",
    "dropped": "an ACK or event is not sent",
    "truncated": "an ACK or event loses its end and its delimiter",
    "bad-checksum": "an ACK or event has a wrong CRC",
    "duplicate": "an ACK or event is sent twice",
    "delayed": "each ACK or event is sent that many milliseconds late, and what follows waits behind it",
    "silent": "a heartbeat is not sent",
    "deaf": "bytes from the lane are not heard, so there are no ACKs",
    "reader-broken": "the board's own card reader does not work",
    "restart-on-open": "the board restarts in the middle of a passage",
    "brownout-on-open": f"its supply fails for {BROWNOUT_MS} ms in the middle of a passage",
    "unplug-on-open": f"its cable is out for {UNPLUGGED_MS} ms in the middle of a passage",
}
_DELAYED = "delayed"


@dataclass(frozen=True, slots=True)
class Sent:
    """What really goes out of one frame: perhaps nothing, perhaps spoilt, perhaps late; `hit` names the faults."""

    data: bytes
    delay_ms: int
    hit: tuple[str, ...]


class BoardFaults:
    """The faults in force."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._share: dict[str, float] = {}
        self._left: dict[str, int] = {}
        self._delay_ms = 0

    def set(self, spec: str) -> None:
        """Put a fault in force, `NAME` or `NAME=VALUE`; `none` ends all.

        Raises:
            ValueError: no such fault, or a value that it cannot have; nothing has changed.
        """
        name, given, value = spec.partition("=")
        if spec == "none":
            self._share.clear()
            self._left.clear()
            self._delay_ms = 0
        elif name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}, none")
        elif name == _DELAYED:
            self._delay_ms = _whole(name, value, DELAY_MAX_MS)
        else:
            self._set_how_often(name, value if given else "1.0")

    def _set_how_often(self, name: str, value: str) -> None:
        if "." not in value:
            self._left[name] = _whole(name, value, COUNT_MAX)
            self._share.pop(name, None)
            return
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name}={value}: a share is between 0.0 and 1.0")
        self._share[name] = share
        self._left.pop(name, None)

    def active(self, name: str) -> bool:
        """Whether a fault that is a state is in force; nothing is used up."""
        return bool(self._left.get(name) or self._share.get(name))

    def hits(self, name: str) -> bool:
        """Whether it strikes this time; one of its times is used up."""
        if self._left.get(name):
            self._left[name] -= 1
            return True
        share = self._share.get(name)
        return share is not None and self._random.random() < share

    def as_words(self) -> dict[str, float]:
        """The faults in force: times left, share, or milliseconds."""
        left = {name: count for name, count in self._left.items() if count}
        return {**self._share, **left, **({_DELAYED: self._delay_ms} if self._delay_ms else {})}

    def send(self, seq: int, frame: Frame) -> Sent:
        """What becomes of one frame on its way out."""
        data = encode(frame, seq)
        if isinstance(frame, Heartbeat) and self.hits("silent"):
            return Sent(b"", 0, ("silent",))
        if isinstance(frame, Hello | Heartbeat):
            return self._with_noise(Sent(data, 0, ()))
        if self.hits("dropped"):
            return Sent(b"", 0, ("dropped",))
        sent = self._spoilt(data)
        if self._delay_ms:
            sent = Sent(sent.data, self._delay_ms, (*sent.hit, _DELAYED))
        return self._with_noise(sent)

    def _spoilt(self, data: bytes) -> Sent:
        if self.hits("truncated"):
            return Sent(data[: self._random.randrange(1, len(data) - 1)], 0, ("truncated",))
        if self.hits("bad-checksum"):
            return Sent(_with_wrong_crc(data), 0, ("bad-checksum",))
        if self.hits("duplicate"):
            return Sent(data * 2, 0, ("duplicate",))
        return Sent(data, 0, ())

    def _with_noise(self, sent: Sent) -> Sent:
        if not self.hits("noise"):
            return sent
        noise = self._random.randbytes(self._random.randrange(1, NOISE_MAX_BYTES + 1))
        return Sent(noise + sent.data, sent.delay_ms, (*sent.hit, "noise"))


def _whole(name: str, value: str, highest: int) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) > highest:
        raise ValueError(f"{name}={value}: wants a whole number up to {highest}")
    return int(value)


def _with_wrong_crc(data: bytes) -> bytes:
    payload = unstuff(data[:-1])
    if payload is None:
        raise AssertionError("we have just made this frame")
    return stuff(payload[:-1] + bytes((payload[-1] ^ 1,))) + b"\x00"
