"""A pcscd in a guest, as Debian installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.machine.rig.guest import Guest, GuestProgram

SOCKET = "/run/pcscd/pcscd.comm"
NO_READERS = "/run/work/no-readers"  # else it has the readers that files of this machine name


def start_pcscd(machine: Guest) -> GuestProgram:
    """Start pcscd, and wait until it listens."""
    machine.run(f"mkdir -p {NO_READERS} && rm -f {SOCKET}")
    daemon = machine.start("/usr/sbin/pcscd", "--foreground", "--config", NO_READERS)
    machine.wait_for(f"[ -e {SOCKET} ]")
    return daemon


@contextmanager
def running_pcscd(machine: Guest) -> Iterator[GuestProgram]:
    """A pcscd; killed at the end if it still runs."""
    daemon = start_pcscd(machine)
    yield daemon
    if daemon.exit_code is None:
        daemon.kill()
