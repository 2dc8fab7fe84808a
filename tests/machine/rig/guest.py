"""A guest: qemu with Debian's kernel, without KVM, and the agent inside that starts programs."""

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.machine.rig import initramfs
from tests.machine.rig.kernel import Kernel
from tests.support.machine.heard_lines import HeardLines

QEMU = "qemu-system-x86_64"
BOOT_WAIT_S = 180.0
RUN_WAIT_S = 180.0
USB_PORTS = 3  # how many simulated devices can be plugged in at once
MEMORY_MB = 384
KERNEL_OPTIONS = (
    # "quiet" and no mitigations cost the emulated processor least; tsc: no watchdog doubts it.
    "console=ttyS0 quiet tsc=reliable nokaslr mitigations=off random.trust_cpu=on panic=-1"
)
REPOSITORY = Path(__file__).parents[3]


class GuestProgram(HeardLines):
    """A program inside the guest: standard input and output as a `Program` outside has them."""

    def __init__(self, guest: "Guest", number: int, name: str) -> None:
        super().__init__(name)
        self._guest = guest
        self._number = number
        self.errors: list[str] = []
        self.exit_code: int | None = None
        self._pid = 0

    @property
    def pid(self) -> int:
        """Its process's number in the guest."""
        while not self._pid and self.hear(RUN_WAIT_S):
            pass
        return self._pid

    def started(self, pid: int) -> None:
        """Take its process's number."""
        self._pid = pid

    def say(self, verb: str) -> None:
        """Write one line to its standard input."""
        self._guest.ask(do="say", id=self._number, text=verb)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._guest.ask(do="signal", id=self._number, number=number)

    def wait(self, wait_s: float = RUN_WAIT_S) -> int:
        """Wait until it has ended; return the exit code, or minus the signal."""
        end_s = time.monotonic() + wait_s
        while self.exit_code is None:
            if not self.hear(end_s - time.monotonic()):
                raise AssertionError(f"{self.name} still runs in the guest: {self.last_words()}")
        return self.exit_code

    def end(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def hear(self, wait_s: float) -> bool:
        """Take what the guest tells, of this program or another."""
        return self.exit_code is None and self._guest.hear(wait_s)

    def last_words(self) -> str:
        """Return what may explain a failure."""
        return f"exit {self.exit_code}, {self.errors[-30:]}, {self._guest.console()[-2_000:]}"


class Guest:
    """A running guest.

    Attributes:
        shared: a folder that both sides see; in the guest /run/shared.
    """

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]", agent: int) -> None:
        self.shared = folder / "shared"
        self._folder = folder
        self._process = process
        self._agent = agent
        self._programs: dict[int, GuestProgram] = {}
        self._rest = b""
        self._ready = False
        self.boot_s = 0.0

    def usb_port(self, number: int) -> Path:
        """Return the socket at which a simulated USB device plugs itself in (`--redir`)."""
        return self._folder / f"usb{number}"

    def ask(self, **what: object) -> None:
        """Send the agent one line."""
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[os.write(self._agent, data) :]

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> GuestProgram:
        """Start a program in the guest."""
        number = len(self._programs) + 1
        self._programs[number] = GuestProgram(self, number, " ".join(argv[:4]))
        self.ask(do="start", id=number, argv=argv, env=dict(env or {}))
        return self._programs[number]

    def python(self, *arguments: str, env: Mapping[str, str] | None = None) -> GuestProgram:
        """Start this checkout's Python in the guest, as the test's own process runs it."""
        more = {"PYTHONPATH": str(REPOSITORY), **(env or {})}
        return self.start(sys.executable, *arguments, env=more)

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a line of shell in the guest; return what it prints on either output."""
        shell = self.start("sh", "-c", f"({command}) 2>&1")
        code = shell.wait()
        printed = "\n".join(shell.text)
        assert not check or code == 0, f"{command}: exit {code}: {printed}"
        return printed

    def wait_for(self, condition: str) -> None:
        """Wait in the guest until a command of the shell succeeds."""
        self.run(f"until {condition}; do sleep 0.05; done")

    def load(self, kernel: Kernel, *modules: str) -> None:
        """Load modules of the kernel, and those they need; none twice."""
        loaded = {line.split()[0] for line in self.run("cat /proc/modules").splitlines()}
        for file in kernel.with_needed(modules):
            if file.stem.replace("-", "_") not in loaded:
                self.run(f"busybox insmod {shlex.quote(str(file))}")

    def hear(self, wait_s: float) -> bool:
        """Take what the agent tells within a time; False when nothing came."""
        if not select.select([self._agent], [], [], max(wait_s, 0))[0]:
            return False
        data = os.read(self._agent, 65_536)
        if not data:
            raise AssertionError(f"the guest has ended: {self.console()[-3_000:]}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return True

    def console(self) -> str:
        """Return what the kernel has printed."""
        return (self._folder / "console").read_text(errors="replace")

    def boot(self) -> None:
        """Wait until the agent answers."""
        begun_s = time.monotonic()
        while not self._ready:
            left_s = begun_s + BOOT_WAIT_S - time.monotonic()
            assert self.hear(left_s), f"the guest did not start: {self.console()[-3_000:]}"
        self.boot_s = time.monotonic() - begun_s

    def off(self) -> None:
        """Switch it off, whatever its state."""
        with contextlib.suppress(OSError):
            self.ask(do="off")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _take(self, told: dict[str, object]) -> None:
        if told.get("agent") == "ready":
            self._ready = True
            return
        program = self._programs[int(str(told["id"]))]
        if "out" in told:
            program.add(str(told["out"]).encode())
        elif "pid" in told:
            program.started(int(str(told["pid"])))
        elif "err" in told:
            program.errors.append(str(told["err"]))
        else:
            program.exit_code = int(str(told["exit"]))


def _command(folder: Path, kernel: Kernel, serial: Iterable[str]) -> Iterator[str]:
    yield from (QEMU, "-M", "pc", "-accel", "tcg,tb-size=256", "-cpu", "max")
    yield from ("-m", str(MEMORY_MB), "-nodefaults", "-display", "none", "-no-reboot")
    yield from ("-kernel", str(kernel.image), "-initrd", str(folder / "initramfs"))
    yield from ("-append", KERNEL_OPTIONS, "-serial", f"file:{folder}/console")
    for line in serial:
        yield from ("-serial", line)
    yield from ("-device", "virtio-serial")
    yield from ("-chardev", f"socket,id=agent,path={folder}/agent")
    yield from ("-device", "virtserialport,chardev=agent")
    every = "security_model=none,multidevs=remap"
    yield from ("-virtfs", f"local,path=/,mount_tag=root,readonly=on,{every}")
    yield from ("-virtfs", f"local,path={folder}/shared,mount_tag=shared,{every}")
    yield from ("-device", "qemu-xhci,id=xhci")
    for number in range(USB_PORTS):
        socket_of = f"socket,id=usb{number},path={folder}/usb{number},server=on,wait=off"
        yield from ("-chardev", socket_of)
        yield from ("-device", f"usb-redir,chardev=usb{number},bus=xhci.0")


@contextmanager
def guest(folder: Path, kernel: Kernel, serial: Iterable[str] = ()) -> Iterator[Guest]:
    """A guest that has started; ended at the end, whatever happens.

    Args:
        folder: an empty one for its sockets, console and shared files. A short path: a socket's
            name has at most 107 bytes.
        kernel: what it boots.
        serial: qemu's word for what is at the other end of ttyS1, ttyS2, such as a pty's path.
    """
    (folder / "shared").mkdir()
    agent = f"{sys.executable} {REPOSITORY}/tests/machine/inside/agent.py"
    modules = kernel.with_needed(initramfs.MODULES)
    (folder / "initramfs").write_bytes(initramfs.archive(modules, agent))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
        listener.listen()
        with (folder / "qemu").open("wb") as complaints:
            process = subprocess.Popen(
                list(_command(folder, kernel, serial)), stdin=subprocess.DEVNULL, stderr=complaints
            )
        try:
            connection = _accepted(listener, process, folder)
        except BaseException:
            process.kill()
            process.wait()
            raise
    started = Guest(folder, process, connection.detach())
    try:
        started.boot()
        yield started
    finally:
        started.off()
        os.close(started._agent)


def _accepted(
    listener: socket.socket, process: "subprocess.Popen[bytes]", folder: Path
) -> socket.socket:
    """Wait for qemu's connection, or for its end: then it has said why."""
    end_s = time.monotonic() + BOOT_WAIT_S
    listener.settimeout(0.2)
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(TimeoutError):
            return listener.accept()[0]
    raise AssertionError(f"{QEMU} did not start: {(folder / 'qemu').read_text()}")
