"""Each state of the list on a real lane process, by files that the real courier has installed.

The lane does what the operator chose, and logs it.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes.clocked_gate import Y1970, Y2038, ClockedGate, told
from tests.processes.gate_rig import Gate
from tests.support.city.list_making import EPOCH_UNIX_S, NOW_UNIX_S
from tests.support.city.town import Town, town, uid, wire
from tests.support.gate.gate_courier import Gate as Brought
from tests.support.machine.programs import Program
from tests.support.web.web_server import Fault
from validator.errors import SourceState
from validator.lists.segment import NO_END

ENDING, KNOWN, LATER, STRANGER = uid(1), uid(2), uid(3), uid(4)
HOUR_S, DAY_S = 3_600, 86_400
ENDS_UNIX_S = NOW_UNIX_S + 2 * DAY_S  # of one suspension
EXPIRES_UNIX_S = NOW_UNIX_S + 5 * DAY_S  # of the first list
Told = tuple[str, str, str, bool]

ADMITTED: Told = ("admitted", "no rule speaks", "fresh", True)
DENIED: Told = ("denied", "in table", "fresh", True)


@dataclass
class ServedGate:
    """One gate: the courier's parts in this process, the lane as a process, one clock for both."""

    town: Town
    brought: Brought
    clocked: ClockedGate

    def clock(self, **changes: object) -> None:
        """Set the system clock of both."""
        clock = self.brought.clock
        for name, value in changes.items():
            setattr(clock, name, value)
        self.clocked.set(
            clock.unix_s,
            synchronised=clock.synchronised,
            boottime_s=clock.boottime_s,
            boot_id=clock.boot_id,
        )

    def publish(self, cards: dict[bytes, int]) -> None:
        """The next list: these cards are suspended until then, in units."""
        before, self.town.version = self.town.version, self.town.version + 1
        self.town.offer(wire(cards, before, self.town.version), before, self.town.version)
        self.town.sign(self.town.manifest())

    def bring(self, version: int) -> None:
        """The courier polls once, and installs this list."""
        status = self.brought.poll()
        assert (status.state, status.list_version) == (SourceState.FRESH, version), status.problem

    def tap(self, lane: Program, card: bytes) -> Told:
        """Tap a card. Returns the lane's line of that tap."""
        return told(self.clocked.tap(lane, card))

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """No network."""
        server = self.town.server
        server.accepting = Fault.RESET
        server.drop_connections()
        assert self.brought.poll().state is SourceState.UNREACHABLE
        yield
        server.accepting = None

    @contextmanager
    def halted(self, lane: Program) -> Iterator[None]:
        """The lane does not scan its folder meanwhile: for it all changes come at once."""
        lane.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, lane.process.pid, os.WSTOPPED)
        try:
            yield
        finally:
            lane.process.send_signal(signal.SIGCONT)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Town]:
    """A city that has published nothing."""
    with town(tmp_path, NOW_UNIX_S) as made:
        yield made


def served(
    city: Town, devices: Gate, *, stale: str = "decide", missing: str = "deny"
) -> ServedGate:
    """A new gate of this city; its courier has polled once if there is a list."""
    brought = city.gate()
    made = ServedGate(city, brought, ClockedGate(brought.folder, devices, stale, missing))
    made.clock()
    return made


def until(unix_s: int) -> int:
    """The end of a suspension, in units."""
    return (unix_s - EPOCH_UNIX_S) // 60


def spoil_newest(folder: Path) -> None:
    """What an SD card, or memory, does to a file: one byte is another, and the length is right."""
    (path,) = folder.glob("*.seg")
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x40
    new = path.with_name(".new-spoilt")
    new.write_bytes(content)
    new.rename(path)


@pytest.mark.parametrize(
    ("stale", "missing", "when_stale", "when_missing"),
    [
        (
            "decide",
            "deny",
            ("admitted", "no rule speaks", "stale", True),
            ("denied", "list missing", "missing", True),
        ),
        (
            "deny",
            "admit",
            ("denied", "list stale", "stale", True),
            ("admitted", "list missing", "missing", True),
        ),
    ],
    ids=["decide by the last list, deny without one", "deny by an old list, admit without one"],
)
def test_each_state_of_the_list_does_what_the_operator_chose(
    city: Town, devices: Gate, stale: str, missing: str, when_stale: Told, when_missing: Told
) -> None:
    gate = served(city, devices, stale=stale, missing=missing)
    with gate.clocked.serving() as lane:
        assert gate.tap(lane, KNOWN) == when_missing

        gate.publish({KNOWN: NO_END})
        gate.bring(1)
        lane.event("list", list_version=1)
        assert gate.tap(lane, KNOWN) == DENIED
        assert gate.tap(lane, STRANGER) == ADMITTED

        gate.clock(unix_s=Y2038, synchronised=False)
        assert gate.tap(lane, KNOWN) == ("denied", "in table", "fresh", False)
        assert gate.tap(lane, STRANGER) == ("admitted", "no rule speaks", "fresh", False)
        gate.clock(unix_s=NOW_UNIX_S, synchronised=True)

        with gate.halted(lane):
            gate.publish({LATER: NO_END})
            gate.bring(2)
            spoil_newest(gate.brought.recent)
        problem = lane.event("list problem")["problem"]
        assert problem.startswith("list version 2 of era 1 is not used: ")
        assert "body checksum does not match" in problem
        assert gate.tap(lane, KNOWN) == ("denied", "in table", "corrupt", True)
        line = gate.clocked.tap(lane, LATER)
        assert (*told(line), line["list_version"]) == (
            "admitted",
            "no rule speaks",
            "corrupt",
            True,
            1,
        )

        gate.brought.start()  # a courier that starts scans for damage
        gate.bring(2)
        lane.event("list", list_version=2)
        assert gate.tap(lane, LATER) == DENIED

        gate.clock(unix_s=EXPIRES_UNIX_S)
        assert gate.tap(lane, KNOWN) == ("denied", "in table", "stale", True)
        assert gate.tap(lane, STRANGER) == when_stale


def test_a_suspension_that_came_with_the_courier_ends_while_there_is_no_network(
    city: Town, devices: Gate
) -> None:
    gate = served(city, devices)
    gate.publish({KNOWN: NO_END})
    gate.bring(1)
    gate.publish({ENDING: until(ENDS_UNIX_S)})
    gate.bring(2)
    with gate.cut_off(), gate.clocked.serving() as lane:
        gate.clock(unix_s=ENDS_UNIX_S - 1)
        assert gate.tap(lane, ENDING) == DENIED
        gate.clock(unix_s=ENDS_UNIX_S)
        line = gate.clocked.tap(lane, ENDING)
        assert (*told(line), line["list_version"]) == (*ADMITTED, 2)
        assert gate.tap(lane, KNOWN) == DENIED


@pytest.mark.parametrize("unix_s", [Y1970, Y2038])
def test_after_a_power_cut_in_another_year_without_a_network_no_card_is_admitted_early(
    city: Town, devices: Gate, unix_s: int
) -> None:
    gate = served(city, devices)
    gate.publish({KNOWN: NO_END})
    gate.bring(1)
    gate.publish({ENDING: until(ENDS_UNIX_S)})
    gate.bring(2)
    gate.clock(unix_s=unix_s, synchronised=False)
    with gate.cut_off():
        assert gate.brought.power_cut().list_version == 2  # from the pieces on the disk
        gate.clock()
        assert gate.brought.poll().state is SourceState.UNREACHABLE
        with gate.clocked.serving() as lane:
            line = gate.clocked.tap(lane, ENDING)
            assert told(line) == ("denied", "in table", "fresh", False)
            assert (line["list_version"], line["unix_s"]) == (
                2,
                NOW_UNIX_S + gate.brought.clock.boottime_s,
            )
            assert gate.tap(lane, STRANGER) == ("admitted", "no rule speaks", "fresh", False)
            gate.clock(boottime_s=2 * DAY_S - 1)
            assert gate.tap(lane, ENDING) == ("denied", "in table", "fresh", False)
            gate.clock(boottime_s=2 * DAY_S)
            assert gate.tap(lane, ENDING) == ("admitted", "no rule speaks", "fresh", False)
            assert gate.tap(lane, KNOWN) == ("denied", "in table", "fresh", False)


def test_a_clock_that_steps_neither_stops_the_lists_nor_believes_what_has_expired(
    city: Town, devices: Gate
) -> None:
    gate = served(city, devices)
    gate.publish({KNOWN: NO_END, ENDING: until(ENDS_UNIX_S)})
    gate.bring(1)
    with gate.clocked.serving() as lane:
        assert gate.tap(lane, ENDING) == DENIED
        for version, unix_s in ((2, Y2038), (3, Y1970)):
            gate.clock(unix_s=unix_s, synchronised=False)
            gate.publish({uid(10 + version): NO_END})
            gate.bring(version)
            lane.event("list", list_version=version)
            assert gate.tap(lane, uid(10 + version)) == ("denied", "in table", "fresh", False)
            assert gate.tap(lane, ENDING) == ("denied", "in table", "fresh", False)
            assert gate.tap(lane, STRANGER) == ("admitted", "no rule speaks", "fresh", False)
        gate.clock(
            boottime_s=100 + 7 * HOUR_S
        )  # by the wall it is still 1970; a timestamp is good for 6 hours
        assert gate.brought.poll().state is SourceState.FROZEN
        assert gate.tap(lane, KNOWN) == ("denied", "in table", "fresh", False)
        assert gate.brought.version == 3
