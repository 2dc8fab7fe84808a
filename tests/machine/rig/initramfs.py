"""The guest's initial file system: a shell, the modules that reach the real root, and /init.

The root itself is this machine's own file system, read-only, over 9p: so the guest runs the very
files that are under test, and nothing has to be copied or built when they change.
"""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BUSYBOX = Path("/usr/bin/busybox")  # of busybox-static: it needs no library
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p")
# cache=loose: a file of the root never changes while a guest runs, so the kernel may keep it.
# What a test changes stands in the folder that both sides share, which is not cached.
INIT = """#!/busybox sh
/busybox mount -t proc proc /proc
for module in /modules/*; do /busybox insmod $module; done
/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose root /root
for kind in devtmpfs:dev proc:proc sysfs:sys tmpfs:run; do
    /busybox mount -t ${kind%:*} ${kind%:*} /root/${kind#*:}
done
exec /busybox switch_root /root @AGENT@
echo "init: no root" >/dev/console
/busybox poweroff -f
"""


@dataclass(frozen=True)
class Entry:
    """One file or folder of the archive."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(modules: Iterable[Path], agent: str) -> bytes:
    """Return the archive that qemu hands to the kernel.

    Args:
        modules: kernel modules, in the order to load them.
        agent: the command, of the real root, that /init becomes.
    """
    folders = [Entry(name, stat.S_IFDIR | 0o755) for name in ("proc", "root", "dev", "modules")]
    files = [
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("busybox", stat.S_IFREG | 0o755, BUSYBOX.read_bytes()),
        Entry("init", stat.S_IFREG | 0o755, INIT.replace("@AGENT@", agent).encode()),
        *(
            Entry(f"modules/{number:02}-{path.name}", stat.S_IFREG | 0o644, path.read_bytes())
            for number, path in enumerate(modules)
        ),
    ]
    return b"".join(_newc([*folders, *files, Entry("TRAILER!!!", 0)]))


def _newc(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The "new ASCII" format of cpio (Linux, driver-api/early-userspace/buffer-format.rst)."""
    for number, entry in enumerate(entries, 1):
        name = entry.name.encode() + b"\0"
        fields = (
            *(number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0),
            *(*entry.device, len(name), 0),
        )
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        yield head + bytes(-len(head) % 4) + entry.data + bytes(-len(entry.data) % 4)
