"""A serial port of a board: opened, read and written without waiting, and its faults in words."""

import contextlib
import errno
import os
import select
import termios

import serial

READ_BYTES_MAX = 4_096
OUTGOING_BYTES_MAX = 4_096  # more bytes that the port did not take: the line is lost

# All that pyserial raises when a device goes away. termios.error is no OSError.
_FAULTS = (OSError, termios.error, serial.SerialException, ValueError)


class PortError(Exception):
    """The port cannot be opened, or is lost: the text says why, and where it helps what to do."""


class Port:
    """An open serial port that no other lane has.

    The lock is advisory: a program that asks for none can open the port all the same.
    """

    def __init__(self, device: str, baud: int) -> None:
        """Open the port at the path `device`, at `baud` bits a second.

        Raises:
            PortError: it cannot be opened.
        """
        try:
            self._serial = serial.Serial(device, baud, timeout=0, write_timeout=0, exclusive=True)
            self.fd: int = self._serial.fileno()
        except _FAULTS as error:
            raise PortError(_why_not_open(error)) from error
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)

    def wait(self, limit_s: float) -> None:
        """Wait until something has come, or the limit is over."""
        self._poll.poll(max(0.0, limit_s) * 1_000)

    def read(self) -> bytes:
        """Return what has come, or nothing.

        Raises:
            PortError: it was unplugged.
        """
        # An empty read of a tty (VMIN 0) means "nothing yet" or "unplugged"; poll() knows which.
        waiting = self._poll.poll(0)
        if not waiting:
            return b""
        try:
            data = os.read(self.fd, READ_BYTES_MAX)
        except OSError as error:
            raise _went_away(error) from error
        if not data or waiting[0][1] & (select.POLLHUP | select.POLLERR):
            raise _went_away("unplugged")
        return data

    def write(self, outgoing: bytearray) -> None:
        """Write what the port takes now, and remove it from `outgoing`.

        Raises:
            PortError: it was unplugged, or takes nothing.
        """
        if not outgoing:
            return
        try:
            written = os.write(self.fd, outgoing)
        except BlockingIOError:
            written = 0
        except OSError as error:
            raise _went_away(error) from error
        del outgoing[:written]
        if len(outgoing) > OUTGOING_BYTES_MAX:
            raise _went_away("the line takes nothing")

    def close(self) -> None:
        """Close it. Never raises: the device may be gone already."""
        with contextlib.suppress(*_FAULTS):
            self._serial.close()


def _went_away(why: object) -> PortError:
    return PortError(f"went away ({why})")


def _why_not_open(error: Exception) -> str:
    """Return in words why a port could not be opened, and what to do."""
    # pyserial wraps the system's error and keeps its number. For a port that another has locked,
    # the number is that of the lock.
    number = getattr(error, "errno", None)
    match number:
        case errno.ENOENT:
            return "there is no such device; is it plugged in, and is [board] device right?"
        case errno.EACCES | errno.EPERM:
            return "it may not be opened; is this user in the group dialout?"
        case errno.EAGAIN | errno.EBUSY:
            return "in use by another process; does a lane run on it already?"
        case int():
            return f"cannot be opened ({os.strerror(number)}); is [board] device right?"
        case _:
            return "not a serial line; is [board] device right?"
