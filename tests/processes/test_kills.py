"""kill -9 of publisher, courier and lane at two hundred random instants.

Meanwhile cards change, a crowd taps them, and bits rot. A city publishes, a gate fetches the lists
and decides by them, and one of the three programs dies and is started again all the time.
What was half done then does no harm: each tap is decided by one whole list version, versions never
fall, and when the killing ends the
newest list arrives without anybody's help.

    TURNIKE_KILLS=1000 pytest --timeout 3600 tests/processes/test_kills.py    # longer
    TURNIKE_KILL_SEED=… pytest tests/processes/test_kills.py    # draws the same again
"""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random, SystemRandom

import pytest

from backoffice.home.config import load
from backoffice.publishing.publisher import Publisher
from backoffice.registry.registry import Registry
from tests.processes.forked_programs import Fork, Forks
from tests.processes.kill_rig import Counted, People, System, Verdict, system, verdict
from tests.processes.kill_victims import Crowd, FolderWatch, Victim
from tests.support.gate.gate_courier import Gate, SetClock
from tests.support.machine.programs import WAIT_S, Line, program
from tests.support.machine.rot import damaged, write_over
from validator.courier.store.accepted_store import (
    COPY_NAME,
    FILE_NAME,
    ROOT_NAME,
    DiskAcceptedStore,
)
from validator.courier.web.client import WebLimits
from validator.errors import SourceState
from validator.ipc.accepted import AcceptedError, decode
from validator.lane.lists_in_force import ListFolder
from validator.lists.fingerprint_keys import parse_key_file
from validator.lists.held_keys import held_keys

KILLS = (
    int(os.environ.get("TURNIKE_KILLS", "200")) // 2
)  # in each of two tests, which run beside each other
SEED = int(os.environ.get("TURNIKE_KILL_SEED", "0")) or SystemRandom().randrange(1, 1 << 32)
SHARES = {"publisher": 0.4, "courier": 0.4, "lane": 0.2}
CHANGE_EVERY_S = 0.1  # a pace; nothing waits for it
SLEEPS = 8  # publishers die between two polls of a gate that is mostly asleep
PATIENT = (
    "fresh",
    "unreachable",
    "slow",
)  # what a courier may find in a city whose web server lives

Commands = dict[str, tuple[tuple[str, ...], Callable[[Line], bool]]]


def commands(of: System) -> Commands:
    """Each program's command, and by which line it has done its work."""
    publish = (
        "turnike-backoffice",
        "publish",
        "--home",
        str(of.city),
        "--watch",
        "--every",
        "0.1",
        "--json",
    )
    config = ("--config", str(of.gate_config))
    return {
        "publisher": (publish, lambda line: line.get("event") == "published"),
        "courier": (("turnike", "courier", *config), lambda line: line.get("state") == "fresh"),
        "lane": (("turnike", "lane", *config), lambda line: line.get("event") == "tap"),
    }


class Run:
    """One system under the killer, and everything that was seen of it."""

    def __init__(self, stack: ExitStack, of: System, seed: int) -> None:
        self.of = of
        self.registry = stack.enter_context(Registry.open(load(of.city).database_url))
        self.people = People(self.registry, Random(f"{seed} people"))
        self.crowd = Crowd(stack, of, self.people, Random(f"{seed} crowd"))
        self.died_at_work = {"publisher": 0, "courier": 0}
        self.seen = dict.fromkeys(
            ("published", "public", "installed", "accepted", "accepted_store"), 0
        )
        """The highest list version of each source; none ever falls."""
        self._stack = stack
        self._seed = seed
        self._rotting = Random(f"{seed} rot")
        self._sleeper = self.new_gate("sleeper")
        self._counted: list[Counted] = []
        self._victims: dict[str, Victim] = {}

    def new_gate(self, name: str) -> Gate:
        """A gate in this process that has nothing but the root that it was given."""
        keys = tuple(parse_key_file(path.read_bytes()) for path in self.of.keys)
        gate = Gate(
            self.of.folder / name,
            self.of.url,
            self.of.root,
            SetClock(int(time.time())),
            keys,
            WebLimits(),
        )
        self._stack.callback(gate.web.close)
        return gate

    def kill(self, forks: Forks, kills: int) -> None:
        """Kill so many, each at its instant, while cards change."""
        writes_to = {"publisher": self.of.city_folders, "courier": self.of.gate_folders}
        for name, command in commands(self.of).items():
            watch = FolderWatch(writes_to[name]) if name in writes_to else None
            if watch:
                self._stack.callback(watch.close)
            random = Random(f"{self._seed} {name}")
            self._victims[name] = Victim(
                forks, random, round(kills * SHARES[name]), *command, watch
            )
        with _changing(self.people) as changing:
            while any(victim.kills_left for victim in self._victims.values()):
                self._turn()
                assert not changing.done(), changing.exception()
        for name in self._victims:
            self._die(name)

    def _turn(self) -> None:
        dues_s = (self.crowd.due_s, *(victim.due_s for victim in self._victims.values()))
        heard: list[Fork | FolderWatch] = [victim.program for victim in self._victims.values()]
        heard += [victim.watch for victim in self._victims.values() if victim.watch]
        select.select(heard, [], [], max(0.0, min(dues_s) - time.monotonic()))
        for name, victim in self._victims.items():
            if victim.is_due():
                self._die(name)
                victim.start()
            else:
                self._hear(name, victim.hear())
        if self.crowd.due_s <= time.monotonic():
            self.crowd.present_next()

    def _die(self, name: str) -> None:
        victim = self._victims[name]
        self._hear(name, victim.kill())
        match name:
            case "publisher":
                self.died_at_work[name] += self.registry.publications.building() is not None
                if self.of.public_version() != self.seen["public"]:
                    self._rise("public", self.of.look_from_outside())
                if victim.kills_left % SLEEPS == 0:
                    self._wake_sleeper()
            case "courier":
                accepted_store = DiskAcceptedStore(self.of.gate / "lists")
                assert accepted_store.accepted is not None or not self.seen["accepted_store"], (
                    accepted_store.problem
                )
                self._rise(
                    "accepted_store",
                    accepted_store.accepted.list_version if accepted_store.accepted else 0,
                )
                self.died_at_work[name] += self.seen["accepted_store"] > self.seen["installed"]
                self._rot()
            case _:
                self.crowd.lane_is_dead()

    def _rot(self) -> None:
        """While it is dead, one file rots that it believes and no lane reads.

        Never the only copy of what was accepted last: a courier killed between its two copies has
        used neither yet, but their version has been seen here.
        """
        lists = self.of.gate / "lists"
        copies = [lists / FILE_NAME, lists / COPY_NAME]
        path = self._rotting.choice(
            [*copies, lists / ROOT_NAME, *sorted((lists / "pieces").iterdir())]
        )
        if path.exists() and path.stat().st_size and _are_whole_and_equal(*copies):
            write_over(path, damaged(path.read_bytes(), self._rotting))

    def _hear(self, name: str, lines: list[Line]) -> None:
        match name:
            case "lane":
                self.crowd.hear(lines)
            case "publisher":
                for line in lines:
                    self._rise("published", line["list_version"])
            case _:
                for line in (line for line in lines if line["event"] == "courier"):
                    self._courier_says(line)

    def _courier_says(self, line: Line) -> None:
        assert line["state"] in PATIENT or not self.seen["installed"], line
        if line["list_version"] > self.seen["installed"]:
            lane = self._victims["lane"].program
            if any(
                each["event"] == "started" for each in lane.heard
            ):  # before, it does not listen yet
                lane.signal(signal.SIGHUP)
        self._rise("installed", line["list_version"])
        self._rise("accepted", line["accepted_version"])

    def _rise(self, what: str, version: int) -> None:
        assert version >= self.seen[what], f"{what} fell from list {self.seen[what]} to {version}"
        self.seen[what] = version

    def _wake_sleeper(self) -> None:
        """A gate that was away comes back, by whatever pieces lead there now."""
        if not self.seen["public"]:
            return
        self._sleeper.clock.unix_s = int(time.time())
        status = self._sleeper.poll()
        assert status.state is SourceState.FRESH, status
        assert self._sleeper.rules is not None
        self._counted.append(Counted.of(self._sleeper.rules, self.people.uids))

    def judge(self) -> None:
        """Check each tap and each list of a gate against the cards' rules in that version."""
        for tap in self.crowd.taps:
            version = tap.line["list_version"]
            assert tap.adopted <= version <= tap.public
            said = Verdict(tap.line["outcome"], tap.line["ground"], tap.line["rule"])
            assert said == verdict(self.people.under(tap.uid, version)), (
                tap,
                self.people.history[tap.uid],
            )
            assert tap.line["list_state"] == ("fresh" if version else "missing"), tap
        for counted in self._counted:
            assert counted == self.people.counted(counted.version)


def _are_whole_and_equal(one: Path, other: Path) -> bool:
    with suppress(AcceptedError, FileNotFoundError):
        return decode(one.read_bytes()) == decode(other.read_bytes())
    return False


@contextmanager
def _changing(people: People) -> Iterator["Future[None]"]:
    """Cards change while the block runs, in a thread, as other programs of the city would do it."""
    stop = threading.Event()

    def change() -> None:
        while not stop.wait(CHANGE_EVERY_S):
            people.step()

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        try:
            yield changing
        finally:
            stop.set()


def published(of: System) -> int:
    """The list version that is public after one run of the publisher, by its own words."""
    with program("backoffice", "publish", "--home", str(of.city), "--json") as publish:
        publish.wait_for(lambda line: line["event"] in ("published", "unchanged"))
        assert publish.process.wait(WAIT_S) == 0
        version: int = publish.catch_up()[-1]["list_version"]
    return version


def goes_on_by_itself(run: Run) -> int:
    """Start each program once more, as a supervisor does, until the gate has the last change.

    Returns its list version.
    """
    of = run.of
    assert published(of) == run.registry.claimed() == of.public_version()
    assert run.registry.pending() == 0
    run.people.step()
    newest = published(of)
    config = ("--config", str(of.gate_config))
    with (
        program("validator", "courier", *config) as courier,
        program("validator", "lane", *config) as lane,
    ):
        courier.event("courier", state="fresh", list_version=newest)
        run.crowd.hear([lane.event("started")])
        if lane.heard[0].get("list_version") != newest:
            run.crowd.hear([lane.event("list", list_version=newest)])
        for uid in run.people.restless:
            decided = len(run.crowd.taps)
            while len(run.crowd.taps) == decided:  # the passenger is shown "try again", and does
                run.crowd.present_next(uid)
                run.crowd.hear([lane.event("tap")])
            assert run.crowd.taps[-1].line["list_version"] == newest
    return newest


def nothing_is_left_behind(run: Run, newest: int) -> None:
    """The folders of city and gate hold the newest list, whole, and nothing half done."""
    of = run.of
    assert (
        newest == run.registry.claimed() == of.public_version() == of.look_from_outside(afresh=True)
    )
    assert run.registry.publications.building() is None
    accepted_store = DiskAcceptedStore(of.gate / "lists")
    assert (
        accepted_store.problem,
        accepted_store.accepted and accepted_store.accepted.list_version,
    ) == ("", newest)
    fresh = run.new_gate("fresh")
    assert fresh.poll().state is SourceState.FRESH
    keys, recent = held_keys(of.gate / "keys"), of.gate / "recent"
    found = ListFolder(of.gate / "lists", keys, recent if recent.exists() else None).settled()
    assert found.problems == ()
    for rules in (fresh.rules, found.rules):
        assert rules is not None
        assert Counted.of(rules, run.people.uids) == run.people.counted(newest)
    assert of.left_over() == []


@pytest.mark.parametrize("recent", [True, False], ids=["changes in memory", "all on the SD card"])
def test_a_hundred_kills_do_no_harm_and_need_no_hand(tmp_path: Path, recent: bool) -> None:
    try:
        with ExitStack() as stack:
            of = stack.enter_context(system(tmp_path, recent=recent))
            run = Run(stack, of, SEED)
            run.kill(stack.enter_context(Forks()), KILLS)
            newest = goes_on_by_itself(run)
            run.judge()
            nothing_is_left_behind(run, newest)
            assert all(run.died_at_work.values()), run.died_at_work
            assert len({tap.line["list_version"] for tap in run.crowd.taps}) > 2
    except BaseException as error:
        error.add_note(f"TURNIKE_KILL_SEED={SEED} draws the same again")
        raise


def test_one_run_after_a_kill_publishes_what_was_begun_and_what_changed_since(
    tmp_path: Path,
) -> None:
    with system(tmp_path, recent=True) as of, Registry.open(load(of.city).database_url) as registry:
        people = People(registry, Random(0))
        publisher = Publisher(load(of.city), registry)
        with publisher.alone():
            steps = publisher.steps(int(time.time()))
            assert "claimed 1" in steps
            steps.close()
        people.step()
        assert published(of) == of.look_from_outside() == 2
        assert registry.pending() == 0
