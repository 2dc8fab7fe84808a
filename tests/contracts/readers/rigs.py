"""The rigs of the reader contract: each reader with its simulated device, and a loop to drive it.

A new reader joins the contract in three steps:

1. a simulated device that runs as a process, takes verbs and reports events (simulator.py);
2. a class with the methods of `ReaderRig`, which moves cards and plugs of that device;
3. a line in `RIGS`, which names the faults of the device and what the reader can know. A reader on
   USB also has `needs_usb_rig`: its tests run in a pytest of their own (test_in_usb_rig.py), as
   `firmware-sim usb-rig -- pytest tests/contracts/readers --readers NAME` does. A reader on an
   input device has `needs_input_rig` in the same way.

Nothing here knows a device's protocol.
"""

import gc
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.contracts.boards.rig import BoardRig, open_board
from tests.contracts.loop import Loop, closing
from tests.contracts.readers import keyboard_rig, pcsc_rig
from tests.contracts.readers.card_rig import CardRig
from tests.contracts.readers.device_faults import (
    BOARD_LASTING,
    BOARD_PASSING,
    PN532_LASTING,
    PN532_PASSING,
    PN532_STAGES,
    RCS380_LASTING,
    RCS380_PASSING,
    RCS380_STAGES,
)
from tests.contracts.readers.keyboard_rig import KeyboardRig, keyboard_reader
from tests.contracts.readers.pcsc_rig import PcscRig, pcsc_reader
from tests.contracts.simulator import Simulator
from validator.domain.events import CardSeen, ReaderBack, ReaderEvent, ReaderLost
from validator.host.usb_devices import UsbName
from validator.lane.ports import Reader, ReaderAbilities
from validator.lane.readers import board_reader, keyboard, pcsc, pn532, rcs380
from validator.lane.readers.board_reader import BoardReader
from validator.lane.readers.pn532.reader import Pn532Reader
from validator.lane.readers.rcs380.reader import Rcs380Reader


def threads_and_descriptors() -> tuple[int, int]:
    """Return how many threads and descriptors this process has, once ending threads have ended."""
    # Else a file that an earlier test has left in a reference cycle is closed during this test.
    gc.collect()
    for thread in threading.enumerate():
        if thread.daemon:
            thread.join(1.0)
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


class ReaderRig(Protocol):
    """One device, the readers opened on it, and the hand in front of it. Times are monotonic ns."""

    path: str
    simulator: Simulator

    def reader(self) -> Reader:
        """Return a new reader on this device; the caller closes it."""

    def present(self, uid: str, leaves: str = "") -> int:
        """Put a card on the reader and return the time.

        Args:
            uid: in hex.
            leaves: the stage of the exchange at which the card leaves by itself; "" for never.
        """

    def remove(self) -> None:
        """Take all cards away. It is no error if there is none."""

    def clash(self, first: str, second: str) -> int:
        """Put two cards on the reader at once and return the time."""

    def unplug(self) -> int:
        """Unplug the device and return the time."""

    def replug(self) -> int:
        """Plug the device in, behind the same path, and return the time."""

    def brown_out(self) -> int:
        """Let the device's supply dip and return the time: it restarts, the port stays."""

    def fault(self, text: str) -> None:
        """Switch a named fault on, such as `dropped=1`; `none` switches all off."""

    def heed(self, reason: str) -> None:
        """Do what a ReaderLost of this reader asks the staff to do, if it is more than to plug."""

    def close(self) -> None:
        """End the device's process."""


class Pn532Rig(CardRig):
    """`firmware-sim pn532` and Pn532Reader."""

    def __init__(self, link: Path, timing: str = "ideal", *, seed: int = 0) -> None:
        self.path = str(link)
        self.simulator = Simulator(
            "pn532", "--link", self.path, "--timing", timing, "--seed", str(seed)
        )

    def reader(self) -> Reader:
        return Pn532Reader(self.path)


class Rcs380Rig(Pn532Rig):
    """`firmware-sim rcs380`, whose verbs are those of a PN532, and Rcs380Reader."""

    def __init__(self, timing: str = "ideal", *options: str) -> None:
        self.path = "usb"
        self.simulator = Simulator("rcs380", "--timing", timing, *options)

    def reader(self) -> Reader:
        return Rcs380Reader(UsbName())


class LoneBoardReader(BoardReader):
    """A board's own reader, on a line of its own, which is closed with the reader."""

    def __init__(self, path: str) -> None:
        self._line = open_board(path)
        super().__init__(self._line)

    def close(self) -> None:
        super().close()
        self._line.close()


class BoardReaderRig(BoardRig):
    """`firmware-sim board --reader` and BoardReader."""

    def __init__(self, link: Path) -> None:
        super().__init__(link, "--reader")

    def reader(self) -> Reader:
        return LoneBoardReader(self.path)

    def heed(self, reason: str) -> None:
        del reason

    def present(self, uid: str, leaves: str = "") -> int:
        assert not leaves, "a board's cards leave at no stage: it reports them whole"
        return self.say(f"present {uid}", "present")

    def remove(self) -> None:
        if self.status()["cards"]:
            self.say("remove", "removed")

    def clash(self, first: str, second: str) -> int:
        return self.say(f"clash {first} {second}", "clash")


@dataclass(frozen=True)
class RigKind:
    """One reader: how to start its device and open it, its faults, and what it can know.

    Attributes:
        start: makes the rig, with its link in a folder.
        reader: opens the reader on a path.
        abilities: what it declares that it can tell; a test of anything else leaves it out.
        passing_faults: names for `ReaderRig.fault`. These faults end by themselves, and a card that
            is held meanwhile is reported.
        lasting_faults: names of faults that last until `none`.
        stages: of an exchange, at which a card can leave, with the event that the reader then
            reports; None if its device cannot know.
        reports_second: whether a card that joins another one is reported.
        knows_answered: whether the device knows that no lane has answered a card yet.
        bears_echo: whether the reader serves on a line that echoes what the lane sends. If not, it
            reports ReaderLost with that reason. None for a device whose line cannot echo.
        knows_sak: whether it tells a card's ATQA and SAK.
        needs_usb_rig: whether the reader finds its device only in the USB rig.
        recovers_s: how long it may take to serve again after a fault.
        away_s: how long a card is away before it is shown again; 0 for as long as the verb takes.
        notices_brown_out: whether each is reported, also one that is over before it is looked for.
        reads_numbers_ahead: whether it reads a printed number right behind the event, so that it
            has it also of a card that has left since.
        needs_input_rig: whether it finds it only in the input rig.
        repeats: whether the device reports a card again and again, at least every 0.5 s, while it
            lies there. Such a reader knows that a card still lies there, though no device reports
            that a card has left.
    """

    start: Callable[[Path], ReaderRig]
    reader: Callable[[str], Reader]
    abilities: ReaderAbilities
    passing_faults: tuple[str, ...]
    lasting_faults: tuple[str, ...]
    stages: Mapping[str, type[ReaderEvent] | None] = field(default_factory=dict)
    reports_second: bool = False
    knows_answered: bool = False
    bears_echo: bool | None = None
    knows_sak: bool = True
    needs_usb_rig: bool = False
    recovers_s: float = 2.0
    away_s: float = 0.0
    notices_brown_out: bool = True
    reads_numbers_ahead: bool = False
    needs_input_rig: bool = False
    repeats: bool = False

    @property
    def knows_staying(self) -> bool:
        """Whether the reader learns that a card which came a while ago still lies there."""
        return self.abilities.leaving or self.repeats


def _pn532(timing: str) -> RigKind:
    return RigKind(
        lambda folder: Pn532Rig(folder / "reader", timing),
        Pn532Reader,
        pn532.ABILITIES,
        PN532_PASSING,
        PN532_LASTING,
        PN532_STAGES,
        reports_second=True,
        bears_echo=False,
    )


def _rcs380(timing: str) -> RigKind:
    return RigKind(
        lambda _folder: Rcs380Rig(timing),
        lambda name: Rcs380Reader(UsbName.parse(name)),
        rcs380.ABILITIES,
        RCS380_PASSING,
        RCS380_LASTING,
        RCS380_STAGES,
        reports_second=True,
        needs_usb_rig=True,
    )


RIGS = {
    "pn532": _pn532("ideal"),
    "pn532 at real times": _pn532("real"),
    "board": RigKind(
        lambda folder: BoardReaderRig(folder / "board"),
        LoneBoardReader,
        board_reader.ABILITIES,
        BOARD_PASSING,
        BOARD_LASTING,
        knows_answered=True,
        bears_echo=True,
    ),
    "rcs380": _rcs380("ideal"),
    "rcs380 at real times": _rcs380("real"),
    "pcsc": RigKind(
        PcscRig,
        pcsc_reader,
        pcsc.ABILITIES,
        pcsc_rig.PASSING,
        pcsc_rig.LASTING,
        pcsc_rig.STAGES,
        needs_usb_rig=True,
        knows_sak=False,
        recovers_s=pcsc_rig.RECOVERS_S,
        away_s=1.0,
        notices_brown_out=False,
        reads_numbers_ahead=True,
    ),
    "keyboard": RigKind(
        lambda folder: KeyboardRig(folder / "reader"),
        keyboard_reader,
        keyboard.ABILITIES,
        keyboard_rig.PASSING,
        keyboard_rig.LASTING,
        keyboard_rig.STAGES,
        reports_second=True,
        knows_sak=False,
        needs_input_rig=True,
    ),
}


def kinds_that(can: Callable[[RigKind], bool]) -> list[str]:
    """Return the names of the kinds for which `can` holds: a parameter of the fixture `rig`."""
    return [name for name, kind in RIGS.items() if can(kind)]


class Listener(Loop[ReaderEvent]):
    """Drives a reader as the lane's loop does."""

    def __init__(self, reader: Reader, heed: Callable[[str], None] = lambda _reason: None) -> None:
        """`heed` gets the reason of each loss: `ReaderRig.heed`, for a test that goes on then."""
        super().__init__(reader)
        self.reader = reader
        self._heed = heed

    def event(self, wait_s: float = 2.0) -> ReaderEvent | None:
        """Return the next event, or None if none comes within `wait_s`."""
        event = super().event(wait_s)
        if isinstance(event, ReaderLost):
            self._heed(event.reason)
        return event

    def armed_event(self, wait_s: float = 2.0) -> ReaderEvent | None:
        """Arm the reader and return its next event."""
        self.timed(self.reader.arm)
        return self.event(wait_s)

    def back(self, wait_s: float = 10.0) -> ReaderBack:
        """Return the next ReaderBack; only ReaderLost may come before it."""
        event = self.event(wait_s)
        while isinstance(event, ReaderLost):
            event = self.event(wait_s)
        assert isinstance(event, ReaderBack), event
        return event

    def uid(self, wait_s: float = 60.0, *, but: str = "") -> str:
        """Return the UID of the next card other than `but`, in hex; skip all other events."""
        deadline = time.monotonic() + wait_s
        uid = but
        skipped: list[ReaderEvent] = []
        while uid == but:
            event = self.armed_event(deadline - time.monotonic())
            assert event is not None, f"no card within {wait_s} s, only {skipped}"
            skipped.append(event)
            uid = event.card.uid.raw.hex() if isinstance(event, CardSeen) else but
        return uid


def listening(
    reader: Reader, heed: Callable[[str], None] = lambda _reason: None
) -> AbstractContextManager[Listener]:
    """Serve a reader, close it at the end, and check that no call has held the loop."""
    return closing(Listener(reader, heed))
