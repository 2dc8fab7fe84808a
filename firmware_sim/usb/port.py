"""A plug: one USB device, and the carrier that brings it to programs. Driven by runner.py."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from firmware_sim.outcomes import Event, Unplug
from firmware_sim.usb.device import UsbDevice
from firmware_sim.usb.transfers import Completion

__all__ = ["Carrier", "UsbPort"]


class Carrier(Protocol):
    """What brings a device's transfers to programs, or to another machine's kernel.

    It calls `UsbDevice.submit`, `cancel` and `bus_reset`; the port passes completions back.
    """

    @property
    def plugged(self) -> bool:
        """Whether the device is on the bus."""

    def about(self) -> Mapping[str, object]:
        """Return where the device is, for events."""

    def plug(self, device: UsbDevice, *, elsewhere: bool = False) -> None:
        """Put the device on the bus; `elsewhere` takes another port. Raises OSError."""

    def unplug(self) -> None:
        """Take the device off the bus; what is pending ends as the carrier's programs expect."""

    def hold(self, *, held: bool) -> None:
        """Claim the device as another program would, from the next plug if it is out.

        A carrier without programs ignores it.
        """

    def bind_driver(self, name: str) -> None:
        """Let a kernel driver have the device from the next plug.

        A carrier to a real kernel ignores it.
        """

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Read the ready ones of the descriptors."""

    def complete(self, completion: Completion, now_ns: int) -> None:
        """Take the end of a transfer; it may submit another."""

    def flush(self, now_ns: int) -> None:
        """Send what the other side takes."""


class UsbPort:
    """A `firmware_sim.runner.Port`.

    Args:
        path: what programs name the device by, such as `usb:054c:06c3`.
        kernel_driver: the name of Linux' own driver for the device, for the fault of that name.
    """

    def __init__(
        self, device: UsbDevice, carrier: Carrier, path: str, kernel_driver: str = "usb-driver"
    ) -> None:
        self.path = path
        self._kernel_driver = kernel_driver
        self._device = device
        self._carrier = carrier

    @property
    def plugged(self) -> bool:
        """Whether the device is on the bus."""
        return self._carrier.plugged

    def about(self) -> Mapping[str, object]:
        """Return where the device is: details of the events about the plug."""
        return {**self._carrier.about(), "serial": self._device.descriptors.serial}

    def reading(self) -> list[int]:
        """Return the descriptors to wait on for input."""
        return self._carrier.reading()

    def writing(self) -> list[int]:
        """Return the descriptors to wait on for room."""
        return self._carrier.writing()

    def due_ns(self) -> int | None:
        """Return when `advance` next has something to do."""
        return self._device.due_ns()

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Read the ready ones of the descriptors."""
        self._carrier.read(ready, now_ns)

    def advance(self, now_ns: int) -> Iterator[Event | Unplug]:
        """Do what is due; yield events in order, and the plug's coming out when it does."""
        while outcomes := self._device.advance(now_ns):  # a carrier may submit the next at once
            for outcome in outcomes:
                if isinstance(outcome, Completion):
                    self._carrier.complete(outcome, now_ns)
                else:
                    yield outcome

    def flush(self, now_ns: int) -> None:
        """Send what has come of it."""
        self._carrier.hold(held=self._device.faults.on("held"))
        self._carrier.flush(now_ns)

    def plug(self, now_ns: int) -> None:
        """Put the device in. Raises OSError: the carrier cannot take it; it stays out."""
        elsewhere = self._device.faults.on("another-id")
        self._device.plugged(True, now_ns)
        self._carrier.hold(held=self._device.faults.on("held"))
        if self._device.faults.strike("kernel-driver") is not None:
            self._carrier.bind_driver(self._kernel_driver)
        try:
            self._carrier.plug(self._device, elsewhere=elsewhere)
        except OSError:
            self._device.plugged(False, now_ns)
            raise

    def unplug(self, now_ns: int) -> None:
        """Pull the device out."""
        self._carrier.unplug()
        self._device.plugged(False, now_ns)

    def close(self) -> None:
        """Pull it out at the end of the process."""
        self._carrier.unplug()

    # What the loop asks of the device

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb. Raises RefusedError."""
        self._device.obey(words, now_ns)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return self._device.status()
