"""One of Linux's input devices, taken for this lane alone (linux/input.h, EVIOCGRAB).

While it is taken, no other program and no console sees its keys: else a UID would become a login
attempt, and the journal would keep it. Before that, and after the lane has ended, the keys go to
the console like those of every keyboard (docs/decisions/0029-readers-that-type.md).
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from typing import Final

from validator.lane.readers.keyboard.keys import DIGIT_KEYS, EV_KEY
from validator.lane.readers.keyboard.lines import InputEvent

_EVENT = struct.Struct("@llHHi")  # struct input_event: seconds, microseconds, type, code, value
_ID = struct.Struct("@4H")  # struct input_id: bus, vendor, product, version
_KEY_BITS_BYTES = 96  # KEY_CNT, 0x300 codes
_READ_BYTES_MAX = 64 * _EVENT.size  # the kernel keeps 64 events for each program
CLOCK_MONOTONIC: Final = 1

EVIOCGID: Final = 0x8008_4502
EVIOCGRAB: Final = 0x4004_4590
EVIOCSCLOCKID: Final = 0x4004_45A0
EVIOCGBIT_KEY: Final = 0x8000_4500 | _KEY_BITS_BYTES << 16 | 0x20 + EV_KEY


class NoKeysError(Exception):
    """The device is open and types no digits; the text has the reason."""


class OtherDeviceError(Exception):
    """Another model is plugged in than before; the text says which."""


class InputDevice:
    """An open input device that no other program hears.

    Attributes:
        ids: vendor and product.
        opened_ns: when it was taken, monotonic; keys before that went elsewhere.
    """

    ids: tuple[int, int]
    opened_ns: int

    def __init__(self, path: str, ids: tuple[int, int] | None = None) -> None:
        """Open the device and take it.

        Args:
            path: a name of it, resolved now.
            ids: the only vendor and product that are wanted; None takes any.

        Raises:
            NoKeysError: it is no input device, or it has no digit keys.
            OtherDeviceError: it has other ids. It is not taken: it may be a person's keyboard.
            OSError: it cannot be opened, or another program has taken it (EBUSY).
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        self._fd = os.open(path, flags)
        try:
            _check_keys(self._fd)
            self.ids = _ids(self._fd, ids)
            fcntl.ioctl(self._fd, EVIOCSCLOCKID, struct.pack("i", CLOCK_MONOTONIC))
            self.opened_ns = time.monotonic_ns()
            fcntl.ioctl(self._fd, EVIOCGRAB, 1)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to poll; -1 once closed."""
        return self._fd

    def read(self) -> list[InputEvent]:
        """Return the events that are here, oldest first, or nothing. Does not wait.

        Raises:
            OSError: the device is gone (ENODEV).
        """
        try:
            data = os.read(self._fd, _READ_BYTES_MAX)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        whole = len(data) - len(data) % _EVENT.size
        return [
            InputEvent(seconds * 1_000_000_000 + micros * 1_000, kind, code, value)
            for seconds, micros, kind, code, value in _EVENT.iter_unpack(data[:whole])
        ]

    def close(self) -> None:
        """Release the device. Never raises; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)  # which releases it to others, too

    drop = close


def _ids(fd: int, wanted: tuple[int, int] | None) -> tuple[int, int]:
    _bus, vendor, product, _version = _ID.unpack(fcntl.ioctl(fd, EVIOCGID, bytes(_ID.size)))
    ids = vendor, product
    if wanted is not None and ids != wanted:
        raise OtherDeviceError(f"another device, {_shown(ids)}, is where {_shown(wanted)} was")
    return ids


def _shown(ids: tuple[int, int]) -> str:
    return ":".join(f"{each:04x}" for each in ids)


def _check_keys(fd: int) -> None:
    try:
        bits = fcntl.ioctl(fd, EVIOCGBIT_KEY, bytes(_KEY_BITS_BYTES))
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EINVAL}:
            raise NoKeysError("this is no input device") from error
        raise
    if any(not bits[code // 8] >> code % 8 & 1 for code in DIGIT_KEYS):
        raise NoKeysError("this input device has no digit keys")
