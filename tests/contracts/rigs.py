"""Readers on simulated devices, each a real process on a pty, with a hand that moves cards; and a loop that listens like the lane.

A reader joins the contract by a class with the shape of ReaderRig and a line in RIGS. Nothing here knows a device's protocol.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from validator.adapters.pn532_reader import Pn532Reader
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent, ReaderLost
from validator.ports import Reader

SAID_S = 10.0  # within which a simulated device answers a verb; far above what it needs
HOLD_NS_MAX = 500_000_000  # the contract says 100 ms; a busy machine may double and double it again


Answer = TypeVar("Answer")


class Simulator:
    """One `firmware-sim` process. Every verb waits until the device says that it has happened."""

    def __init__(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("firmware-sim")), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self.path = self._line(time.monotonic() + SAID_S).decode()

    def say(self, verb: str, answer: str) -> dict[str, Any]:
        """Say a verb; its event, once the event called `answer` has come."""
        self.call(verb)
        return self.wait_for(answer, verb)

    def call(self, verb: str) -> None:
        """Say a verb and do not wait: for a test that listens meanwhile."""
        self._stdin.write(f"{verb}\n".encode())

    def wait_for(self, name: str, why: str = "") -> dict[str, Any]:
        """The next event of that name; those before it are skipped."""
        deadline = time.monotonic() + SAID_S
        while True:
            event: dict[str, Any] = json.loads(self._line(deadline))
            assert event["event"] != "error", f"{why}: {event['message']}"
            if event["event"] == name:
                return event

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(SAID_S)
        self._stdin.close()
        self._stdout.close()

    def _line(self, deadline: float) -> bytes:
        while not self._lines:
            wait_s = max(0.0, deadline - time.monotonic())
            assert select.select((self._stdout,), (), (), wait_s)[0], "the simulated device says nothing"
            data = os.read(self._stdout.fileno(), 65536)
            assert data, "the simulated device has ended"
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft()


def threads_and_descriptors() -> tuple[int, int]:
    """How many of each this process has, once the threads that are about to end have ended."""
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(1.0)
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


class ReaderRig(Protocol):
    """One device, the readers opened on it, and the hand in front of it. Times are monotonic, in ns."""

    path: str

    def reader(self) -> Reader:
        """A new reader on this device; the caller closes it."""

    def present(self, uid: str, leaves: str = "") -> int:
        """Put a card on the reader, `uid` in hex; it goes away by itself at the stage `leaves`. Returns when it came."""

    def remove(self) -> None:
        """Take every card away. One that has left by itself is no error."""

    def clash(self, first: str, second: str) -> int:
        """Put two cards on the reader in one moment. Returns when they came."""

    def unplug(self) -> int:
        """Pull the plug. Returns when."""

    def replug(self) -> int:
        """Put it back, behind the same path. Returns when."""

    def brown_out(self) -> int:
        """Let the device's supply dip: it restarts, the port stays. Returns when."""

    def fault(self, text: str) -> None:
        """Switch a named fault on, such as `dropped=1`; `none` switches all off."""

    def close(self) -> None:
        """End the device."""


class Pn532Rig:
    """`firmware-sim pn532` and Pn532Reader."""

    def __init__(self, link: Path, timing: str = "ideal", *, seed: int = 0) -> None:
        self.path = str(link)
        self.simulator = Simulator("pn532", "--link", self.path, "--timing", timing, "--seed", str(seed))

    def reader(self) -> Reader:
        return Pn532Reader(self.path)

    def present(self, uid: str, leaves: str = "") -> int:
        stage = f" leaves={leaves}" if leaves else ""
        return int(self.simulator.say(f"present {uid}{stage}", "present")["at_ns"])

    def remove(self) -> None:
        for card in self.status()["cards"]:
            self.simulator.say(f"remove {card['uid']}", "removed")

    def clash(self, first: str, second: str) -> int:
        return int(self.simulator.say(f"clash {first} {second}", "clash")["at_ns"])

    def unplug(self) -> int:
        return int(self.simulator.say("unplug", "unplugged")["at_ns"])

    def replug(self) -> int:
        return int(self.simulator.say("replug", "replugged")["at_ns"])

    def brown_out(self) -> int:
        return int(self.simulator.say("brownout", "brownout")["at_ns"])

    def fault(self, text: str) -> None:
        self.simulator.say(f"fault {text}", "fault")

    def status(self) -> dict[str, Any]:
        return self.simulator.say("status", "status")

    def close(self) -> None:
        self.simulator.close()


@dataclass(frozen=True)
class RigKind:
    """How to start a device and open its reader, and the device's faults, in the words that `ReaderRig.fault` takes."""

    start: Callable[[Path], ReaderRig]
    reader: Callable[[str], Reader]
    passing_faults: tuple[str, ...]
    lasting_faults: tuple[str, ...]


PN532_PASSING = (
    "noise=1",
    "dropped=1",
    "dropped=2",
    "dropped-ack=1",
    "dropped-ack=2",
    "truncated=1",
    "bad-checksum=1",
    "delayed=40/3",
    "delayed=400/1",
)
PN532_LASTING = (
    "noise",
    "noise=0.5",
    "dropped=0.5",
    "dropped-ack=0.5",
    "truncated",
    "truncated=0.5",
    "bad-checksum",
    "bad-checksum=0.5",
    "delayed=30",
    "delayed=400",
    "stuck-baud",
    "every-second",
)
RIGS = {
    "pn532": RigKind(lambda folder: Pn532Rig(folder / "reader"), Pn532Reader, PN532_PASSING, PN532_LASTING),
    "pn532, real times": RigKind(
        lambda folder: Pn532Rig(folder / "reader", "real"), Pn532Reader, PN532_PASSING, PN532_LASTING
    ),
}


class Listener:
    """Drives a reader as the lane's loop does, and keeps the longest time that one call took."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.longest_ns = 0

    def event(self, wait_s: float = 2.0) -> ReaderEvent | None:
        """The next event, or None when there is none within `wait_s`."""
        deadline_ns = time.monotonic_ns() + int(wait_s * 1e9)
        while True:
            event = self._timed(self.reader.take)
            if event is not None or time.monotonic_ns() >= deadline_ns:
                return event
            self._wait(deadline_ns)

    def armed_event(self, wait_s: float = 2.0) -> ReaderEvent | None:
        """Arm, then the next event."""
        self._timed(self.reader.arm)
        return self.event(wait_s)

    def back(self, wait_s: float = 10.0) -> ReaderBack:
        """The next ReaderBack; only ReaderLost may come before it."""
        event = self.event(wait_s)
        while isinstance(event, ReaderLost):
            event = self.event(wait_s)
        assert isinstance(event, ReaderBack), event
        return event

    def uid(self, wait_s: float = 2.0) -> str:
        """The UID of the next card, in hex; the reader may be lost and back before, and events without a card are skipped."""
        deadline = time.monotonic() + wait_s
        while not isinstance(event := self.armed_event(deadline - time.monotonic()), CardSeen):
            assert event is not None, f"no card within {wait_s} s"
        return event.card.uid.raw.hex()

    def _wait(self, deadline_ns: int) -> None:
        poll = select.poll()
        if self.reader.fileno() >= 0:
            poll.register(self.reader.fileno(), select.POLLIN)
        due_ns = min(deadline_ns, self.reader.deadline_ns()) - time.monotonic_ns()
        poll.poll(max(0, due_ns) / 1e6)

    def _timed(self, call: Callable[[], Answer]) -> Answer:
        started_ns = time.monotonic_ns()
        answer = call()
        self.longest_ns = max(self.longest_ns, time.monotonic_ns() - started_ns)
        return answer


@contextmanager
def listening(reader: Reader) -> Iterator[Listener]:
    """A listener whose reader is closed at the end; no call may have held the loop."""
    listener = Listener(reader)
    try:
        yield listener
    finally:
        listener.reader.close()
    print(f"longest call {listener.longest_ns / 1e6:.1f} ms")  # noqa: T201
    assert listener.longest_ns < HOLD_NS_MAX
