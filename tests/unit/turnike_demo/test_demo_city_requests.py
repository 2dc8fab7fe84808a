"""A visitor's requests at the city: what is asked of it, and when the gate decides by it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from turnike_demo.processes.events import Event
from turnike_demo.turnstile.city_requests import CityRequests

UIDS = {name: bytes([4, *name.encode()[:6]]) for name in ("matched", "suspended", "brief")}
PAST = datetime(2021, 1, 14, 21, tzinfo=UTC)


class City:
    """A city that records its commands."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.date = PAST

    def start_command(self, name: str, *arguments: str) -> None:
        self.asked.append((name, *arguments))

    def announce(self, text: str) -> None:
        self.asked.append(("announce", text))

    def accept_either(self, kind: str) -> None:
        self.asked.append(("either", kind))

    def cut_off(self) -> datetime:
        return self.date

    def move_cut_off(self, to: datetime) -> None:
        self.date = to
        self.asked.append(("move",))

    def take(self) -> list[tuple[str, ...]]:
        """Return the commands since the last call."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def city() -> City:
    return City()


@pytest.fixture
def requests(city: City) -> CityRequests:
    return CityRequests(city, city, UIDS)


def ended(name: str, code: int = 0) -> Event:
    return Event(name, {"event": "ended", "code": code})


def published(version: int, *why: str) -> Event:
    return Event("publisher", {"event": "published", "list_version": version, "why": [*why]})


def state_of(
    name: str, version: int | None, *, is_in: bool = True, ends: int | None = None
) -> Event:
    states = [
        {"rule": "matched", "in": True, "ends_unix_s": None, "list_version": 1},
        {"rule": "suspended", "in": is_in, "ends_unix_s": ends, "list_version": version},
    ]
    return Event(f"city-show-{name}", {"event": "text", "text": json.dumps(states)})


def in_tray(requests: CityRequests, name: str, unix_s: int = 0) -> dict[str, Any]:
    return next(card for card in requests.tray(unix_s) if card["name"] == name)


SHOW = ("city-show-matched", "show", UIDS["matched"].hex(), "--json")


def test_a_card_is_suspended_once_the_gate_decides_by_the_list_that_has_it(
    city: City, requests: CityRequests
) -> None:
    requests.suspend("matched")
    assert city.take() == [("city-change-matched", "suspend", UIDS["matched"].hex())]
    for event in (ended("city-change-matched"), state_of("matched", None), published(7)):
        requests.take(event)
    assert city.take() == [SHOW, SHOW]
    requests.take(state_of("matched", 7))
    requests.adopted(6)
    assert in_tray(requests, "matched") == {
        "name": "matched",
        "suspended": False,
        "asked": "suspend",
        "ends_unix_s": None,
    }
    requests.adopted(7)
    assert in_tray(requests, "matched") == {
        "name": "matched",
        "suspended": True,
        "asked": None,
        "ends_unix_s": None,
    }


def test_the_city_is_asked_again_after_a_list_that_came_during_the_question(
    city: City, requests: CityRequests
) -> None:
    requests.reinstate("suspended")
    requests.take(ended("city-change-suspended"))
    requests.take(published(7))
    city.take()
    requests.take(state_of("suspended", None))  # the first answer, from before that list
    requests.take(state_of("suspended", 7, is_in=False))
    requests.adopted(7)
    assert not in_tray(requests, "suspended")["suspended"]
    requests.take(state_of("suspended", None))
    assert city.take() == [], "the request is done"


def test_what_was_published_before_the_command_had_ended_is_found(
    city: City, requests: CityRequests
) -> None:
    requests.suspend("matched")
    city.take()
    for event in (published(7), ended("city-change-matched")):
        requests.take(event)
    assert city.take() == [SHOW]
    requests.take(state_of("matched", 7))
    requests.adopted(8)
    assert in_tray(requests, "matched")["suspended"]


def test_a_suspension_with_an_end_is_over_by_the_gate_s_clock_and_in_its_steps(
    city: City, requests: CityRequests
) -> None:
    requests.suspend("brief")
    assert city.take() == [("city-change-brief", "suspend", UIDS["brief"].hex(), "--for", "60s")]
    for event in (ended("city-change-brief"), state_of("brief", 7, ends=1_061)):
        requests.take(event)
    requests.adopted(7)
    assert in_tray(requests, "brief", 1_064) == {
        "name": "brief",
        "suspended": True,
        "asked": None,
        "ends_unix_s": 1_065,
    }
    assert in_tray(requests, "brief", 1_065)["suspended"] is False
    assert requests.is_suspended("brief", 1_064)
    assert not requests.is_suspended("brief", 1_065)


def test_a_failed_command_is_announced_and_leaves_the_card_as_it_was(
    city: City, requests: CityRequests
) -> None:
    requests.suspend("matched")
    city.take()
    requests.take(ended("city-change-matched", 2))
    assert [what for what, *_ in city.take()] == ["announce"]
    assert (requests.asked("matched"), in_tray(requests, "matched")["suspended"]) == (None, False)


def test_a_request_ends_if_the_city_does_not_answer_the_card_s_state(
    city: City, requests: CityRequests
) -> None:
    requests.suspend("matched")
    requests.take(ended("city-change-matched"))
    requests.take(ended("city-show-matched", 2))
    city.take()
    assert requests.asked("matched") is None
    requests.take(published(7))
    assert city.take() == []


def test_the_cut_off_date_counts_once_its_list_is_adopted_and_the_crowd_knows_before(
    city: City, requests: CityRequests
) -> None:
    requests.move_cut_off(in_force=False)
    assert city.take() == [("either", "unmatched"), ("move",)]
    past = {"in_force": True, "unix_s": int(PAST.timestamp())}
    assert requests.cut_off() == past | {"asked": False}
    requests.adopted(99)
    assert requests.cut_off()["in_force"], "no list is known to have it"
    requests.take(published(99, "1 changed"))
    requests.adopted(99)
    assert requests.cut_off()["in_force"], "this list was under way when the date was written"
    requests.take(published(100, "1 changed", "the rules changed"))
    requests.adopted(100)
    assert city.date > datetime.now(UTC)
    assert requests.cut_off() == {
        "in_force": False,
        "unix_s": int(city.date.timestamp()),
        "asked": None,
    }
    requests.move_cut_off(in_force=True)
    requests.take(published(101, "the rules changed"))
    requests.adopted(101)
    assert requests.cut_off() == past | {"asked": None}


def test_the_city_counts_one_at_a_time_and_only_when_more_was_delivered(
    city: City, requests: CityRequests
) -> None:
    count = ("city-reports", "reports", "list", "--json")
    requests.count(3)
    requests.count(3)
    requests.count(4)
    assert city.take() == [count]
    outboxes = [
        {"lane": 1, "received": 9, "missing": 1},
        {"lane": 2, "received": 2, "missing": 0},
    ] * 2
    requests.take(Event("city-reports", {"event": "text", "text": json.dumps(outboxes)}))
    assert requests.reports == {"city_received": 4, "city_missing": 0}
    requests.take(ended("city-reports"))
    assert city.take() == [count], "one more was delivered since"
    requests.take(ended("city-reports"))
    requests.count(4)
    assert city.take() == []


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def test_how_long_the_gate_took_is_from_the_click_until_it_decides_by_that_list(city: City) -> None:
    clock = Clock()
    requests = CityRequests(city, city, UIDS, clock)
    assert requests.followed == {"card": None, "cut_off": None}
    clock.now_ns = 1_000_000_000
    requests.suspend("matched")
    requests.take(ended("city-change-matched"))
    requests.take(state_of("matched", 7))
    clock.now_ns = 2_000_000_000
    requests.adopted(6)
    assert requests.followed == {"card": None, "cut_off": None}
    clock.now_ns = 2_900_000_000
    requests.adopted(8)
    assert requests.followed["card"] == {"name": "matched", "list_version": 7, "took_ms": 1_900}
    clock.now_ns = 5_000_000_000
    requests.move_cut_off(in_force=False)
    assert [requests.followed["cut_off"]] == [None]
    requests.take(published(9, "the rules changed"))
    assert requests.followed["cut_off"] == {"list_version": 9, "took_ms": None}
    clock.now_ns = 6_300_000_000
    requests.adopted(9)
    assert requests.followed["cut_off"] == {"list_version": 9, "took_ms": 1_300}
    requests.move_cut_off(in_force=True)
    assert [requests.followed["cut_off"]] == [None], "nothing is left of the earlier move"


def test_the_city_is_asked_for_the_visitor_s_reader_one_question_at_a_time(
    city: City, requests: CityRequests
) -> None:
    def gates(*devices: dict[str, str]) -> Event:
        return Event("city-gates", {"event": "text", "text": json.dumps([{"devices": devices}])})

    ask = ("city-gates", "gates", "--json")
    requests.ask_for_reader()
    requests.ask_for_reader()
    assert city.take() == [ask]
    requests.take(gates())  # the city knows nothing of the gate yet
    assert [requests.city_reader] == [None]
    requests.take(gates({"reader": "lost"}, {"reader": "ready"}))
    assert [requests.city_reader] == ["ready"], "the first lane is the crowd's"
    requests.take(ended("city-gates"))
    requests.ask_for_reader()
    requests.take(gates({"reader": "ready"}, {"reader": "lost"}))
    assert (requests.city_reader, city.take()) == ("lost", [ask])
