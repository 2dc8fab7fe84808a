"""A timer of the kernel as a descriptor, readable from a moment on; Python 3.13 has it in `os`."""

import ctypes
import os

CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
NS_PER_S = 1_000_000_000


class _Times(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("due_s", ctypes.c_long),
        ("due_ns", ctypes.c_long),
    )


_libc = ctypes.CDLL(None, use_errno=True)


class Timer:
    """One timerfd."""

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, due_ns: int | None) -> None:
        """Become readable at this monotonic time, at once if it has passed; None for never."""
        due_ns = 0 if due_ns is None else max(1, due_ns)
        times = _Times(0, 0, *divmod(due_ns, NS_PER_S))
        if _libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(times), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
