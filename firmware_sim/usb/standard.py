"""The standard requests that every USB device answers (USB 2.0, section 9.4)."""

from typing import Protocol

from firmware_sim.usb.descriptors import Descriptors
from firmware_sim.usb.transfers import Setup

__all__ = ["StandardRequests"]

ENDPOINT_HALT = 0


class Endpoints(Protocol):
    """The part of a device that the standard requests change."""

    halted: set[int]

    @property
    def descriptors(self) -> Descriptors: ...

    def halt(self, endpoint: int) -> None: ...


class StandardRequests:
    """Answers standard requests; a device has one configuration, and one setting an interface."""

    def __init__(self, device: Endpoints) -> None:
        self._device = device

    def answer(self, setup: Setup) -> bytes | None:
        """Answer a standard request.

        Returns:
            The data stage, b"" for an OUT transfer; None for a request that is none of these,
            which the device's function may know.
        """
        number = setup.index & 0xFF
        match setup.request_type, setup.request:
            case 0x80, 6:  # GET_DESCRIPTOR
                return self._device.descriptors.find(setup.value >> 8, setup.value & 0xFF)
            case ((0x80 | 0x81), 0):  # GET_STATUS: bus-powered, no remote wake-up
                return bytes(2)
            case 0x82, 0:  # GET_STATUS of an endpoint
                return bytes((number in self._device.halted, 0))
            case 0x80, 8:  # GET_CONFIGURATION
                return b"\x01"
            case 0x81, 10 if number < self._interfaces():  # GET_INTERFACE
                return b"\x00"
            case _:
                return self._change(setup, number)

    def _change(self, setup: Setup, number: int) -> bytes | None:
        match setup.request_type, setup.request:
            case 0x02, 1 if setup.value == ENDPOINT_HALT:  # CLEAR_FEATURE
                self._device.halted.discard(number)
            case 0x02, 3 if setup.value == ENDPOINT_HALT:  # SET_FEATURE
                self._device.halt(number)
            case 0x00, 5:  # SET_ADDRESS: carriers number devices
                pass
            case 0x00, 9 if setup.value <= 1:  # SET_CONFIGURATION
                self._device.halted.clear()
            case 0x01, 11 if setup.value == 0 and number < self._interfaces():  # SET_INTERFACE
                self._device.halted.clear()
            case _:
                return None
        return b""

    def _interfaces(self) -> int:
        return len(self._device.descriptors.interfaces)
