"""Programs that are killed at random instants of their work, and a crowd that taps meanwhile."""

import ctypes
import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.processes.forked_programs import Fork, Forks
from tests.processes.kill_rig import People, System
from tests.support.machine.programs import Line, program

MENDED = ("written again", "its copy has it")  # what a courier logs of bits that have rotted
IDLE_S_MAX = (
    2.0  # one life in ten may last so long: past the start's work, into what comes after it
)
TAP_EVERY_S = 0.04  # a pace, so that the crowd leaves the processor to those that are to be killed
WORK_S, WORK_FILES = 0.2, 10.0  # what a first guess takes for the work of a life

_CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x80, 0x100, 0x200  # of <sys/inotify.h>
_EVENT = struct.Struct("iIII")


class FolderWatch:
    """Counts what is done to files in some folders, the moment it is done (inotify(7))."""

    def __init__(self, folders: Sequence[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE
        for folder in folders:
            assert libc.inotify_add_watch(self._fd, bytes(folder), mask) >= 0, os.strerror(
                ctypes.get_errno()
            )

    def fileno(self) -> int:
        """For select: readable when something was done."""
        return int(self._fd)

    def count(self) -> int:
        """How many things were done since the last time."""
        try:
            events = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return 0
        at = counted = 0
        while at < len(events):
            at += _EVENT.size + _EVENT.unpack_from(events, at)[3]
            counted += 1
        return counted

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)


class Victim:
    """A program that dies at random: after a time, or after so many operations on files.

    Both are uniform over twice what it seems to need for its work, so every second life ends it.
    By time alone hardly any would die

    between two steps on the disk, which is where something can go wrong.

    Raises:
        AssertionError: the program printed a complaint or ended by itself.
    """

    def __init__(
        self,
        forks: Forks,
        random: Random,
        kills: int,
        command: tuple[str, ...],
        is_done: Callable[[Line], bool],
        watch: FolderWatch | None,
    ) -> None:
        """`watch` is on the folders that it writes to, if it does."""
        self.kills_left = kills
        self.watch = watch
        self.lives_done = 0
        self._forks = forks
        self._random = random
        self._command = command
        self._is_done = is_done
        self._work_s, self._work_files = WORK_S, WORK_FILES
        self.start()

    def start(self) -> None:
        """Start it, and draw when it dies."""
        is_long, by_files = (
            self._random.randrange(10) == 0,
            self.watch and self._random.randrange(2) == 0,
        )
        life_s = self._random.uniform(0, IDLE_S_MAX if is_long else 2 * self._work_s)
        self._files_left = (
            self._random.uniform(0, 2 * self._work_files) if by_files else float("inf")
        )
        self._files = 0
        self._has_worked = False
        if self.watch:
            self.watch.count()
        self.program: Fork = self._forks.start(*self._command)
        self.due_s = self.program.started_s + (2 * self._work_s if by_files else life_s)
        if not self.kills_left:
            self.due_s = self._files_left = float("inf")

    def is_due(self) -> bool:
        """Return whether the program is to be killed now."""
        if self.watch:
            self._files += self.watch.count()
        return self._files >= self._files_left or time.monotonic() >= self.due_s

    def hear(self) -> list[Line]:
        """The program's output since the last call."""
        return self._checked(self.program.read())

    def kill(self) -> list[Line]:
        """Kill it; its last words."""
        assert not self.program.has_ended(), f"{self.program.name} ended by itself: {self.hear()}"
        self.kills_left -= 1
        last = self._checked(self.program.kill())
        if not self._has_worked:
            self._work_s *= 1.1
            self._work_files *= 1.1
        return last

    def _checked(self, lines: list[Line]) -> list[Line]:
        problems = [line["problem"] for line in lines if line.get("event") == "courier problem"]
        complaints: list[object] = [line for line in lines if "text" in line]
        complaints += [each for each in problems if not each.endswith(MENDED)]
        assert not complaints, f"{self.program.name}: {complaints}"
        if not self._has_worked and any(map(self._is_done, lines)):
            self._has_worked = True
            self.lives_done += 1
            self._work_s += (time.monotonic() - self.program.started_s - self._work_s) / 4
            self._work_files += (self._files - self._work_files) / 4
        return lines


class Tap(NamedTuple):
    """A decided card: presented under one adopted version, decided before another was public."""

    uid: bytes
    adopted: int
    public: int
    line: Line


class Crowd:
    """Presents cards to the gate in turn, and keeps each answer. A killed lane gives none."""

    def __init__(self, stack: ExitStack, of: System, people: People, random: Random) -> None:
        self.taps: list[Tap] = []
        self.adopted = 0
        self.tries_again = 0
        """Cards that the lane did not decide about, since the machine stalled meanwhile."""
        self.due_s = float("inf")
        """When the next card comes: `present_next`."""
        self._of = of
        self._people = people
        self._random = random
        self._present: bytes | None = None
        self._adopted_before = 0
        board = ("firmware_sim", "board", "--link", str(of.gate / "board"), "--walk-ms", "5")
        reader = ("firmware_sim", "pn532", "--link", str(of.gate / "reader"))
        self._reader, self._board = (
            stack.enter_context(program(*command)) for command in (reader, board)
        )
        for device in (self._reader, self._board):
            device.first_line()

    def hear(self, lines: list[Line]) -> None:
        """The lane's answer."""
        for line in lines:
            match line["event"]:
                case "started":
                    self.due_s = time.monotonic()
                case "list":
                    version = line["list_version"] or 0
                    assert version >= self.adopted, (
                        f"the lane fell from list {self.adopted} to {version}"
                    )
                    self.adopted = version
                case "list problem":
                    assert not self.adopted, line
                case "tap":
                    self._tapped(line)

    def present_next(self, uid: bytes | None = None) -> None:
        """The next passenger comes, with this card or any."""
        self._present = uid or self._random.choice(self._people.restless)
        self._adopted_before = self.adopted
        self._reader.say(f"present {self._present.hex()}")
        self.due_s = float("inf")

    def lane_is_dead(self) -> None:
        """No card is there when the next one starts, so that each answer is its own card's."""
        self._take_away()
        self.due_s = float("inf")

    def _tapped(self, line: Line) -> None:
        assert self._present is not None
        if (
            line["outcome"] == "try_again"
        ):  # the machine stalled, and the lane logs that: the next one comes
            self.tries_again += 1
            self._take_away()
            self.due_s = time.monotonic() + TAP_EVERY_S
            return
        # Adopted when the card came, not now: a list may be adopted between a tap and its line.
        self.taps.append(Tap(self._present, self._adopted_before, self._of.public_version(), line))
        self.adopted = max(self.adopted, line["list_version"])
        self._take_away()
        self.due_s = time.monotonic() + TAP_EVERY_S

    def _take_away(self) -> None:
        if self._present is not None:
            self._reader.say("remove")
            self._reader.event("removed", uid=self._present.hex())
            self._present = None
        self._board.catch_up()
