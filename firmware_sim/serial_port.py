"""A serial device on its wire, as a `Port` of the loop in runner.py."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from firmware_sim.outcomes import Event, Outcome, Send, Unplug
from firmware_sim.wires import Wire

__all__ = ["SerialDevice", "SerialPort"]


class SerialDevice(Protocol):
    """A simulated device that sends and receives bytes.

    Inputs return nothing; the port calls `advance` after every input and at `due_ns`. `now_ns`
    never goes back. One turn of the loop uses one `now_ns`, read right after the wait.
    """

    @property
    def baud(self) -> int:
        """The speed of the device now, in bits a second."""

    def host_speed(self, baud: int, now_ns: int) -> None:
        """Take the program's speed, before each piece of its bytes. Most devices ignore it."""

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take any bytes from the program; noise is counted and skipped, and nothing raises."""

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb of standard input; the loop itself does unplug, replug, status and quit.

        Raises:
            RefusedError: the verb or an argument is wrong; the state is unchanged.
        """

    def plugged(self, on: bool, now_ns: int) -> None:
        """Take that the plug was pulled, or is back in; the device decides about its power."""

    def advance(self, now_ns: int) -> Sequence[Outcome]:
        """Do everything that is due by `now_ns`, in order; return the outcomes."""

    def due_ns(self) -> int | None:
        """Return when to call `advance` next; None when the device waits for an input."""

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""


class SerialPort:
    """A `firmware_sim.runner.Port`: one device, one pty."""

    def __init__(self, device: SerialDevice, wire: Wire) -> None:
        self._device = device
        self._wire = wire

    @property
    def path(self) -> str:
        """The path that a program opens."""
        return self._wire.path

    @property
    def plugged(self) -> bool:
        """Whether there is a port to open."""
        return self._wire.plugged

    def about(self) -> Mapping[str, object]:
        """Return no details: the path says it all."""
        return {}

    def reading(self) -> list[int]:
        """Return the pty, while it is plugged."""
        return [self._wire.fileno()] if self._wire.plugged else []

    def writing(self) -> list[int]:
        """Return nothing: what the pty does not take is dropped, as by a UART."""
        return []

    def due_ns(self) -> int | None:
        """Return when `advance` or `flush` next has something to do."""
        due = (self._device.due_ns(), self._wire.due_ns())
        return min((at for at in due if at is not None), default=None)

    def read(self, ready: Collection[int], now_ns: int) -> None:
        """Read what the program has written, at its speed."""
        if self._wire.fileno() in ready:
            self._device.host_speed(self._wire.host_baud(), now_ns)
            self._wire.baud = self._device.baud
            self._wire.fill(now_ns)

    def advance(self, now_ns: int) -> Iterator[Event | Unplug]:
        """Give the device what has arrived; yield what it reports, and send what it sends."""
        data = self._wire.received(now_ns)
        if data:
            self._device.receive(data, now_ns)
        outcomes = self._device.advance(now_ns)
        self._wire.baud = self._device.baud
        for outcome in outcomes:
            if isinstance(outcome, Send):
                self._wire.send(outcome.data, now_ns)
            else:
                yield outcome

    def flush(self, now_ns: int) -> None:
        """Write what has arrived at the program."""
        self._wire.flush(now_ns)

    def plug(self, now_ns: int) -> None:
        """Plug the device in. Raises OSError: there is no pty to be had; it stays out."""
        self._device.plugged(True, now_ns)
        self._wire.baud = self._device.baud
        try:
            self._wire.plug()
        except OSError:
            self._device.plugged(False, now_ns)
            raise

    def unplug(self, now_ns: int) -> None:
        """Unplug the device."""
        self._wire.unplug()
        self._device.plugged(False, now_ns)

    def close(self) -> None:
        """Close the pty and remove its link."""
        self._wire.close()

    def obey(self, words: Sequence[str], now_ns: int) -> None:
        """Do a verb. Raises RefusedError."""
        self._device.obey(words, now_ns)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return self._device.status()
