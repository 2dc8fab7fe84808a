"""What a simulated device tells its loop: bytes to say, events to print, its plug to pull. Values only; nothing acts here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Event", "Outcome", "RefusedError", "Say", "Unplug"]


class RefusedError(ValueError):
    """A verb that cannot be obeyed; its text goes out in one `error` event and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Say:
    """Bytes for the program at the other end of the wire."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """One line of standard output: `{"event": name, ...details, "at_ns": at_ns}`."""

    name: str
    at_ns: int
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unplug:
    """The device asks for its own plug to be pulled; back by itself after `for_ns`, or by the verb `replug` when None."""

    for_ns: int | None


Outcome = Say | Event | Unplug
