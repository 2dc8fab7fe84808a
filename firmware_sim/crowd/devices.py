"""The crowd's two devices as child processes, its own standard input, and one wait over all.

Events go into the `Scene`; verbs on the crowd's own input go to the devices. Each device has a
session of its own, so that Ctrl-C ends the crowd first, and the crowd its devices. If the crowd is
killed, the devices find their output closed and end by themselves.
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
LINE_MAX_BYTES = 65536  # a device's line is under 4096: bounds a line without an end
START_LIMIT_S = 10.0
STOP_LIMIT_S = 5.0
STDIN = 0
VERBS = (
    "next UID OUTCOME REPORT, either KIND, reader VERB, board VERB, pause [TAP], step, resume, quit"
)
# At least the shortest UID. No printed line may have one, not even a device's error about a verb.
_UIDS = re.compile(r"(?i)\b(?:[0-9a-f]{2}:?){4,10}\b")

_WANTED = ("resume", "emergency")  # waits that a verb began; they have no limit


class CrowdError(Exception):
    """The crowd cannot go on; the text is one line. `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):  # noqa: N818  (it is no error: a verb or a signal)
    """The crowd ends: the verb `quit`, a signal, or a reader that has gone."""


def print_line(**fields: object) -> None:
    """Print one JSON object to standard output.

    Raises:
        Stopped: its reader has gone.
        CrowdError: it cannot be written.
    """
    try:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()
    except OSError as error:
        # Otherwise the interpreter would write the buffer at its end, and print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise Stopped from None
        raise CrowdError(f"standard output: {error.strerror}") from error


class Lines:
    """Whole lines of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._rest = b""

    def read(self) -> list[str] | None:
        """Read once; return the complete lines, or None at the end of the pipe."""
        data = os.read(self.descriptor, READ_BYTES)
        if not data:
            return None
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) <= LINE_MAX_BYTES else b""
        return [line.decode("utf-8", "replace") for line in whole]


class Device:
    """One simulated device, as a child process."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware_sim", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101  (a pipe)
        assert self._process.stdout is not None  # noqa: S101  (a pipe)
        self._stdin = self._process.stdin.fileno()
        self.lines = Lines(self._process.stdout.fileno())
        self.path: str | None = None

    def verb(self, line: str) -> None:
        """Send one verb. Raises CrowdError when the device has ended."""
        try:
            os.write(self._stdin, f"{line}\n".encode())
        except OSError as error:
            raise self.ended() from error

    def take(self) -> list[dict[str, Any]]:
        """Return the events that have come. Raises CrowdError when the device has ended."""
        lines = self.lines.read()
        if lines is None:
            raise self.ended()
        if lines and self.path is None:
            self.path = lines.pop(0)
        return [json.loads(line) for line in lines]

    def ended(self) -> CrowdError:
        """Return the error for a device that has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT_S)
        status = self._process.returncode
        if self.path is None:
            return CrowdError(
                f"the simulated {self.name} did not start; the reason is above", status or 1
            )
        return CrowdError(f"the simulated {self.name} ended by itself, status {status}")

    def stop(self) -> None:
        """End it, and wait for its end."""
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
    """Reader, board, standard input and signals, waited for together.

    A `Gate` of passenger.py, and a context manager that ends the devices.
    """

    def __init__(self, reader: Sequence[str], board: Sequence[str], *, wait_limit_s: float) -> None:
        self.scene = Scene()
        self.asked: deque[Asked] = deque()
        """The passengers of the verb `next` that have not come yet, in order."""
        self.either: set[str] = set()
        """The kinds of cards of the verb `either`: any verdict is right for them."""
        self._arguments = {"reader": reader, "board": board}
        self._wait_limit_ns = int(wait_limit_s * NS_PER_S)
        self._devices: dict[str, Device] = {}
        self._verbs: Lines | None = Lines(STDIN)
        self._paused = False
        self._pause_at: int | None = None  # from this tap on, passengers wait for `step` or `next`
        self._steps = 0  # how many `step` lets come

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
        """Start both devices; return their paths. Raises CrowdError."""
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

    def verb(self, device: str, line: str) -> None:
        """See `passenger.Gate`."""
        self._devices[device].verb(line)

    def wait(self, until: Callable[[], bool], limit_ms: int) -> bool:
        """See `passenger.Gate`."""
        end_ns = time.monotonic_ns() + limit_ms * NS_PER_MS
        while not until():
            left_ns = end_ns - time.monotonic_ns()
            if left_ns <= 0:
                return False
            self._wait(left_ns)
        return True

    def wait_until(self, at_ns: int) -> None:
        """Take events until this monotonic time."""
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            self._wait(left_ns)

    def wait_turn(self, tap: int) -> None:
        """Take events until tap number `tap` may come.

        From the tap of `pause TAP` on, only passengers of `next` and `step` come.
        """
        is_held = False
        while self._pause_at is not None and tap >= self._pause_at:
            if self.asked:
                break
            if self._steps:
                self._steps -= 1
                break
            if not is_held:
                is_held = True
                print_line(event="waiting", **{"for": "resume"})
            self._wait(NS_PER_S)

    def wait_served(self) -> None:
        """See `passenger.Gate`. Prints what it waits for; a wait that a verb began has no limit.

        Raises:
            CrowdError: no lane serves the gate within the limit.
        """
        printed: str | None = None
        since_ns = time.monotonic_ns()
        while (missing := self._missing()) is not None:
            if missing != printed:
                print_line(event="waiting", **{"for": missing})
                printed = missing
            if missing in _WANTED:
                since_ns = time.monotonic_ns()
            left_ns = since_ns + self._wait_limit_ns - time.monotonic_ns()
            if left_ns <= 0:
                limit_s = self._wait_limit_ns / NS_PER_S
                raise CrowdError(
                    f"waited {limit_s:g} s for the {missing}; is a lane running on these devices?"
                )
            self._wait(left_ns)
        if printed is not None:
            print_line(event="served")

    def _missing(self) -> str | None:
        return "resume" if self._paused else self.scene.missing

    def _wait(self, limit_ns: int) -> None:
        """Wait for the first input, and take it."""
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
                print_line(
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
            self._verbs = None  # the crowd goes on at the end of standard input
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
                _print_error(f"next: {ASKED_MAX} passengers wait already; wait for their taps")
            case ["next", *words_after]:
                self._ask(words_after)
            case _:
                _print_error(f"{' '.join(words)}: not a verb; write {VERBS}")

    def _ask(self, words: Sequence[str]) -> None:
        try:
            self.asked.append(read_asked(words))
        except AskedError as error:
            _print_error(f"next: {error}")


def _print_error(message: str) -> None:
    print_line(event="error", message=_UIDS.sub("(uid)", message))
