"""Asks the operating system for real-time scheduling and locked memory, and notifies systemd.

Each is optional: where it is not permitted, as on a laptop, the lane serves too, less evenly.
"""

import contextlib
import ctypes
import os
import socket

_MCL_CURRENT = 1
_FIFO_PRIORITY = 10  # above every default task, below the kernel's threads that serve the devices


def run_in_real_time() -> bool:
    """Put the calling thread into SCHED_FIFO, but not the threads that it starts.

    Returns whether that was permitted.
    """
    try:
        os.sched_setscheduler(
            0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_FIFO_PRIORITY)
        )
    except OSError:
        return False
    return True


def lock_memory() -> bool:
    """Lock the present memory against paging. Returns whether that was permitted.

    Call it before lists are mapped, since they may not all fit.
    """
    locked: int = ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT)
    return locked == 0


def tell_systemd(state: str) -> None:
    """Send READY=1, STOPPING=1, … to the supervisor, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
