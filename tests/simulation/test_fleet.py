"""The simulated fleet, small: what the courier and the schedule of pieces promise together.

SimGate compares every gate with the city after each poll that ends "fresh": the list version,
tables without a gap, and each card where cards are followed. So a run that ends has passed many
checks; the tests of planted faults show that they bite.
"""

from collections.abc import Iterable, Sequence
from random import Random

import pytest

from backoffice.publishing.pieces import Schedule, kept
from backoffice.registry.publications import Kind as PieceKind
from backoffice.registry.publications import Piece
from tests.simulation.fleet import city as city_module
from tests.simulation.fleet import gate as gate_module
from tests.simulation.fleet.city import DAY_S, City, CityPlan
from tests.simulation.fleet.fleet import FleetPlan, run
from tests.simulation.fleet.gate import SimGate
from tests.simulation.fleet.list_store import SimListStore
from tests.simulation.fleet.lives import BOOT_S, Kind, Life, Span, steady
from tests.simulation.fleet.ports import SimPieces
from tests.simulation.fleet.report import as_json, report_of
from tests.simulation.fleet.sizes import SNAPSHOTS, change_bytes
from tests.simulation.fleet.tally import DOWN, Load, Of, Tally
from validator.courier import list_sync, waits
from validator.domain.chain import PieceT, cheapest_chain

HOUR_S = 3_600
POLL_S = 30.0
POLL_S_MAX = POLL_S * (1 + waits.JITTER)
FOLLOWED = CityPlan(days=0.15, changes_a_day=4_000, history_days=5, cards=300)


@pytest.fixture(scope="module")
def city() -> City:
    """Three and a half hours after ten weeks, with the city's real number of changes."""
    return City(CityPlan(days=0.15))


@pytest.fixture(scope="module")
def followed() -> City:
    """A small city in which every card is followed."""
    return City(FOLLOWED)


def live(city: City, life: Life, seed: int = 1) -> SimGate:
    """One gate, from the first second to the last."""
    gate = SimGate(city, life, Load(int(city.end_s)), seed, POLL_S)
    gate.run()
    return gate


def away_until(end_s: float, begins_with_s: float | None) -> Life:
    """A gate with a list of that age, whose line comes back then and stays."""
    return Life(Kind.STATION, (Span(-(begins_with_s or 1), end_s),), (), begins_with_s)


def down_bytes(tally: Tally) -> int:
    return sum(day[of] for day in tally.days for of in DOWN)


def total(tally: Tally, of: Of) -> int:
    return sum(day[of] for day in tally.days)


def test_a_seed_gives_the_same_numbers_in_one_process_and_in_two() -> None:
    plan = CityPlan(days=0.03, history_days=2)
    city = City(plan)

    def figures(city: City, seed: int, jobs: int) -> bytes:
        fleet = FleetPlan(24, seed=seed)
        return as_json(report_of(run(city, fleet, jobs=jobs), plan, fleet))

    assert figures(city, 7, jobs=1) == figures(city, 7, jobs=2) == figures(City(plan), 7, jobs=1)
    assert figures(city, 7, jobs=1) != figures(city, 8, jobs=1)


@pytest.mark.parametrize(
    "life",
    [
        steady(),
        away_until(500, None),
        away_until(500, 60.0),
        away_until(500, 3 * HOUR_S),
        away_until(500, 4.5 * DAY_S),
        Life(Kind.FLAPPING, tuple(Span(at, at + 200) for at in range(100, 20_000, 300)), (), 0.0),
        Life(Kind.BUS, (Span(7_000, 9_000 + BOOT_S),), (Span(7_000, 9_000),), 0.0),
    ],
    ids=["steady", "new", "a minute behind", "three hours", "days", "flapping", "power cut"],
)
def test_a_gate_on_line_ends_at_the_newest_list_with_every_card_as_the_city_has_it(
    followed: City, life: Life
) -> None:
    gate = live(followed, life)
    # Its last poll was at most one interval before the end.
    assert gate._lists.held[1] >= followed.at(followed.end_s - POLL_S_MAX).version
    held = followed.version(gate._lists.held[1])
    for rule in followed.rules:
        cards = gate._lists.list.cards[rule.name]
        assert {card for card, is_in in cards.items() if is_in} == set(
            followed.followed(rule.name, 0, held.version)
        )
    assert cards_in_some_table(gate)


def cards_in_some_table(gate: SimGate) -> bool:
    return any(any(cards.values()) for cards in gate._lists.list.cards.values())


def test_a_gate_in_step_fetches_no_change_twice_and_no_byte_that_is_not_due(city: City) -> None:
    tally = live(city, steady()).tally
    assert tally.fetched_twice == 0
    assert total(tally, Of.SNAPSHOTS) == total(tally, Of.INDEX) == 0
    due = sum(
        change_bytes(city.changes(rule.name, each.version - 1, each.version), ending=rule.ending)
        for each in city.published[1:]
        if each.at_s > 0
        for rule in city.rules
        if each.changed[rule.name] == each.version
    )
    assert 0.98 * due < total(tally, Of.PIECES) <= due


@pytest.mark.parametrize(
    ("away_s", "overlap_s"), [(90 * 60, HOUR_S), (20 * HOUR_S, HOUR_S), (9 * DAY_S, DAY_S)]
)
def test_a_gate_that_comes_back_fetches_again_at_most_what_one_piece_overlaps(
    city: City, away_s: float, overlap_s: float
) -> None:
    """From a version within a past hour a gate takes the hour's piece; of a past day, the day's."""
    tally = live(city, away_until(600, away_s)).tally
    busiest = 150_000 / DAY_S * overlap_s * 2  # the busiest hour has not twice the average
    assert tally.fetched_changes > 0
    assert tally.fetched_twice <= busiest
    # Of the matched table: the snapshot of the suspended has fewer bytes than nine days of changes.
    assert sum(tally.snapshots.values()) == 0


@pytest.mark.parametrize("days", [15, 35, 58])
def test_an_outage_of_weeks_costs_the_chain_of_days_and_less_than_a_snapshot(
    city: City, days: int
) -> None:
    gate = live(city, away_until(600, days * DAY_S))
    still = live(city, steady()).tally
    assert sum(gate.tally.snapshots.values()) == 0
    assert (
        down_bytes(gate.tally)
        < down_bytes(still) + SNAPSHOTS["matched"][1] + SNAPSHOTS["suspended"][1]
    )


def test_an_absence_longer_than_pieces_are_kept_costs_one_snapshot_of_each_rule(city: City) -> None:
    gate = live(city, away_until(600, 74 * DAY_S))
    snapshots = sum(bytes_ for _, bytes_ in SNAPSHOTS.values())
    assert total(gate.tally, Of.SNAPSHOTS) <= snapshots
    assert sum(gate.tally.snapshots.values()) <= 1


def test_a_new_gate_takes_one_snapshot_of_each_rule_and_no_more_although_its_line_flaps(
    city: City,
) -> None:
    flaps = tuple(Span(at, at + 20) for at in range(100, 20_000, 120))
    gate = live(city, Life(Kind.FLAPPING, (Span(-1, 50), *flaps), (), None))
    assert total(gate.tally, Of.SNAPSHOTS) == sum(bytes_ for _, bytes_ in SNAPSHOTS.values())
    assert gate.tally.snapshots["new"] == 1


def test_a_new_fingerprint_key_costs_every_gate_one_snapshot() -> None:
    city = City(CityPlan(days=0.1, history_days=2, rotate_key_at_s=4_000.0))
    gate = live(city, steady())
    assert total(gate.tally, Of.SNAPSHOTS) == sum(bytes_ for _, bytes_ in SNAPSHOTS.values())
    assert gate._lists.list.key == city.key(city.published[-1])


def test_lists_are_enforced_within_the_budget_at_gates_in_step(city: City) -> None:
    counted = run(city, FleetPlan(4, life="steady"), jobs=1)
    delay = report_of(counted, city.plan, FleetPlan(4)).enforced_s
    assert delay.size > 500
    assert POLL_S / 3 < delay.p50 < POLL_S_MAX
    assert (
        delay.p99 <= delay.max <= POLL_S_MAX + gate_module.LANE_SCANS_S + gate_module.INSTALLS_S + 1
    )


def test_after_an_outage_of_the_city_all_gates_are_current_within_two_polls(city: City) -> None:
    plan = FleetPlan(12, life="outage")
    report = report_of(run(city, plan, jobs=1), city.plan, plan)
    (back,) = report.returns
    assert (back.away, back.returns, back.snapshots) == ("≤ 1 day", 12, 0)
    assert back.seconds.max < 2 * POLL_S_MAX


# Faults, planted


def test_a_chain_that_leaves_out_a_piece_is_noticed(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gapped(held: int, offers: Sequence[PieceT], cost: int) -> Sequence[PieceT] | None:
        chain = cheapest_chain(held, offers, cost)
        return chain[1:] if chain and len(chain) > 1 else chain

    monkeypatch.setattr(list_sync, "cheapest_chain", gapped)
    with pytest.raises(AssertionError):
        live(city, away_until(600, 3 * HOUR_S))


def test_a_list_store_that_loses_a_card_is_noticed(
    followed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, rng = followed.followed, Random(1)

    def forgetful(rule: str, from_version: int, to_version: int) -> dict[int, bool]:
        cards = real(rule, from_version, to_version)
        if from_version and cards and rng.random() < 0.1:
            cards.popitem()
        return cards

    monkeypatch.setattr(followed, "followed", forgetful)
    with pytest.raises(AssertionError):
        live(followed, steady())


def test_a_power_cut_that_kept_what_was_in_memory_alone_is_noticed(
    followed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's own fault: then nothing would be replayed, and the replay would go untested."""
    life = Life(Kind.BUS, (Span(7_000, 9_000 + BOOT_S),), (Span(7_000, 9_000),), 0.0)
    assert live(followed, life).tally.replays == {"all came back": 1}
    monkeypatch.setattr(SimListStore, "power_cut", lambda _: None)
    assert live(followed, life).tally.replays == {"nothing was lost": 1}


def test_pieces_that_are_thrown_away_too_early_let_a_power_cut_set_the_gate_back(
    followed: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(Kind.BUS, (Span(7_000, 9_000 + BOOT_S),), (Span(7_000, 9_000),), 0.0)
    fetch = SimPieces.fetch

    def cramped(pieces: SimPieces, entry: object) -> object:
        pieces._files_max = 20
        return fetch(pieces, entry)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(SimPieces, "fetch", cramped)
    gate = live(followed, life)
    assert gate.tally.thrown_away > 0
    assert gate.tally.replays == {"fell behind": 1}


def test_a_schedule_that_withdraws_what_nothing_spans_yet_costs_snapshots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound on bytes bites: without pieces of hours and days an absent gate takes snapshots."""
    plan = CityPlan(days=0.1, history_days=4)
    life = away_until(600, 2 * DAY_S)
    assert total(live(City(plan), life).tally, Of.SNAPSHOTS) == 0

    def hasty(pieces: Iterable[Piece], now_unix_s: int, schedule: Schedule) -> tuple[Piece, ...]:
        *older, newest = kept(tuple(pieces), now_unix_s, schedule)
        lasting = [
            each
            for each in older
            if each.kind is PieceKind.SNAPSHOT or now_unix_s - each.made_unix_s < HOUR_S
        ]
        return (*lasting, newest)

    monkeypatch.setattr(city_module, "kept", hasty)
    assert total(live(City(plan), life).tally, Of.SNAPSHOTS) > 0
