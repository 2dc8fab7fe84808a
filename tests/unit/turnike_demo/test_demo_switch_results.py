"""The measured result of each switch, and the reports on a lane's disk."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gate.outboxes import ids, outbox, report
from turnike_demo.gate.outbox_on_disk import reports_on_disk
from turnike_demo.turnstile.switch_results import SwitchResults

MS = 1_000_000
ONE, TWO, NEW = "one", "two", "new"


def test_an_untouched_switch_has_no_result() -> None:
    nothing = {"cut": None, "pull": None, "lost": None, "forced": {"count": 0, "noticed": False}}
    results = SwitchResults()
    assert results.picture() == nothing
    results.decided()
    results.network_restored(3)
    results.plug_put_in(1)
    results.lane_back(2, frozenset(), 0)
    results.reader_plugged(3)
    results.reader_ready(4)
    results.city_knows()
    assert results.picture() == nothing
    assert not results.city_should_know


def test_taps_count_as_decided_without_a_network_only_while_it_is_cut() -> None:
    results = SwitchResults()
    results.decided()
    results.network_cut(100.0)
    results.decided()
    results.decided()
    assert results.picture()["cut"] == {"since_unix_s": 100.0, "decided": 2, "waited": None}
    results.network_restored(5)
    results.decided()
    assert results.picture()["cut"] == {"since_unix_s": 100.0, "decided": 2, "waited": 5}
    results.network_cut(200.0)
    assert results.picture()["cut"] == {"since_unix_s": 200.0, "decided": 0, "waited": None}


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
    results = SwitchResults()
    results.plug_pulled(None if on_disk is None else frozenset(on_disk))
    assert results.picture()["pull"]["took_ms"] is None
    results.plug_put_in(5 * MS)
    results.lane_back(1_905 * MS, None if waiting is None else frozenset(waiting), delivered)
    expected = {
        "on_disk": None if on_disk is None else len(on_disk),
        "kept": kept,
        "took_ms": 1_900,
    }
    assert results.picture()["pull"] == expected
    results.lane_back(9_000 * MS, frozenset(), 0)
    assert results.picture()["pull"] == expected, "the first time counts"


def test_city_and_lane_each_report_the_reader_for_themselves() -> None:
    results = SwitchResults()
    results.reader_unplugged(50.0)
    assert results.city_should_know
    results.reader_ready(1 * MS)  # the lane has not noticed it yet
    assert results.picture()["lost"] == {"since_unix_s": 50.0, "city_knows": False, "took_ms": None}
    results.city_knows()
    results.reader_plugged(10 * MS)
    results.reader_ready(2_110 * MS)
    results.reader_ready(9_000 * MS)
    assert results.picture()["lost"] == {"since_unix_s": 50.0, "city_knows": True, "took_ms": 2_100}


@pytest.mark.parametrize(
    "ends", [SwitchResults.city_knows, lambda results: results.reader_plugged(1)]
)
def test_the_city_should_know_of_a_lost_reader_until_it_does_or_the_reader_is_back(
    ends: Callable[[SwitchResults], None],
) -> None:
    results = SwitchResults()
    results.reader_unplugged(50.0)
    asked = [results.city_should_know]
    ends(results)
    assert [*asked, results.city_should_know] == [True, False]


@pytest.mark.parametrize(
    ("happened", "noticed"),
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
def test_forced_arms_are_noticed_when_the_lane_has_logged_each(
    happened: str, noticed: bool
) -> None:
    results = SwitchResults()
    for what in happened.split():
        match what:
            case "board":
                results.forced_by_board()
            case "lane":
                results.forced_by_lane()
            case "pulled":
                results.plug_pulled(frozenset())
            case _:
                results.plug_put_in(1)
    assert results.picture()["forced"] == {"count": happened.count("board"), "noticed": noticed}


def test_reports_on_a_lane_s_disk_are_read_while_it_runs_and_after_its_death(
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


def test_an_unreadable_disk_is_unknown_and_not_empty(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"rot" * 4_096)
    assert reports_on_disk(tmp_path) is None
