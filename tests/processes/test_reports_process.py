"""Reports from a denial to the city's database, through processes that are killed at random.

Each arrives once, and in the end all of them.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backoffice.home.config import load
from backoffice.reports.store import ReportStore
from tests.support.machine.programs import Program

if TYPE_CHECKING:
    from backoffice.reports.outboxes import OutboxView

DENIALS = 10_000
KILLS = 24
ALL_S = 120.0  # how long the last reports may take to arrive: twenty times what they need
CONFIG = """
gate_id = "test"
[reader]
driver = "serial"
[board]
device = "{folder}/board"
[list]
folder = "{folder}/lists"
keys = "{folder}/keys"
stale = "decide"
missing = "deny"
[reports]
folder = "{folder}/reports"
[courier]
url = "{url}"
root = "{folder}/city/root/1.root.json"
[upload]
url = "{url}"
key = "{folder}/gate.pem"
lanes = ["{folder}/lane.sock"]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def run(*arguments: str, stdin: str = "") -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


@dataclass
class World:
    """A city and an enrolled gate in a folder, and their processes by name."""

    folder: Path
    port: int
    denials: int = 200
    workers: int = 1
    running: dict[str, Program] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    again: set[int] = field(
        default_factory=set
    )  # denials that a killed lane may have kept without a line

    @classmethod
    def founded(cls, folder: Path) -> "World":
        """A city in which this gate is enrolled; the receiver runs."""
        world = cls(folder, free_port())
        run("backoffice", "init", str(folder / "city"), "--development")
        for made in ("lists", "keys"):
            (folder / made).mkdir()
        world.config.write_text(CONFIG.format(folder=folder, url=f"http://127.0.0.1:{world.port}/"))
        with world.store() as store:
            token = store.invite("test", int(time.time()))
        world.start("serve")
        world.running["serve"].first_line()
        run("validator", "enroll", "--config", str(world.config), stdin=token)
        return world

    @property
    def config(self) -> Path:
        """Of the gate."""
        return self.folder / "validator.toml"

    def store(self) -> ReportStore:
        """The city's database, opened."""
        return ReportStore.open(load(self.folder / "city").database_url)

    def start(self, name: str) -> None:
        """Start one of the processes."""
        first = max(self.told, default=0) + 1
        arguments = {
            "serve": [
                *("backoffice", "serve", "--home", str(self.folder / "city")),
                *("--port", str(self.port), "--workers", str(self.workers)),
            ],
            "courier": ["validator", "courier", "--config", str(self.config)],
            "lane": [
                "tests.processes.denial_lane",
                str(self.folder),
                str(first),
                str(self.denials - first + 1),
            ],
        }
        self.running[name] = Program(*arguments[name])

    def kill(self, name: str) -> None:
        """SIGKILL, and start it again."""
        self.running[name].kill()
        if name == "lane":
            self.listen()
            self.again.add(max(self.told, default=0) + 1)
        self.running.pop(name).close()
        self.start(name)

    def listen(self) -> bool:
        """Note which denials were shown. Returns True once all were."""
        heard = self.running["lane"].catch_up()
        self.told += [line["number"] for line in heard if line.get("event") == "told"]
        is_done = any(line.get("event") == "done" for line in heard)
        heard.clear()
        self.running["lane"]._looked = 0
        return is_done

    def received(self) -> "tuple[Counter[int], list[OutboxView]]":
        """How often the city's database has each denial, and what the city knows of the outbox."""
        with self.store() as store:
            return Counter(int(row["unix_s"]) for row in store.select(0, 1 << 40)), store.outboxes()

    def arrived(self) -> "tuple[Counter[int], list[OutboxView]]":
        """The same, when every denial that was shown has arrived."""
        until_s = time.monotonic() + ALL_S
        while True:
            counted, outboxes = self.received()
            if set(self.told) <= set(counted):
                return counted, outboxes
            assert time.monotonic() < until_s, (
                f"{len(set(self.told) - set(counted))} reports have not arrived"
            )
            self.running["courier"].catch_up()
            time.sleep(0.2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.founded(tmp_path)
    try:
        yield made
    finally:
        for process in made.running.values():
            process.close()


def test_ten_thousand_denials_arrive_once_each_whichever_program_is_killed_meanwhile(
    world: World,
) -> None:
    drawn = random.Random(20_260)
    world.denials = DENIALS
    world.start("courier")
    world.start("lane")
    kills = sorted(drawn.sample(range(1, DENIALS), KILLS))
    victims = [drawn.choice(["lane", "courier", "serve"]) for _ in kills]
    while not world.listen():
        if kills and len(world.told) >= kills[0]:
            kills.pop(0)
            world.kill(victims.pop(0))
        time.sleep(drawn.random() / 50)  # so that a kill falls anywhere
    counted, outboxes = world.arrived()
    assert world.told == list(range(1, DENIALS + 1))
    assert {number for number, count in counted.items() if count > 1} <= world.again
    assert max(counted.values()) <= 2
    (outbox,) = outboxes
    assert (outbox.missing, outbox.refused) == (0, 0)
    assert outbox.received == sum(counted.values()) == outbox.newest_seq


def test_reports_wait_for_a_city_that_is_away_and_arrive_when_it_is_back(world: World) -> None:
    world.running.pop("serve").close()
    world.start("courier")
    world.start("lane")
    while not world.listen():
        time.sleep(0.05)
    assert world.running["courier"].event("carrier", state="unreachable")
    assert world.received()[0] == Counter()
    world.start("serve")
    world.running["courier"].event("carrier", wait_s=60, state="fresh")
    counted, (outbox,) = world.arrived()
    assert set(counted.values()) == {1}
    assert (outbox.missing, outbox.received) == (0, world.denials)


def test_of_several_receivers_each_report_is_taken_once_and_when_one_dies_all_end(
    world: World,
) -> None:
    world.running.pop("serve").close()
    world.workers = 3
    world.start("serve")
    served = world.running["serve"]
    served.first_line()
    world.start("courier")
    world.start("lane")
    while not world.listen():
        time.sleep(0.05)
    counted, (outbox,) = world.arrived()
    assert (set(counted.values()), outbox.missing) == ({1}, 0)
    workers = children_of(served.process.pid)
    assert len(workers) == 3
    os.kill(workers[1], signal.SIGKILL)
    assert served.process.wait(90) == 2
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    world.running.pop("serve").close()
    world.start("serve")  # the port is free at once
    world.running["serve"].first_line()
    workers = children_of(world.running["serve"].process.pid)
    again = world.running.pop("serve")
    again.process.terminate()
    assert again.process.wait(90) == 0
    again.close()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def children_of(process: int) -> list[int]:
    return [
        int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def test_nothing_on_the_gate_or_in_the_city_names_a_card(world: World) -> None:
    world.start("courier")
    world.start("lane")
    while not world.listen():
        time.sleep(0.05)
    world.arrived()
    names = [b"\x04" + number.to_bytes(6, "big") for number in (1, 77, world.denials)]
    for path in world.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for uid in names:
                assert uid not in content, path
                assert uid.hex().encode() not in content.lower(), path
