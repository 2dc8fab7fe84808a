"""The simulated board's faults: their names, and what they do to a frame on its way out.

firmware_sim/faults.py parses a fault and draws whether it strikes; board.py fails in the middle of
a passage.
"""

from dataclasses import dataclass
from random import Random

from firmware_sim.board.frames import Frame, Heartbeat, Hello, encode, stuff, unstuff
from firmware_sim.faults import ALWAYS, LINE_FAULTS, NEXT, Fault, Faults, Kind, parse

BROWNOUT_MS = 200  # a supply that dips and recovers
UNPLUGGED_MS = 500  # a cable that was pulled by mistake and put back
NOISE_MAX_BYTES = 12

BOARD_FAULTS = {
    "noise": Kind(None, ALWAYS, "random bytes in front of a frame"),
    "dropped": Kind(None, ALWAYS, "an ACK or event is not sent"),
    "truncated": Kind(None, ALWAYS, "an ACK or event loses its end, and its delimiter with it"),
    "bad-checksum": Kind(None, ALWAYS, "an ACK or event has a wrong CRC"),
    "duplicate": Kind(None, ALWAYS, "an ACK or event is sent twice"),
    "delayed": Kind(
        "ms",
        ALWAYS,
        "an ACK or event is sent MS milliseconds late; what follows waits",
        value_required=True,
    ),
    "silent": Kind(None, ALWAYS, "a heartbeat is not sent"),
    "deaf": Kind(
        None, ALWAYS, "bytes from the lane are lost: nothing is done and nothing acknowledged"
    ),
    "hears-itself": Kind(None, ALWAYS, "the line gives the board back what it sends"),
    **LINE_FAULTS,
    "reader-broken": Kind(
        None, ALWAYS, "its own card reader does not work, and the heartbeat has the bit for it"
    ),
    "restart-on-open": Kind(None, NEXT, "it restarts in the middle of a passage"),
    "brownout-on-open": Kind(
        None, NEXT, f"its supply fails for {BROWNOUT_MS} ms in the middle of a passage"
    ),
    "unplug-on-open": Kind(
        "ms", NEXT, f"its cable is out for MS ({UNPLUGGED_MS}) ms while a passage begins"
    ),
}


def parse_board_fault(text: str) -> Fault:
    """Parse a fault of the board; see `firmware_sim.faults.parse`.

    Raises:
        ValueError: an unknown name, or a value that does not fit.
    """
    return parse(text, BOARD_FAULTS)


@dataclass(frozen=True, slots=True)
class Sent:
    """What leaves the board of one frame.

    Attributes:
        data: the bytes, perhaps spoilt, perhaps none.
        delay_ms: how much later than due.
        struck: the names of the faults that struck.
    """

    data: bytes
    delay_ms: int
    struck: tuple[str, ...]


class BoardFaults(Faults):
    """The board's faults that are on."""

    def hits(self, name: str) -> bool:
        """Return whether the fault strikes this time."""
        return self.strike(name) is not None

    def send(self, seq: int, frame: Frame) -> Sent:
        """Put one frame through the faults; HELLO suffers only noise, since it repeats anyway."""
        data = encode(frame, seq)
        if self.hits("dead"):
            return Sent(b"", 0, ("dead",))
        if isinstance(frame, Heartbeat) and self.hits("silent"):
            return Sent(b"", 0, ("silent",))
        if isinstance(frame, Hello | Heartbeat):
            return self._with_noise(Sent(data, 0, ()))
        if self.hits("dropped"):
            return Sent(b"", 0, ("dropped",))
        return self._with_noise(self._late(self._spoilt(data)))

    def _spoilt(self, data: bytes) -> Sent:
        if self.hits("truncated"):
            return Sent(data[: self.random.randrange(1, len(data) - 1)], 0, ("truncated",))
        if self.hits("bad-checksum"):
            return Sent(_with_wrong_crc(data), 0, ("bad-checksum",))
        if self.hits("duplicate"):
            return Sent(data * 2, 0, ("duplicate",))
        return Sent(data, 0, ())

    def _late(self, sent: Sent) -> Sent:
        fault = self.strike("delayed")
        return Sent(sent.data, int(fault.value or 0), (*sent.struck, "delayed")) if fault else sent

    def _with_noise(self, sent: Sent) -> Sent:
        if not self.hits("noise"):
            return sent
        noise = _noise(self.random)
        return Sent(noise + sent.data, sent.delay_ms, (*sent.struck, "noise"))


def _noise(random: Random) -> bytes:
    return random.randbytes(random.randrange(1, NOISE_MAX_BYTES + 1))


def _with_wrong_crc(data: bytes) -> bytes:
    payload = unstuff(data[:-1])
    if payload is None:
        raise AssertionError("this frame was encoded here")
    return stuff(payload[:-1] + bytes((payload[-1] ^ 1,))) + b"\x00"
