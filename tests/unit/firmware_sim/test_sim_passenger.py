"""The crowd's passengers at a scripted gate."""

from collections.abc import Callable
from typing import Any

import pytest

from firmware_sim.crowd.passenger import Passenger, Scene
from firmware_sim.crowd.plan import (
    Play,
    Tap,
)
from firmware_sim.crowd.score import is_right
from tests.support.devices.crowd_taps import tap

ADMITTED = Tap(
    1,
    Play.PLAIN,
    ("04a1b2c3d4e5f6",),
    "matched",
    "admitted",
    report=False,
    leaves=None,
    walk_after_ms=0,
)


class ScriptedGate:
    """A gate whose lane answers at once by a table: the board's events at each nth card."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.scene = Scene()
        self.verbs: list[str] = []
        self.now_ns = 0
        self._answers = list(answers)
        self._cards: list[str] = []
        self._coming: list[tuple[str, dict[str, Any]]] = []
        self.board("session")
        self.board("show", outcome="ready", by="lane", hold_ms=0)

    def board(self, event: str, **fields: object) -> None:
        self._tell("board", event, **fields)

    def _tell(self, device: str, event: str, **fields: object) -> None:
        self.now_ns += 1_000
        self.scene.update(device, {"event": event, "at_ns": self.now_ns, **fields})

    def verb(self, device: str, words: str) -> None:
        self.verbs.append(f"{device} {words}")
        match words.split():
            case ["present", uid, *options]:
                self._come("reader", {"event": "present", "uid": uid})
                self._cards = [uid]
                self._answer()
                if options:
                    self._leave()
            case ["clash", *uids]:
                self._come("reader", {"event": "clash", "uids": uids})
                self._cards = uids
                self._answer()
            case ["remove"]:
                self._leave()
            case ["pass"]:
                self._come("board", {"event": "passed", "tap": self.scene.passage})

    def _come(self, device: str, event: dict[str, Any]) -> None:
        self._coming.append((device, event))

    def _leave(self) -> None:
        for _ in self._cards:
            self._come("reader", {"event": "removed"})
        self._cards = []

    def _answer(self) -> None:
        for event in self._answers.pop(0) if self._answers else []:
            self._come("board", event)

    def wait(self, until: Callable[[], bool], limit_ms: int) -> bool:
        while not until():
            if not self._coming:
                self._time_passes(limit_ms)
                return until()
            device, event = self._coming.pop(0)
            self._tell(device, **event)
        return True

    def _time_passes(self, ms: int) -> None:
        if self.scene.passage is not None and ms > self.scene.hold_ms:
            self.board("not_passed", tap=self.scene.passage)

    def wait_served(self) -> None:
        self.wait(lambda: self.scene.missing is None, 0)
        if self.scene.missing is not None:
            self.board("session")
            self.board("show", outcome="ready", by="lane", hold_ms=0)


def opened(number: int) -> dict[str, Any]:
    return {"event": "open", "tap": number, "direction": "entry", "hold_ms": 5000}


def shown(outcome: str) -> dict[str, Any]:
    return {"event": "show", "outcome": outcome, "by": "lane", "hold_ms": 1500}


RESTING = {"event": "show", "outcome": "ready", "by": "board", "hold_ms": 0}


def test_an_admitted_passenger_walks_and_takes_the_card_away() -> None:
    gate = ScriptedGate([opened(1), shown("admitted")])
    seen = Passenger(gate).play(ADMITTED)
    assert is_right(ADMITTED, seen)
    assert gate.verbs == ["reader present 04a1b2c3d4e5f6", "board pass", "reader remove"]
    assert (seen.open_ns, seen.told_ns) == (
        (seen.present_ns or 0) + 1_000,
        (seen.present_ns or 0) + 2_000,
    )


def test_a_refused_passenger_does_not_walk() -> None:
    gate = ScriptedGate([shown("denied"), RESTING])
    assert is_right(tap(Play.PLAIN, "denied"), Passenger(gate).play(tap(Play.PLAIN, "denied")))
    assert gate.verbs == ["reader present 04a1b2c3d4e5f6", "reader remove"]


def test_arms_that_open_for_a_refused_passenger_are_seen() -> None:
    gate = ScriptedGate([shown("denied"), opened(1), RESTING])
    assert not is_right(tap(Play.PLAIN, "denied"), Passenger(gate).play(tap(Play.PLAIN, "denied")))


def test_a_passenger_who_stays_waits_until_the_arms_lock() -> None:
    gate = ScriptedGate([opened(1), shown("admitted")])
    assert is_right(tap(Play.STAYS, "admitted"), Passenger(gate).play(tap(Play.STAYS, "admitted")))
    assert "board pass" not in gate.verbs


def test_a_card_held_that_opens_again_is_wrong() -> None:
    gate = ScriptedGate([opened(1), shown("admitted"), {"event": "passed", "tap": 1}, opened(2)])
    assert not is_right(
        tap(Play.HELD, "admitted"), Passenger(gate).play(tap(Play.HELD, "admitted"))
    )


@pytest.mark.parametrize("first", [[], [shown("try_again")]])
def test_a_card_pulled_away_is_presented_again_and_then_it_counts(
    first: list[dict[str, Any]],
) -> None:
    gate = ScriptedGate(first, [opened(1), shown("admitted")])
    pulled = tap(Play.PULLED, "admitted")
    assert is_right(pulled, Passenger(gate).play(pulled))
    assert gate.verbs[:2] == [
        "reader present 04a1b2c3d4e5f6 leaves=before-anticollision",
        "reader present 04a1b2c3d4e5f6",
    ]


def test_try_again_that_comes_late_is_the_first_card_s() -> None:
    gate = ScriptedGate([], [shown("try_again"), opened(1), shown("admitted")])
    pulled = tap(Play.PULLED, "admitted")
    assert is_right(pulled, Passenger(gate).play(pulled))


def test_a_verdict_on_a_card_pulled_away_counts_at_once() -> None:
    gate = ScriptedGate([opened(1), shown("admitted")])
    pulled = tap(Play.PULLED, "denied")
    assert not is_right(pulled, Passenger(gate).play(pulled))
    assert [verb for verb in gate.verbs if "present" in verb] == [gate.verbs[0]]


def test_two_cards_at_once() -> None:
    gate = ScriptedGate([shown("try_again"), RESTING])
    clash = tap(Play.CLASH, "try_again")
    assert is_right(clash, Passenger(gate).play(clash))
    assert gate.verbs == ["reader clash 04a1b2c3d4e5f6 04a1b2c3d4e5f7", "reader remove"]


def test_a_passenger_comes_again_when_the_board_restarts_before_the_verdict() -> None:
    gate = ScriptedGate([{"event": "started"}], [opened(1), shown("admitted")])
    seen = Passenger(gate).play(ADMITTED)
    assert is_right(ADMITTED, seen)
    assert seen.tries == 2


def test_a_gate_that_never_answers_is_wrong() -> None:
    seen = Passenger(ScriptedGate()).play(ADMITTED)
    assert (seen.saw, seen.opens, is_right(ADMITTED, seen)) == (None, 0, False)


@pytest.mark.parametrize(
    ("device", "event", "missing"),
    [
        ("reader", {"event": "unplugged"}, "reader"),
        ("board", {"event": "unplugged"}, "board"),
        ("board", {"event": "emergency", "on": True}, "emergency"),
        ("board", {"event": "lane_lost"}, "lane"),
        ("board", {"event": "session"}, "lane"),  # a lane, and nothing shown yet
        ("board", {"event": "started"}, "lane"),
        ("board", opened(1), "lane"),  # a passage is under way
        (
            "board",
            {"event": "show", "outcome": "out_of_service", "by": "lane", "hold_ms": 0},
            "lane",
        ),
        ("board", shown("denied"), None),  # the next card may be read meanwhile
    ],
)
def test_what_keeps_the_next_passenger_waiting(
    device: str, event: dict[str, Any], missing: str | None
) -> None:
    scene = ScriptedGate().scene
    assert scene.missing is None
    scene.update(device, {"at_ns": 1, **event})
    assert scene.missing == missing
