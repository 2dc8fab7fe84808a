"""The clerk in simulated time: its regular jobs and its waits. Nothing here sleeps."""

import threading
from typing import Any

import pytest

from tests.support.gate.clerk_world import REPORT, World, found
from tests.support.gate.lane_clients import QueueClient, SimulatedClients, SimulatedTime
from validator.domain.events import Forced
from validator.ipc.requests import ListChanged, Status
from validator.lane.clerk import SCAN_S, SUMMARY_S


class SimulatedWorld(World):
    """The clerk with all its neighbours, in one thread and one simulated time."""

    def __init__(self) -> None:
        self.time = SimulatedTime()
        self.disk_s = 0.0  # how long a commit takes
        self.scanned_s: list[float] = []  # when each scan began, from the start
        self.simulated = SimulatedClients(self.time)
        super().__init__(
            self.simulated, monotonic_s=lambda: self.time.now_s, acquired=self.acquired
        )
        self._began_s = self.time.now_s

    def scan(self) -> Any:
        self.scanned_s.append(self.elapsed_s)
        return super().scan()

    @property
    def elapsed_s(self) -> float:
        """Simulated seconds since the start."""
        return self.time.now_s - self._began_s

    def run_for(self, seconds: float) -> None:
        """Let the clerk run from its start to its end."""
        self.time.at(seconds, self.clerk.stop)
        self.clerk.run()

    def acquired(self, lock: threading.Lock, limit_s: float) -> bool:
        """Wait for a commit that takes `disk_s` seconds, while the clerk works."""
        self.time.now_s += min(self.disk_s, limit_s)
        if self.disk_s > limit_s:
            return False
        while lock.locked():
            self.clerk._turn()
        return True


def test_it_scans_the_list_folder_each_second_and_waits_for_nothing_else() -> None:
    world = SimulatedWorld()
    world.run_for(10 * SCAN_S + 0.5)
    assert world.scanned_s == pytest.approx([n * SCAN_S for n in range(1, 11)])
    assert world.tried_again == 10, "the outbox is tried again as often"
    assert max(world.simulated.waits) == pytest.approx(SCAN_S)


def test_a_summary_is_logged_each_minute_of_an_hour_and_one_at_the_end() -> None:
    world = SimulatedWorld()
    world.run_for(60 * SUMMARY_S + 1)
    events = [line["event"] for line in world.lines]
    assert events == ["summary"] * 60 + ["stopped"]


def test_a_list_that_was_installed_is_adopted_at_once_and_not_within_a_second() -> None:
    world = SimulatedWorld()
    asked_s = 5.25
    adopted_s: list[float] = []

    def install() -> None:
        world.scans = [found(9)]
        world.simulated.send(QueueClient(), ListChanged())

    def look() -> None:
        if world.lists.current is not None and not adopted_s:
            adopted_s.append(world.elapsed_s)

    world.time.at(asked_s, install)
    world.time.at(asked_s + 0.001, look)
    world.run_for(20)
    assert adopted_s == pytest.approx([asked_s + 0.001])
    assert asked_s in world.scanned_s


def test_many_who_ask_do_not_delay_the_scans() -> None:
    world = SimulatedWorld()
    for tenth in range(100):
        world.time.at(tenth / 10, lambda: world.simulated.send(QueueClient(), Status()))
    world.run_for(10.5)
    assert world.scanned_s == pytest.approx([n * SCAN_S for n in range(1, 11)])


def test_notes_wake_it_at_once() -> None:
    world = SimulatedWorld()
    seen: list[float] = []
    for second in (2.25, 3.5, 7.125):
        world.time.at(second, lambda: world.clerk.note(Forced(1)))
        world.time.at(second + 0.001, lambda: seen.append(len(world.lines)))
    world.run_for(9)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("disk_ms", "is_kept"), [(0, True), (59, True), (61, False), (10_000, False)]
)
def test_a_report_is_waited_for_up_to_the_budget_and_kept_in_any_case(
    disk_ms: int, is_kept: bool
) -> None:
    world = SimulatedWorld()  # its budget is 60 ms
    world.disk_s = disk_ms / 1_000
    assert world.clerk.file(REPORT) is is_kept
    assert world.elapsed_s == pytest.approx(min(disk_ms, 60) / 1_000)
    world.run_for(1)
    assert world.kept == [REPORT]
