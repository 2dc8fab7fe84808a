"""The port for a simulated USB device: what the maker of a new one writes.

A function is a state machine without clock and I/O. It answers requests of its class, takes what
the host sends to its OUT endpoints, and returns packets for its IN endpoints. `usb/device.py` does
the rest: standard requests, waiting transfers, halted endpoints, the USB faults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from firmware_sim.faults import Faults, Kind
from firmware_sim.outcomes import Event
from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.transfers import Setup

__all__ = ["Flush", "Function", "FunctionOutcome", "Packets"]


@dataclass(frozen=True, slots=True)
class Packets:
    """Data for an IN endpoint: one transfer of the host takes it, whole, in as many packets."""

    endpoint: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """Drop what waits in an IN endpoint: no transfer of the host has taken it yet."""

    endpoint: int


FunctionOutcome = Packets | Flush | Event


class Function(Protocol):
    """One kind of USB device. `now_ns` is monotonic and never goes back.

    After every input, and at `due_ns`, the device calls `advance`.
    """

    @property
    def descriptors(self) -> Descriptors:
        """The identity; it may change while the device is unplugged."""

    @property
    def faults(self) -> Faults:
        """The faults that are on, those of the USB wire (`usb/faults.py`) too."""

    @property
    def fault_kinds(self) -> Mapping[str, Kind]:
        """The faults of this device by name, without those of the USB wire."""

    @property
    def random(self) -> Random:
        """Draws what is left to chance."""

    def control(self, setup: Setup, data: bytes, now_ns: int) -> bytes | None:
        """Answer a control transfer that is no standard request of the device.

        Returns:
            The data stage of an IN transfer, b"" for an OUT transfer; None for a stall.
        """

    def receive(self, endpoint: int, data: bytes, now_ns: int) -> None:
        """Take what one transfer of the host brought to an OUT endpoint: any bytes, none too."""

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb that is this device's own.

        Raises:
            ValueError: the verb or an argument is wrong; the state is unchanged. The text says
                what is wrong, and what to write.
        """

    def powered(self, on: bool, now_ns: int) -> None:
        """Take that the bus gives power, or no longer: the plug, or a brown-out."""

    def bus_reset(self, now_ns: int) -> None:
        """Take that the host has reset the device on the bus."""

    def advance(self, now_ns: int) -> Sequence[FunctionOutcome]:
        """Do everything that is due by `now_ns`, in order; return the outcomes."""

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when the device waits for an input."""

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""

    @property
    def verbs(self) -> Mapping[str, str]:
        """The verbs of `obey`, with how each is written."""
