"""A view of the machine of its own (namespaces(7)): for programs that look for USB devices.

Its /sys and /run/pcscd are empty, its /run/udev says that udevd runs, its network is a loopback of
its own. Everything else is the machine's: files, terminals, processes. Root is not needed.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

__all__ = ["NamespaceError", "join", "make"]

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x1000, 0x2000, 0x4000, 1 << 18
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
KINDS = ("user", "net", "mnt")  # the user's first: it gives the rights to join the others
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceError(Exception):
    """This machine does not permit such a view; the text is one line."""


def make() -> None:
    """Put this process, which must have one thread, into a view of its own.

    Raises:
        NamespaceError: the machine does not permit it.
    """
    try:
        _leave_the_machines()
        _mount(None, "/", None, MS_REC | MS_PRIVATE)
        _empty(Path("/sys"))
        _empty(Path("/run/udev"))
        _empty(Path("/run/pcscd"))  # else a pcscd in here would be the machine's
        for folder in ("/sys/bus/usb/devices", "/sys/class", "/sys/subsystem", "/sys/devices"):
            Path(folder).mkdir(parents=True)
        Path("/run/udev/control").touch()  # without it libudev listens to nobody
        _loopback_up()
    except OSError as error:
        raise NamespaceError(
            f"this machine permits no namespaces ({error}); run as root, or permit user namespaces"
        ) from error


def join(process: int) -> None:
    """Put this process, which must have one thread, into the view of another.

    Raises:
        NamespaceError: it is gone, or another user's.
    """
    folder = Path.cwd()
    try:
        opened = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in KINDS]
        for descriptor, kind in zip(opened, KINDS, strict=True):
            own = Path(f"/proc/self/ns/{kind}").stat()
            if not os.path.samestat(os.fstat(descriptor), own):
                _checked(_libc.setns(descriptor, 0), kind)
            os.close(descriptor)
        os.chdir(folder)
    except OSError as error:
        raise NamespaceError(f"cannot join the USB rig of process {process}: {error}") from error


def _leave_the_machines() -> None:
    user, group = os.getuid(), os.getgid()
    if user == 0:
        _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
        return
    _checked(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _empty(folder: Path) -> None:
    """Mount an empty folder over `folder`; if it is missing, over a copy of its parent's view."""
    if not folder.is_dir():
        _copy_view(folder.parent)
        folder.mkdir()
    _mount_empty(folder)


def _copy_view(folder: Path) -> None:
    """Make `folder` a folder of this view alone, with everything that is in it now.

    A folder cannot be added to the machine's own /run without root, and should not be with root.
    """
    stage = Path("/sys/stage")
    stage.mkdir()
    _mount_empty(stage)
    for entry in os.scandir(folder):
        copy = stage / entry.name
        if entry.is_symlink():
            copy.symlink_to(Path(entry.path).readlink())
            continue
        if entry.is_dir():
            copy.mkdir()
        else:
            copy.touch()
        _mount(entry.path, str(copy), None, MS_BIND | MS_REC)
    _mount(str(stage), str(folder), None, MS_MOVE)
    stage.rmdir()


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def _mount_empty(target: Path) -> None:
    # Not world-writable as by default: in such a folder the kernel refuses much (proc(5),
    # protected_regular).
    _mount("turnike", str(target), "tmpfs", 0, b"mode=755")


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, data: bytes | None = None
) -> None:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    result = _libc.mount(
        encoded(source), target.encode(), encoded(kind), ctypes.c_ulong(flags), data
    )
    _checked(result, f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
