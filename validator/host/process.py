"""What the lane asks of the operating system about itself: real-time scheduling, memory that stays, and a word to systemd.

All of it is asked for when permitted and done without when not: a laptop serves too, only less evenly.
"""

import contextlib
import ctypes
import os
import socket

_MCL_CURRENT = 1
_FIFO_PRIORITY = 10  # above every default task, below the kernel's threads that serve the devices


def run_in_real_time() -> bool:
    """Put the calling thread, and none that it starts, into SCHED_FIFO. Returns whether it was permitted."""
    try:
        os.sched_setscheduler(
            0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_FIFO_PRIORITY)
        )
    except OSError:
        return False
    return True


def lock_memory() -> bool:
    """Keep what is mapped now from being paged out; call it before lists are mapped, which may not all fit. Returns whether permitted."""
    locked: int = ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT)
    return locked == 0


def tell_systemd(state: str) -> None:
    """Say READY=1, STOPPING=1, … to the supervisor, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
