"""What came of each of the visitor's switches, by what was measured and nothing else; and what lies on a lane's disk, whoever runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gate.outboxes import ids, outbox, report
from turnike_demo.on_disk import reports_on_disk
from turnike_demo.turnstile.facts import Facts

MS = 1_000_000
ONE, TWO, NEW = "one", "two", "new"


def test_of_what_nobody_has_touched_nothing_is_known() -> None:
    nothing = {"cut": None, "pull": None, "lost": None, "forced": {"count": 0, "noticed": False}}
    facts = Facts()
    assert facts.picture() == nothing
    facts.decided()
    facts.mended(3)
    facts.put_in(1)
    facts.back(2, frozenset(), 0)
    facts.plugged(3)
    facts.found(4)
    facts.city_knows()
    assert facts.picture() == nothing
    assert not facts.city_should_know


def test_taps_count_as_decided_without_a_network_only_while_it_is_cut() -> None:
    facts = Facts()
    facts.decided()
    facts.cut(100.0)
    facts.decided()
    facts.decided()
    assert facts.picture()["cut"] == {"since_unix_s": 100.0, "decided": 2, "waited": None}
    facts.mended(5)
    facts.decided()
    assert facts.picture()["cut"] == {"since_unix_s": 100.0, "decided": 2, "waited": 5}
    facts.cut(200.0)
    assert facts.picture()["cut"] == {"since_unix_s": 200.0, "decided": 0, "waited": None}


@pytest.mark.parametrize(
    ("on_disk", "waiting", "delivered", "kept"),
    [
        ({ONE, TWO}, {ONE, TWO}, 0, 2),
        ({ONE, TWO}, {ONE, TWO, NEW}, 0, 2),
        ({ONE, TWO}, {TWO}, 1, 2),  # one is in the city already
        ({ONE, TWO}, set(), 2, 2),
        ({ONE, TWO}, {TWO}, 0, 1),
        ({ONE, TWO}, {NEW}, 0, 0),  # as many wait as before, and they are others
        (set(), {NEW}, 0, 0),
        (None, {ONE}, 0, None),
        ({ONE}, None, 0, None),
    ],
)
def test_reports_that_were_on_the_disk_are_kept_or_delivered_or_lost(
    on_disk: set[str] | None, waiting: set[str] | None, delivered: int, kept: int | None
) -> None:
    facts = Facts()
    facts.pulled(None if on_disk is None else frozenset(on_disk))
    assert facts.picture()["pull"]["took_ms"] is None
    facts.put_in(5 * MS)
    facts.back(1_905 * MS, None if waiting is None else frozenset(waiting), delivered)
    told = {"on_disk": None if on_disk is None else len(on_disk), "kept": kept, "took_ms": 1_900}
    assert facts.picture()["pull"] == told
    facts.back(9_000 * MS, frozenset(), 0)
    assert facts.picture()["pull"] == told, "it is back once"


def test_the_city_knows_of_a_reader_when_the_city_says_so_and_the_lane_when_the_lane_does() -> None:
    facts = Facts()
    facts.lost(50.0)
    assert facts.city_should_know
    facts.found(1 * MS)  # the lane has not heard of it yet
    assert facts.picture()["lost"] == {"since_unix_s": 50.0, "city_knows": False, "took_ms": None}
    facts.city_knows()
    facts.plugged(10 * MS)
    facts.found(2_110 * MS)
    facts.found(9_000 * MS)
    assert facts.picture()["lost"] == {"since_unix_s": 50.0, "city_knows": True, "took_ms": 2_100}


@pytest.mark.parametrize("ends", [Facts.city_knows, lambda facts: facts.plugged(1)])
def test_the_city_is_asked_of_a_lost_reader_until_it_knows_or_the_reader_is_back(
    ends: Callable[[Facts], None],
) -> None:
    facts = Facts()
    facts.lost(50.0)
    asked = [facts.city_should_know]
    ends(facts)
    assert [*asked, facts.city_should_know] == [True, False]


@pytest.mark.parametrize(
    ("said", "noticed"),
    [
        ("board", False),
        ("board lane", True),
        ("lane board", True),
        ("board lane board", False),
        ("board lane board lane", True),
        ("board lane lane board", True),
        ("pulled board", False),
        ("board lane pulled board back", False),
        ("pulled board back board lane", True),
    ],
)
def test_forced_arms_are_noticed_when_the_lane_has_said_so_of_each(
    said: str, noticed: bool
) -> None:
    facts = Facts()
    for what in said.split():
        match what:
            case "board":
                facts.forced_by_board()
            case "lane":
                facts.forced_by_lane()
            case "pulled":
                facts.pulled(frozenset())
            case _:
                facts.put_in(1)
    assert facts.picture()["forced"] == {"count": said.count("board"), "noticed": noticed}


def test_what_lies_on_a_lane_s_disk_is_read_while_it_runs_and_when_it_is_dead(
    tmp_path: Path,
) -> None:
    folder, dead = tmp_path / "outbox", tmp_path / "dead"
    box = outbox(tmp_path)
    for tap in range(3):
        assert box.append(report(tap))
    waiting = frozenset(ids(box))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert reports_on_disk(folder) == waiting
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    shutil.copytree(folder, dead)  # as SIGKILL leaves it
    box.close()
    assert len(waiting) == 3
    assert reports_on_disk(dead) == waiting


def test_what_cannot_be_read_of_a_disk_is_not_none_at_all(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"rot" * 4_096)
    assert reports_on_disk(tmp_path) is None
