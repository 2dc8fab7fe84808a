"""A city whose clock ran ahead, and the repair of docs/runbook.md, "The clock was wrong".

The repair is: rotate, ceremony, publish. After it every gate accepts what is signed and decides by
the right time, whatever its clock, its power and its processes did meanwhile. An attacker without
root keys gains nothing by the repair.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backoffice.home.folder import Expiries
from tests.simulation.lists.attacked_city import PowerCutError, snapshot_of
from tests.support.city.town import DAY_S, Town, town, uid
from tests.support.gate.gate_courier import Gate
from tests.support.web.web_server import Authority
from validator.courier.list_sync import SyncStatus
from validator.domain.decision import ListState, Verdict
from validator.errors import SourceState

HOUR_S = 3_600
BOOT_S = 10  # a gate without a clock may be so late: it cannot know how long ago a list was signed
YEAR_S = 365 * DAY_S
SKEWS_S = (5 * HOUR_S, 20 * HOUR_S, 40 * DAY_S, YEAR_S, 10 * YEAR_S)
ALL_ROLES = ("timestamp", "snapshot", "targets")
FIRST, AHEAD, AFTER, NEVER = uid(1), uid(2), uid(3), uid(4)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Town]:
    """A city with one list, whose root outlives every skew here and so every signature."""
    with town(tmp_path, expiries=Expiries(root_s=30 * YEAR_S)) as made:
        made.publish(FIRST)
        yield made


def new_gate(city: Town, *, synchronised: bool) -> Gate:
    """A gate that has the first list."""
    gate = city.gate()
    gate.clock.synchronised = synchronised
    assert gate.poll().state is SourceState.FRESH
    return gate


def publish_ahead(city: Town, skew_s: int) -> None:
    """Publish by a clock that is `skew_s` wrong."""
    city.now_unix_s += skew_s
    city.publish(AHEAD)
    city.now_unix_s -= skew_s


def pass_time(city: Town, gate: Gate, seconds: int) -> None:
    """Let time pass for city and gate."""
    city.now_unix_s += seconds
    gate.clock.wait(seconds)


def assert_is_healed(city: Town, gate: Gate, status: SyncStatus) -> None:
    """Assert that the gate has the last list, and that its lane decides by the right time.

    Without a clock the time may be late by BOOT_S.
    """
    assert status.state is SourceState.FRESH, status.problem
    assert gate.version == city.version
    time = gate.lane_clock.now()
    assert time.synchronised is gate.clock.synchronised
    late_s = city.now_unix_s - time.unix_s
    assert late_s == 0 if time.synchronised else 0 <= late_s <= BOOT_S
    for card in (FIRST, AHEAD, AFTER):
        decision = gate.decides(card)
        assert (decision.verdict, decision.list_state) == (Verdict.DENY, ListState.FRESH)
    assert gate.decides(NEVER).verdict is Verdict.ADMIT


def cut_power(city: Town, gate: Gate) -> None:
    """Cut the gate's power, and wait until it has booted."""
    gate.power_cut()
    city.now_unix_s += BOOT_S
    gate.clock.unix_s += BOOT_S
    assert gate.clock.boottime_s == BOOT_S


def between(city: Town, gate: Gate, what: str) -> None:
    """What happens to the gate between two steps of the repair."""
    match what:
        case "poll":
            gate.poll()
        case "restart":
            gate.start()
        case "power cut":
            cut_power(city, gate)
        case "synchronised":
            gate.clock.synchronised = True
        case "poll, then a power cut":
            gate.poll()
            cut_power(city, gate)


@pytest.mark.parametrize(
    ("skew_s", "rotated"),
    [
        *((skew_s, ALL_ROLES[:1]) for skew_s in SKEWS_S),
        (20 * HOUR_S, ALL_ROLES),
        (10 * YEAR_S, ALL_ROLES),
    ],
)
@pytest.mark.parametrize("is_synchronised", [True, False], ids=["synchronised", "no clock"])
@pytest.mark.parametrize(
    "happens", ["nothing", "poll", "restart", "power cut", "synchronised", "poll, then a power cut"]
)
def test_the_repair_heals_every_gate(
    city: Town, skew_s: int, rotated: tuple[str, ...], is_synchronised: bool, happens: str
) -> None:
    gate = new_gate(city, synchronised=is_synchronised)
    publish_ahead(city, skew_s)
    taken = gate.poll().state
    assert taken is (
        SourceState.REFUSED if is_synchronised and skew_s > DAY_S else SourceState.FRESH
    ), "the bound"
    between(city, gate, happens)
    pass_time(city, gate, HOUR_S)
    city.city.rotate(*rotated, now_unix_s=city.now_unix_s)
    between(city, gate, happens)
    city.publish(AFTER)
    between(city, gate, happens)
    assert_is_healed(city, gate, gate.poll())
    pass_time(city, gate, HOUR_S)
    city.publish()
    assert_is_healed(city, gate, gate.poll())
    gate.start()
    assert_is_healed(city, gate, gate.poll())


@pytest.mark.parametrize("skew_s", SKEWS_S)
@pytest.mark.parametrize("later_s", [30 * HOUR_S, 50 * DAY_S])
@pytest.mark.parametrize("is_synchronised", [True, False], ids=["synchronised", "no clock"])
def test_a_repair_that_comes_late_heals_too(
    city: Town, skew_s: int, later_s: int, is_synchronised: bool
) -> None:
    """By then the time may have passed what was signed ahead, so that no trace of it is left."""
    gate = new_gate(city, synchronised=is_synchronised)
    publish_ahead(city, skew_s)
    gate.poll()
    pass_time(city, gate, later_s)
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    assert_is_healed(city, gate, gate.poll())


def test_a_gate_that_was_away_during_the_repair_follows_when_it_comes_back(city: Town) -> None:
    gate = new_gate(city, synchronised=False)
    publish_ahead(city, YEAR_S)
    gate.poll()
    for _ in range(3):
        pass_time(city, gate, 200 * DAY_S)
        city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    assert_is_healed(city, gate, gate.poll())


@pytest.mark.parametrize("skew_s", SKEWS_S)
def test_a_new_gate_after_the_repair_sees_nothing_of_it(city: Town, skew_s: int) -> None:
    publish_ahead(city, skew_s)
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    for synchronised in (True, False):
        gate = city.gate(f"new {synchronised}")
        gate.clock.synchronised = synchronised
        assert_is_healed(city, gate, gate.poll())


def test_a_time_past_the_end_of_the_servers_certificate_is_healed_over_tls(city: Town) -> None:
    """A floor that is ahead would else close the way on which it is healed."""
    authority = Authority(city.folder)
    city.server.tls = authority.context(days_left=3_000)
    gate = city.gate(ca_file=str(authority.file))
    gate.clock.synchronised = False
    assert gate.poll().state is SourceState.FRESH
    publish_ahead(city, 10 * YEAR_S)
    assert gate.poll().state is SourceState.FRESH
    gate.start()
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    assert_is_healed(city, gate, gate.poll())


@pytest.mark.parametrize("steps", range(1, 30))
@pytest.mark.parametrize("is_synchronised", [True, False], ids=["synchronised", "no clock"])
def test_a_power_cut_between_any_two_steps_of_the_healing(
    city: Town, steps: int, is_synchronised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = new_gate(city, synchronised=False)
    publish_ahead(city, YEAR_S)
    gate.poll()
    gate.clock.synchronised = is_synchronised
    city.city.rotate(*ALL_ROLES, now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    left = steps
    real = {"fsync": os.fsync, "rename": Path.rename}

    def counted(name: str) -> Callable[..., object]:
        def step(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCutError
            return real[name](*arguments)  # type: ignore[operator]

        return step

    monkeypatch.setattr(os, "fsync", counted("fsync"))
    monkeypatch.setattr(Path, "rename", counted("rename"))
    with suppress(PowerCutError):
        gate.poll()
    monkeypatch.undo()
    cut_power(city, gate)
    city.publish()
    assert_is_healed(city, gate, gate.poll())


# What the repair must not make easier


def test_a_synchronised_gate_cannot_be_led_ahead_in_steps(city: Town) -> None:
    gate = new_gate(city, synchronised=True)
    publish_ahead(city, 20 * HOUR_S)
    assert gate.poll().state is SourceState.FRESH
    publish_ahead(city, 40 * HOUR_S)
    status = gate.poll()
    assert (status.state, "a day ahead" in status.problem) == (SourceState.REFUSED, True)


def test_a_newer_root_that_keeps_the_keys_voids_nothing(city: Town) -> None:
    gate = new_gate(city, synchronised=False)
    old = snapshot_of(city, "old")
    pass_time(city, gate, 7 * HOUR_S)
    city.city.rotate(now_unix_s=city.now_unix_s)
    newer = "metadata/2.root.json"
    (old / newer).write_bytes((city.published / newer).read_bytes())
    city.server.folder = old
    assert gate.poll().state is SourceState.FROZEN
    assert gate.lane_clock.now().unix_s == city.now_unix_s


def replayed(city: Town, gate: Gate, after_s: int) -> SyncStatus:
    """The answer to an attacker who replays the first list under the new keys after `after_s`."""
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    city.publish(AFTER)
    old = snapshot_of(city, "old")
    pass_time(city, gate, after_s)
    city.publish()
    city.server.folder = old
    return gate.poll()


def test_an_old_timestamp_under_new_keys_is_frozen_for_a_synchronised_gate(city: Town) -> None:
    gate = new_gate(city, synchronised=True)
    assert replayed(city, gate, 7 * HOUR_S).state is SourceState.FROZEN


def test_an_old_timestamp_under_new_keys_fools_a_gate_without_a_clock_only_while_it_is_valid(
    city: Town,
) -> None:
    """Such a gate cannot know better. From then on it has a time again, and takes nothing older."""
    gate = new_gate(city, synchronised=False)
    assert replayed(city, gate, 7 * HOUR_S).state is SourceState.FRESH
    assert gate.poll().state is SourceState.FRESH
    pass_time(city, gate, 6 * HOUR_S)
    assert gate.poll().state is SourceState.FROZEN
    gate.start()
    assert gate.poll().state is SourceState.FROZEN
    city.server.folder = city.published
    city.publish()
    assert gate.poll().state is SourceState.FRESH


def test_the_last_root_must_be_valid_by_the_healed_time_and_those_before_it_need_not(
    tmp_path: Path,
) -> None:
    with town(tmp_path, expiries=Expiries(root_s=100 * DAY_S)) as city:
        city.publish(FIRST)
        gate, away = (city.gate(name) for name in ("gate", "away"))
        for each in (gate, away):
            each.clock.synchronised = True
            assert each.poll().state is SourceState.FRESH
        for _ in range(3):
            city.now_unix_s += 90 * DAY_S
            city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
        city.publish(AFTER)
        gate.clock.wait(270 * DAY_S)
        assert gate.poll().state is SourceState.FRESH
        away.clock.wait(370 * DAY_S)
        status = away.poll()
        assert (status.state, "root.json is expired" in status.problem) == (
            SourceState.FROZEN,
            True,
        )
