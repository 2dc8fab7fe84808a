"""A simulated USB device on a table: a host's transfers, and a clock that a test moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from firmware_sim.faults import Faults, Kind
from firmware_sim.outcomes import Event, Unplug
from firmware_sim.usb.descriptors import Descriptors, Endpoint, Interface
from firmware_sim.usb.descriptors import Kind as EndpointKind
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.function import Function, FunctionOutcome
from firmware_sim.usb.transfers import Completion, Setup, Transfer

MS = 1_000_000
IN, OUT = 0x81, 0x02


class Table:
    """A function that a test plays itself: it keeps what it received, and sends what it is told."""

    def __init__(self, packet_bytes: int = 64) -> None:
        endpoints = (
            Endpoint(OUT, EndpointKind.BULK, packet_bytes),
            Endpoint(IN, EndpointKind.BULK, packet_bytes),
        )
        self.descriptors = Descriptors(
            0x1234, 0x5678, 0x0203, "Maker", "Thing", "7", (Interface((255, 0, 0), endpoints),)
        )
        self.random = Random(1)
        self.faults = Faults(self.random)
        self.fault_kinds: Mapping[str, Kind] = {}
        self.verbs: Mapping[str, str] = {"wave": "wave HAND"}
        self.received: list[tuple[int, bytes]] = []
        self.to_send: list[FunctionOutcome] = []
        self.happened: list[str] = []

    def control(self, setup: Setup, data: bytes, now_ns: int) -> bytes | None:
        del now_ns
        self.happened.append(f"control {setup.request} {data.hex()}")
        return b"answer" if setup.request == 77 else None

    def receive(self, endpoint: int, data: bytes, now_ns: int) -> None:
        del now_ns
        self.received.append((endpoint, data))

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        del now_ns
        if len(words) != 2:
            raise ValueError(f"write {self.verbs[words[0]]}")
        self.happened.append(" ".join(words))

    def powered(self, on: bool, now_ns: int) -> None:
        del now_ns
        self.happened.append("on" if on else "off")

    def bus_reset(self, now_ns: int) -> None:
        del now_ns
        self.happened.append("reset")

    def advance(self, now_ns: int) -> list[FunctionOutcome]:
        del now_ns
        sent, self.to_send = self.to_send, []
        return sent

    def due_ns(self) -> int | None:
        return None

    def status(self) -> Mapping[str, object]:
        return {"on the table": True}


@dataclass
class Bench:
    """A device that is plugged in, and its host."""

    function: Function
    now_ns: int = 1_000 * MS
    completions: list[Completion] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    unplugs: list[Unplug] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = UsbDevice(self.function)
        self.device.plugged(True, self.now_ns)
        self._key = 0

    def turn(self, ms: float = 0.0) -> list[Completion]:
        """Let time pass; return the completions that it brought."""
        end_ns = self.now_ns + round(ms * MS)
        before = len(self.completions)
        while True:
            for outcome in self.device.advance(self.now_ns):
                match outcome:
                    case Completion():
                        self.completions.append(outcome)
                    case Event():
                        self.events.append(outcome)
                    case Unplug():
                        self.unplugs.append(outcome)
            due_ns = self.device.due_ns()
            if due_ns is None or due_ns > end_ns:
                self.now_ns = end_ns
                return self.completions[before:]
            self.now_ns = max(self.now_ns, due_ns)

    def submit(self, transfer: Transfer) -> list[Completion]:
        self.device.submit(transfer, self.now_ns)
        return self.turn()

    def write(self, data: bytes, endpoint: int = OUT) -> list[Completion]:
        return self.submit(Transfer(self._next(), endpoint, len(data), data))

    def read_as(self, key: int, length: int = 300, endpoint: int = IN) -> list[Completion]:
        return self.submit(Transfer(key, endpoint, length))

    def read(self, length: int = 300, endpoint: int = IN) -> list[Completion]:
        return self.read_as(self._next(), length, endpoint)

    def control(
        self, request_type: int, request: int, value: int = 0, index: int = 0, length: int = 0
    ) -> Completion:
        """Run a control transfer; it ends at once."""
        setup = Setup(request_type, request, value, index, length)
        key = self._next()
        ended = self.submit(Transfer(key, 0, length, b"", setup))
        return next(each for each in ended if each.key == key)

    def obey(self, verb: str) -> None:
        self.device.obey(verb.split(), self.now_ns)
        self.turn()

    def _next(self) -> int:
        self._key += 1
        return self._key
