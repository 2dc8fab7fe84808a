"""The crowd's two devices as child processes, its own standard input, and one wait over all of them.

What is read goes into the `Scene`; verbs on the crowd's own input go through to the devices. It plays nobody. A device is
a child in a session of its own, so that Ctrl-C ends the crowd first, and the crowd its devices; if the crowd dies without
that, the devices see their output closed and end by themselves.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from firmware_sim.crowd.passenger import Scene
from firmware_sim.crowd.plan import ASKED_MAX, KINDS_MAX, Asked, AskedError, read_asked

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
READ_BYTES = 65536
LINE_MAX_BYTES = 65536  # a device's line is under 4096; what has no end must not fill the memory
START_LIMIT_S = 10.0
STOP_LIMIT_S = 5.0
STDIN = 0
# At least the shortest UID. No line of ours may carry one, not even a device's complaint about a verb.
_UIDS = re.compile(r"(?i)\b(?:[0-9a-f]{2}:?){4,10}\b")

_ASKED_FOR = ("resume", "emergency")


class CrowdError(Exception):
    """The crowd cannot go on; the text is one clear line. `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):  # noqa: N818  (it is no error: somebody said stop)
    """The verb `quit`, or a signal."""


def say(**fields: object) -> None:
    """Print one line of the crowd's output.

    Raises:
        Stopped: its reader has gone.
        CrowdError: it cannot be written.
    """
    try:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
    except OSError as error:
        # What is still buffered would be tried again, and complained about, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise Stopped from None
        raise CrowdError(f"standard output: {error.strerror}") from error


class Lines:
    """Bytes of a pipe to whole lines."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> list[str] | None:
        """The lines that have come; None at the end of the pipe."""
        data = os.read(self.descriptor, READ_BYTES)
        if not data:
            return None
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) <= LINE_MAX_BYTES else b""
        return [line.decode("utf-8", "replace") for line in whole]


class Device:
    """One simulated device, started and owned."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware_sim", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018  (PIPE)
        self._stdin = self._process.stdin.fileno()
        self.lines = Lines(self._process.stdout.fileno())
        self.path: str | None = None

    def verb(self, words: str) -> None:
        """Send one verb."""
        try:
            os.write(self._stdin, f"{words}\n".encode())
        except OSError as error:
            raise self.ended() from error

    def take(self) -> list[dict[str, Any]]:
        """The events that have come. Raises CrowdError when the device has ended."""
        lines = self.lines.read()
        if lines is None:
            raise self.ended()
        if lines and self.path is None:
            self.path = lines.pop(0)
        return [json.loads(line) for line in lines]

    def ended(self) -> CrowdError:
        """Why there is no device any more."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT_S)
        status = self._process.returncode
        if self.path is None:
            return CrowdError(f"the simulated {self.name} did not start; it said why", status or 1)
        return CrowdError(f"the simulated {self.name} ended by itself, status {status}")

    def stop(self) -> None:
        """End it and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Devices:
    """Reader, board, standard input and signals, waited for together. A `Gate` of passenger.py; a context manager."""

    def __init__(self, reader: Sequence[str], board: Sequence[str], *, wait_limit_s: float) -> None:
        self.scene = Scene()
        self.asked: deque[Asked] = (
            deque()
        )  # passengers somebody asked for by the verb `next`, in order
        self.either: set[str] = (
            set()
        )  # kinds of cards of which, by the verb `either`, either is right
        self._arguments = {"reader": reader, "board": board}
        self._wait_limit_ns = int(wait_limit_s * NS_PER_S)
        self._devices: dict[str, Device] = {}
        self._verbs: Lines | None = Lines(STDIN)
        self._paused = False
        self._pause_at: int | None = None  # from this tap on nobody comes by himself
        self._steps = 0  # how many come all the same

    def __enter__(self) -> Self:
        self._wake, self._alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._alarm, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        for device in self._devices.values():
            device.stop()
        signal.set_wakeup_fd(-1)
        os.close(self._wake)
        os.close(self._alarm)

    def start(self) -> dict[str, str]:
        """Start both devices; return their paths."""
        try:
            for name, arguments in self._arguments.items():
                self._devices[name] = Device(name, arguments)
        except OSError as error:
            raise CrowdError(f"cannot start a device: {error}") from error
        if not self.wait(
            lambda: all(device.path for device in self._devices.values()), int(START_LIMIT_S * 1000)
        ):
            raise CrowdError(f"the simulated devices did not start within {START_LIMIT_S:.0f} s")
        return {name: device.path or "" for name, device in self._devices.items()}

    def verb(self, device: str, words: str) -> None:
        """See `passenger.Gate`."""
        self._devices[device].verb(words)

    def wait(self, until: Callable[[], bool], limit_ms: int) -> bool:
        """See `passenger.Gate`."""
        end_ns = time.monotonic_ns() + limit_ms * NS_PER_MS
        while not until():
            left_ns = end_ns - time.monotonic_ns()
            if left_ns <= 0:
                return False
            self._hear(left_ns)
        return True

    def wait_until(self, at_ns: int) -> None:
        """Let things happen until this monotonic time."""
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            self._hear(left_ns)

    def wait_turn(self, tap: int) -> None:
        """Let things happen until tap number `tap` may come: from the tap of `pause TAP` on, only who is asked for, or let come by `step`."""
        is_held = False
        while self._pause_at is not None and tap >= self._pause_at:
            if self.asked:
                break
            if self._steps:
                self._steps -= 1
                break
            if not is_held:
                is_held = True
                say(event="waiting", **{"for": "resume"})
            self._hear(NS_PER_S)

    def wait_served(self) -> None:
        """See `passenger.Gate`. Says what is waited for; time that somebody asked for by a verb is not limited.

        Raises:
            CrowdError: nobody serves the gate within the limit.
        """
        said: str | None = None
        since_ns = time.monotonic_ns()
        while (missing := self._missing()) is not None:
            if missing != said:
                say(event="waiting", **{"for": missing})
                said = missing
            if missing in _ASKED_FOR:
                since_ns = time.monotonic_ns()
            left_ns = since_ns + self._wait_limit_ns - time.monotonic_ns()
            if left_ns <= 0:
                limit_s = self._wait_limit_ns / NS_PER_S
                raise CrowdError(
                    f"waited {limit_s:g} s for the {missing}; is a lane running on these devices?"
                )
            self._hear(left_ns)
        if said is not None:
            say(event="served")

    def _missing(self) -> str | None:
        return "resume" if self._paused else self.scene.missing

    def _hear(self, limit_ns: int) -> None:
        """Wait for whatever comes first, and take it in."""
        sources = {device.lines.descriptor: device for device in self._devices.values()}
        verbs = [] if self._verbs is None else [self._verbs.descriptor]
        ready = select.select([*sources, *verbs, self._wake], (), (), limit_ns / NS_PER_S)[0]
        if self._wake in ready:
            raise Stopped
        for descriptor, device in sources.items():
            if descriptor in ready:
                self._take(device)
        if verbs and verbs[0] in ready:
            self._obey_all()

    def _take(self, device: Device) -> None:
        for event in device.take():
            if event["event"] == "error":
                say(
                    event="error",
                    device=device.name,
                    message=_UIDS.sub("(uid)", str(event.get("message"))),
                )
            self.scene.update(device.name, event)

    def _obey_all(self) -> None:
        try:
            lines = self._verbs.read() if self._verbs else None
        except OSError:
            lines = None
        if lines is None:
            self._verbs = None  # the end of standard input is no reason to stop
        for line in lines or ():
            self._obey(line.split())

    def _obey(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["quit"]:
                raise Stopped
            case ["pause" | "resume" as word]:
                self._paused, self._pause_at, self._steps = word == "pause", None, 0
            case ["pause", tap] if re.fullmatch("[1-9][0-9]{0,8}", tap):
                self._pause_at = int(tap)
            case ["step"]:
                self._steps += 1
            case ["reader" | "board" as device, _, *_] if "quit" not in words:
                self.verb(device, " ".join(words[1:]))
            case ["either", kind] if len(self.either) < KINDS_MAX:
                self.either.add(kind)
            case ["next", *_] if len(self.asked) >= ASKED_MAX:
                _complain(f"next: {ASKED_MAX} passengers wait already; wait for their taps")
            case ["next", *what]:
                self._ask(what)
            case _:
                known = "next UID OUTCOME REPORT, either KIND, reader VERB, board VERB, pause [TAP], step, resume, quit"
                _complain(f"{' '.join(words)}: not a verb; write {known}")

    def _ask(self, what: Sequence[str]) -> None:
        try:
            self.asked.append(read_asked(what))
        except AskedError as error:
            _complain(f"next: {error}")


def _complain(message: str) -> None:
    say(event="error", message=_UIDS.sub("(uid)", message))
