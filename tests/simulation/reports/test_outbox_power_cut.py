"""Power cuts at any point of an outbox's life: it opens, with what it acknowledged and no more.

Each life is recorded once, in real processes on a file system of our own
(tests/power_cut/file_system.py), and is cut afterwards at each of its points.
tests/power_cut/disk.py describes what a power cut may do.
"""

import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import diskcache
import pytest

from tests.power_cut.disk import Luck, any_luck, nothing_survives
from tests.power_cut.journal import BEGIN, ROOT, Mark, Named, Operation, Sync, Write
from tests.power_cut.lives import WitnessedOutbox, report
from tests.power_cut.record import OUTBOX, is_possible, record
from tests.power_cut.replay import Point, points, reopened
from tests.power_cut.truth import Truth

pytestmark = pytest.mark.skipif(
    not is_possible(), reason="no file system of our own can be mounted here: apt-get install fuse3"
)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has one: only the bytes matter here, not how they came."""
    memory = Path("/dev/shm")  # noqa: S108 — a name of its own is made in it
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


@cache
def days() -> list[Operation]:
    return record("days_of_a_lane")


def cut(point: Point, luck: Luck, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    point.disk.cut(luck, folder)


def seeded(seed: int) -> Callable[[int], Luck]:
    return lambda place: any_luck(f"{seed}/{place}")


def nothing(_place: int) -> Luck:
    return nothing_survives()


def wrongs(
    among: Iterator[Point], luck: Callable[[int], Luck], folder: Path, *, is_damaged: bool = False
) -> tuple[int, list[str]]:
    """How many points were tried, and what was wrong."""
    tried, wrong = 0, []
    for point in among:
        cut(point, luck(point.place), folder)
        tried += 1
        wrong += [
            f"cut at {point.place}: {line}"
            for line in reopened(folder, point.truth, is_damaged=is_damaged)
        ]
    return tried, wrong


@pytest.mark.parametrize(
    "luck", [nothing, seeded(1), seeded(2)], ids=["nothing", "seed 1", "seed 2"]
)
def test_a_power_cut_takes_nothing_that_was_acknowledged(
    luck: Callable[[int], Luck], scratch: Path
) -> None:
    tried, wrong = wrongs(points(days()), luck, scratch / "cut")
    assert wrong == []
    assert tried >= 1_000


def where_the_database_is_written(recorded: list[Operation]) -> set[int]:
    """The places in the recording at which the database file is written.

    The database is the first file that is written at all. Writes after the first start are its log,
    written back.
    """
    database = min(operation.node for operation in recorded if isinstance(operation, Write))
    written = (
        place
        for place, operation in enumerate(recorded)
        if isinstance(operation, Write | Sync) and operation.node == database
    )
    return {place + step for place in written for step in (-1, 0, 1)}


def test_nor_while_a_long_log_is_written_back(scratch: Path) -> None:
    recorded = record("a_long_queue")
    chosen = where_the_database_is_written(recorded) | set(range(0, len(recorded), 101))
    among = (point for point in points(recorded) if point.place in chosen)
    tried, wrong = wrongs(among, seeded(3), scratch / "cut")
    assert wrong == []
    assert tried > 100


# Damage, and a power cut in the middle of its rescue


def head_gone(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as database:
        database.execute("DELETE FROM Cache WHERE key = 'head'")


def head_gone_in_the_log(folder: Path) -> None:
    """Drop the head in the log alone: the database without it is whole, as at the first start."""
    copy = folder.with_name("copy")
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as database:
        database.execute("DELETE FROM Cache WHERE key = 'head'")
        shutil.copytree(folder, copy)  # before it is closed, which writes the log back
    shutil.rmtree(folder)
    copy.rename(folder)


def identity_gone(folder: Path) -> None:
    (folder / "outbox.json").unlink()


def database_gone(folder: Path) -> None:
    (folder / "cache.db").unlink()


def end_of_garbage(folder: Path) -> None:
    head_gone(folder)
    path = folder / "cache.db"
    path.write_bytes(path.read_bytes()[:-8_192] + bytes(range(256)) * 32)


def damaged(folder: Path, damage: Callable[[Path], None]) -> Truth:
    """An outbox as a lane that was killed leaves it, damaged; and what is true of it."""
    truth = Truth()
    living = folder.with_name("living")
    wrong: list[str] = []
    box = WitnessedOutbox(living / OUTBOX, lambda mark: wrong.extend(truth.take(mark)))
    box.begin()
    for tap in range(1, 31):
        box.append(report(tap))
    box.forget(box.ids(3))
    box.reject(box.ids(1)[0], "not a report")
    assert wrong == []
    shutil.copytree(living, folder)
    box.close()
    damage(folder / OUTBOX)
    undisturbed = folder.with_name("undisturbed")
    shutil.copytree(folder, undisturbed)
    rescued = WitnessedOutbox(undisturbed / OUTBOX, lambda _: None)
    assert rescued.open(), rescued.trouble
    assert len(rescued.news) == 1
    truth.damage(rescued.found())
    rescued.close()
    return truth


@pytest.mark.parametrize(
    ("damage", "every"),
    [
        (head_gone, 3),
        (head_gone_in_the_log, 2),
        (identity_gone, 3),
        (database_gone, 3),
        (end_of_garbage, 9),
    ],
)
def test_nor_in_the_middle_of_a_rescue(
    damage: Callable[[Path], None], every: int, scratch: Path
) -> None:
    truth = damaged(scratch / "damaged", damage)
    if damage not in {database_gone, end_of_garbage}:
        assert (len(truth.waiting), len(truth.quarantined)) == (26, 1)
    among = points(record("two_starts", scratch / "damaged"), truth)
    _, wrong = wrongs(islice(among, 0, None, every), seeded(4), scratch / "cut", is_damaged=True)
    assert wrong == []


# Two power cuts


def cut_twice(first: Iterator[Point], seed: int, folder: Path, *, is_damaged: bool) -> list[str]:
    """Cut at one point, record the two starts after it, and cut those too."""
    for point in first:
        cut(point, any_luck(f"{seed}/{point.place}"), folder / "first cut")
        recorded = record("two_starts", folder / "first cut")
        again = islice(points(recorded, point.truth.copy()), 0, None, 3)
        return wrongs(again, seeded(seed), folder / "cut", is_damaged=is_damaged)[1]
    raise AssertionError("there is no such point")


@pytest.mark.parametrize("place", [30, 410, 900])
def test_nor_when_the_power_fails_again_at_the_next_start(place: int, scratch: Path) -> None:
    first = (point for point in points(days()) if point.place == place)
    assert cut_twice(first, place, scratch, is_damaged=False) == []


@pytest.mark.parametrize("place", [12, 40, 120])
def test_nor_when_it_fails_twice_in_a_rescue(place: int, scratch: Path) -> None:
    truth = damaged(scratch / "damaged", head_gone)
    recorded = record("two_starts", scratch / "damaged")
    among = points(recorded, truth)
    start = next(among).place
    first = (point for point in among if point.place == start + place)
    assert cut_twice(first, place, scratch, is_damaged=True) == []


# The test sees what it is there to see


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        ("the database is synced as diskcache does it", "lost"),
        ("the identity is not synced", "it is called damaged"),
        ("the name of the identity is not synced", "it is called damaged"),
        ("the next number is not written down when reports go", "number given twice"),
        ("a report is rejected in two transactions", "number given twice"),
    ],
)
def test_a_planted_mistake_is_seen(plant: str, seen: str, scratch: Path) -> None:
    among = islice(points(record("days_of_a_lane", plant=plant)), 0, None, 9)
    _, wrong = wrongs(among, seeded(5), scratch / "cut")
    assert any(f": {seen}" in line for line in wrong), wrong


def test_a_rescue_that_syncs_no_folders_is_seen(scratch: Path) -> None:
    truth = damaged(scratch / "damaged", head_gone)
    recorded = record("two_starts", scratch / "damaged")
    begin = recorded.index(Mark(BEGIN))
    folders = {ROOT} | {
        entry.node
        for one in recorded
        if isinstance(one, Named) and one.new_folder
        for entry in one.entries
    }
    careless = [
        one
        for place, one in enumerate(recorded)
        if place < begin or not (isinstance(one, Sync) and one.node in folders)
    ]
    among = islice(points(careless, truth), 0, 130, 3)
    assert any(
        ": lost" in line for line in wrongs(among, seeded(6), scratch / "cut", is_damaged=True)[1]
    )


def kept_by_diskcache(folder: Path) -> set[str]:
    try:
        with closing(diskcache.Cache(str(folder))) as queue:
            opened: Any = queue
            return {opened.get(key).partition('"report_id":"')[2][:36] for key in opened.iterkeys()}
    except (sqlite3.Error, diskcache.Timeout):
        return set()


def test_diskcache_as_it_comes_does_lose_what_it_has_acknowledged(scratch: Path) -> None:
    lost: Counter[str] = Counter()
    for point in points(record("diskcache_as_it_comes")):
        if point.truth.waiting and point.place % 10 == 0:
            cut(point, nothing_survives(), scratch / "cut")
            held = kept_by_diskcache(scratch / "cut" / OUTBOX)
            lost["acknowledged"] += len(point.truth.waiting)
            lost["lost"] += len(point.truth.waiting - held)
    assert 0 < lost["lost"] <= lost["acknowledged"]


def test_a_recording_that_fails_leaves_nothing_mounted() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        record("no such life")
    assert "RecordingFileSystem" not in Path("/proc/mounts").read_text()
