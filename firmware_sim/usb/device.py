"""A USB device on the bus: its endpoints, between a function and any carrier.

It answers the standard requests (USB 2.0, 9.4), matches the function's packets with the host's
transfers, halts and clears endpoints, and does the faults of the USB wire. No I/O, no clock.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from firmware_sim.faults import Fault, parse
from firmware_sim.outcomes import Event, RefusedError, Unplug
from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.faults import USB_FAULTS
from firmware_sim.usb.function import Flush, Function, Packets
from firmware_sim.usb.standard import StandardRequests
from firmware_sim.usb.transfers import Completion, Status, Transfer

__all__ = ["DeviceOutcome", "UsbDevice"]

PENDING_MAX = 1024  # transfers; libusb keeps a handful, and a host that floods is stalled
WAITING_MAX = 256  # packets of one endpoint that no transfer has taken; the next are dropped
BROWNOUT_NS = 100_000_000  # assumed: from the dip until the hub reports the device again
LOOP_VERBS = "unplug, replug, status, quit"
VERBS = {"fault": "fault NAME[=VALUE][/WHEN], or fault none", "brownout": "brownout"}

DeviceOutcome = Completion | Event | Unplug


class UsbDevice:
    """One device. A carrier submits and cancels transfers; `advance` returns their completions.

    Every transfer ends in exactly one Completion, but for those that are cancelled (`cancel`
    returns True) and those that are pending when the plug comes out. `now_ns` never goes back.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.faults = function.faults
        self.transfers = 0
        self._serial = function.descriptors.serial
        self._standard = StandardRequests(self)
        self._outcomes: list[DeviceOutcome] = []
        self._on = False
        self._clear()

    @property
    def descriptors(self) -> Descriptors:
        """The identity, as it is at this plug."""
        return replace(self.function.descriptors, serial=self._serial)

    @property
    def name(self) -> str:
        """Vendor and product, such as `054c:06c3`."""
        identity = self.function.descriptors
        return f"{identity.vendor:04x}:{identity.product:04x}"

    # The host's side

    def submit(self, transfer: Transfer, now_ns: int) -> None:
        """Take a transfer from the host."""
        self._settle(now_ns)
        self.transfers += 1
        if not self._on:
            self._complete(transfer, Status.GONE)
        elif (unplug := self._comes_out(now_ns)) is not None:
            self._silenced[transfer.key] = transfer
            self._outcomes.append(unplug)
        elif self.faults.strike("silent") is not None:
            self._silenced[transfer.key] = transfer
        elif transfer.setup is not None:
            self._control(transfer, now_ns)
        elif transfer.endpoint in self.halted or not self._takes(transfer):
            self._complete(transfer, Status.STALL)
        elif transfer.is_in:
            self._pending[transfer.key] = transfer
        else:
            self._complete(transfer, Status.OK, count=len(transfer.data))
            self.function.receive(transfer.endpoint, transfer.data, now_ns)
        self._settle(now_ns)

    def cancel(self, key: Hashable, now_ns: int) -> bool:
        """Cancel a transfer; return False if it has ended, or is not known."""
        self._settle(now_ns)
        found = self._pending.pop(key, None) or self._silenced.pop(key, None)
        return found is not None

    def bus_reset(self, now_ns: int) -> None:
        """Take a reset from the host: no endpoint is halted, nothing waits."""
        self._settle(now_ns)
        self.halted.clear()
        for waiting in self._waiting.values():
            waiting.clear()
        self.function.bus_reset(now_ns)

    # The hand's side

    def plugged(self, on: bool, now_ns: int) -> None:
        """Take that the plug was put in, or pulled: pending transfers get no completion."""
        self._settle(now_ns)
        self._on = on
        self._clear()
        if on and self.faults.strike("another-id") is not None:
            self._serial = f"{self.function.random.randrange(10**7):07d}"
        self.function.powered(on, now_ns)

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do one verb. Raises RefusedError; the text has what is wrong, and what to write."""
        verbs = {**self.function.verbs, **VERBS}
        if words[0] not in verbs:
            raise RefusedError(
                f"no verb is called {words[0]!r}; there are {', '.join(verbs)}, {LOOP_VERBS}"
            )
        try:
            self._obey(words, now_ns)
        except ValueError as error:
            raise RefusedError(f"{words[0]}: {error}") from error

    def _obey(self, words: Sequence[str], now_ns: int) -> None:
        match words:
            case ["fault", "none"]:
                self.faults.clear()
                self._event("fault", now_ns, fault="none", state="cleared")
            case ["fault", text]:
                self.set_fault(self.parse_fault(text), now_ns)
            case ["brownout"]:
                if not self._on:
                    raise ValueError("the device is unplugged")
                self._event("brownout", now_ns)
                self._outcomes.append(Unplug(BROWNOUT_NS))
            case ["fault" | "brownout", *_]:
                raise ValueError(f"write {VERBS[words[0]]}")
            case _:
                self.function.obey(words, now_ns)

    def parse_fault(self, text: str) -> Fault:
        """Parse a fault of this device or of the USB wire. Raises ValueError."""
        return parse(text, {**self.function.fault_kinds, **USB_FAULTS})

    def set_fault(self, fault: Fault, now_ns: int) -> None:
        """Switch a fault on."""
        self.faults.set(fault)
        self._event("fault", now_ns, fault=fault.name, state="set")

    # Time

    def advance(self, now_ns: int) -> list[DeviceOutcome]:
        """Do what is due by `now_ns`; return the outcomes since the last call, in order."""
        self._settle(now_ns)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when the device waits for an input."""
        return self.function.due_ns()

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {
            "id": self.name,
            "transfers": self.transfers,
            "pending": len(self._pending) + len(self._silenced),
            "halted": [f"{endpoint:02x}" for endpoint in sorted(self.halted)],
            "faults": self.faults.names(),
            **self.function.status(),
        }

    def _settle(self, now_ns: int) -> None:
        self._take(self.function.advance(now_ns))
        for endpoint in self._waiting:
            self._match(endpoint, now_ns)

    def _take(self, outcomes: Iterable[Packets | Flush | Event]) -> None:
        for outcome in outcomes:
            match outcome:
                case Packets(endpoint, data):
                    if len(self._waiting[endpoint]) < WAITING_MAX and self._on:
                        self._waiting[endpoint].append(data)
                case Flush(endpoint):
                    self._waiting[endpoint].clear()
                case Event():
                    self._outcomes.append(outcome)

    # Endpoints

    def _clear(self) -> None:
        endpoints = [each.address for each in self.function.descriptors.endpoints]
        self._waiting: dict[int, deque[bytes]] = {address: deque() for address in endpoints}
        self._pending: dict[Hashable, Transfer] = {}
        self._silenced: dict[Hashable, Transfer] = {}
        self.halted: set[int] = set()

    def _takes(self, transfer: Transfer) -> bool:
        return transfer.endpoint in self._waiting and len(self._pending) < PENDING_MAX

    def _control(self, transfer: Transfer, now_ns: int) -> None:
        assert transfer.setup is not None  # noqa: S101  (the caller has checked)
        answer = self._standard.answer(transfer.setup)
        if answer is None:
            answer = self.function.control(transfer.setup, transfer.data, now_ns)
        if answer is None:
            self._complete(transfer, Status.STALL)
        elif transfer.is_in:
            data = answer[: min(transfer.length, transfer.setup.length)]
            self._complete(transfer, Status.OK, data, len(data))
        else:
            self._complete(transfer, Status.OK, count=len(transfer.data))

    def _match(self, endpoint: int, now_ns: int) -> None:
        """Give waiting packets to the transfers that wait for them."""
        waiting = self._waiting[endpoint]
        while waiting:
            transfer = next((t for t in self._pending.values() if t.endpoint == endpoint), None)
            if transfer is None:
                return
            del self._pending[transfer.key]
            if self._struck("stall", now_ns):
                waiting.popleft()
                self.halt(endpoint)
                self._complete(transfer, Status.STALL)
            elif self._struck("babble", now_ns):
                waiting.popleft()
                self._complete(transfer, Status.BABBLE)
            else:
                self._deliver(transfer, waiting)

    def _deliver(self, transfer: Transfer, waiting: deque[bytes]) -> None:
        """Complete an IN transfer with the next data.

        What does not fit waits for the next transfer if it begins with a whole packet; a packet
        that the host has no room for is babble (USB 2.0, 8.7.4).
        """
        data, length = waiting.popleft(), transfer.length
        if len(data) <= length:
            self._complete(transfer, Status.OK, data, len(data))
        elif length % self._packet_bytes(transfer.endpoint) == 0 and length > 0:
            waiting.appendleft(data[length:])
            self._complete(transfer, Status.OK, data[:length], length)
        else:
            self._complete(transfer, Status.BABBLE)

    def halt(self, endpoint: int) -> None:
        """Halt an endpoint: its pending transfers stall, and all others until it is cleared."""
        self.halted.add(endpoint)
        for transfer in [t for t in self._pending.values() if t.endpoint == endpoint]:
            del self._pending[transfer.key]
            self._complete(transfer, Status.STALL)

    def _packet_bytes(self, endpoint: int) -> int:
        endpoints = self.function.descriptors.endpoints
        return next(each.packet_bytes for each in endpoints if each.address == endpoint)

    def _complete(
        self, transfer: Transfer, status: Status, data: bytes = b"", count: int = 0
    ) -> None:
        self._outcomes.append(Completion(transfer.key, status, data, count))

    # Faults and events

    def _comes_out(self, now_ns: int) -> Unplug | None:
        """Count a transfer towards the faults that pull the plug; return what one of them does."""
        for name, unplug in (("unplug", Unplug(None)), ("brownout", Unplug(BROWNOUT_NS))):
            if self.faults.count_down(name) is not None:
                self._event("fault", now_ns, fault=name, state="struck")
                return unplug
        return None

    def _struck(self, name: str, now_ns: int) -> bool:
        if self.faults.strike(name) is None:
            return False
        self._event("fault", now_ns, fault=name, state="struck")
        return True

    def _event(self, name: str, at_ns: int, **details: object) -> None:
        self._outcomes.append(Event(name, at_ns, details))
