"""Debian's kernel for the guest: fetched by its package's name, unpacked, never installed.

The package's vmlinuz is a small program that unpacks the kernel proper. Under emulation that costs
seconds at each boot, so it is unpacked here once: qemu starts an ELF vmlinux by its PVH entry.
"""

import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

META_PACKAGE = "linux-image-amd64"
XZ_MAGIC = b"\xfd7zXZ\0"
ELF_MAGIC = b"\x7fELF"


class KernelError(Exception):
    """There is no kernel to boot; the text is one line."""


@dataclass(frozen=True)
class Kernel:
    """A kernel that qemu can boot.

    Attributes:
        image: vmlinux, an ELF file.
        modules: the folder that holds lib/modules/RELEASE, with its modules.dep.
        release: what `uname -r` says in the guest.
    """

    image: Path
    modules: Path
    release: str

    def with_needed(self, names: Iterable[str]) -> Iterator[Path]:
        """Yield the modules' files, each after those it needs, none twice.

        Raises:
            KernelError: there is no such module.
        """
        folder = self.modules / "lib/modules" / self.release
        files: dict[str, list[str]] = {}
        for line in (folder / "modules.dep").read_text().splitlines():
            module, needed = line.split(":")
            # modules.dep lists what a module needs the other way round.
            files[Path(module).stem.replace("-", "_")] = [*reversed(needed.split()), module]
        given: set[str] = set()
        for name in names:
            if name not in files:
                raise KernelError(f"the kernel {self.release} has no module {name}")
            for file in files[name]:
                if file not in given:
                    given.add(file)
                    yield folder / file


def debian_kernel(cache: Path) -> Kernel:
    """Return the kernel that Debian has now; fetch and unpack it unless `cache` has it.

    Raises:
        KernelError: it cannot be fetched, or is of a form that this module does not know.
    """
    package = _newest_package()
    folder = cache / package
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _fetch(package, folder)
        release = _release(folder)
        (folder / "vmlinux").write_bytes(_unpacked(folder / "boot" / f"vmlinuz-{release}"))
        _run("depmod", "-b", str(folder), release)
        (folder / "complete").touch()
    return Kernel(folder / "vmlinux", folder, _release(folder))


def _newest_package() -> str:
    told = _run("apt-cache", "depends", META_PACKAGE)
    found = re.search(r"Depends: (linux-image-\S+)", told)
    if found is None:
        raise KernelError(f"apt knows no package {META_PACKAGE}: run apt-get update")
    return found[1]


def _fetch(package: str, folder: Path) -> None:
    _run("apt-get", "-qq", "download", package, cwd=folder)
    (file,) = folder.glob("*.deb")
    _run("dpkg-deb", "-x", str(file), str(folder))
    file.unlink()


def _release(folder: Path) -> str:
    (modules,) = (folder / "lib/modules").iterdir()
    return modules.name


def _unpacked(vmlinuz: Path) -> bytes:
    """Return the ELF file that a vmlinuz holds, compressed by xz."""
    data = vmlinuz.read_bytes()
    for found in re.finditer(re.escape(XZ_MAGIC), data):
        try:
            kernel = lzma.LZMADecompressor().decompress(data[found.start() :])
        except lzma.LZMAError:
            continue  # these six bytes were no head
        if kernel.startswith(ELF_MAGIC):
            return kernel
    raise KernelError(f"{vmlinuz.name} holds no kernel compressed by xz")


def _run(*command: str, cwd: Path | None = None) -> str:
    """Run a command of the system; return what it prints.

    Raises:
        KernelError: it failed; the text has the last line of its complaint.
    """
    # depmod stands in /usr/sbin, which is not in every user's PATH.
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise KernelError(f"{' '.join(command[:3])}: {complaint[-1]}")
    return done.stdout
