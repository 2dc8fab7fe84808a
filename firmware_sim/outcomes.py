"""The outcomes of a simulated device, as values: bytes to send, events to print, plugs to pull."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Event", "Outcome", "RefusedError", "Send", "Unplug"]


class RefusedError(ValueError):
    """A verb that the device cannot do; the text goes into one `error` event."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send to the program at the other end of the wire."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """One line of standard output: `{"event": name, ...details, "at_ns": at_ns}`."""

    name: str
    at_ns: int
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unplug:
    """The device's plug comes out: for `for_ns`, or until the verb `replug` if None."""

    for_ns: int | None


Outcome = Send | Event | Unplug
