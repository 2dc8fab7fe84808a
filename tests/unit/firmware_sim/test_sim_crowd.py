"""The crowd's plan and its judgement of each tap."""

from itertools import islice

import pytest

from firmware_sim.crowd.plan import (
    EARLY_STAGES,
    EITHER,
    MIX_PER_MILLE,
    Asked,
    AskedError,
    DeckCard,
    DeckError,
    Play,
    Tap,
    either_for,
    in_place_of,
    plan,
    read_asked,
    read_deck,
)
from firmware_sim.crowd.score import Score, Sight, is_right
from tests.support.devices.crowd_taps import tap

DECK = [DeckCard(f"04{n:012x}", "matched", "admitted", report=False) for n in range(2_000)]


def test_a_deck_is_read() -> None:
    text = '{"uid":"04:A1:B2:C3:D4:E5:F6","kind":"suspended","expect":"denied","report":true}\n\n'
    assert read_deck(text, "deck") == [
        DeckCard("04a1b2c3d4e5f6", "suspended", "denied", report=True)
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "deck: no cards"),
        ("[]", "deck:1: Expected `object`"),
        ("{", "deck:1: Input data was truncated"),
        ('{"uid":"04a1b2c3d4e5f6"}', "deck:1: Object missing required field `kind`"),
        ('{"uid":"04a1","kind":"x","expect":"denied","report":true}', "deck:1: '04a1' has 2 bytes"),
        (
            '{"uid":"04a1b2c3d4e5f6","kind":"x","expect":"maybe","report":true}',
            "deck:1: Invalid enum value",
        ),
        (
            '{"uid":"04a1b2c3d4e5f6","kind":"x","expect":"denied","report":1}',
            "deck:1: Expected `bool`",
        ),
        (
            '{"uid":"04a1b2c3d4e5f6","kind":"x","expect":"denied","report":true}\n' * 2,
            "deck:2: this card",
        ),
    ],
)
def test_a_bad_deck_names_the_line(text: str, says: str) -> None:
    with pytest.raises(DeckError, match=says.replace("[", r"\[")):
        read_deck(text, "deck")


def test_the_same_seed_is_the_same_crowd_and_another_is_not() -> None:
    assert list(islice(plan(DECK, 1, human=True), 300)) == list(
        islice(plan(DECK, 1, human=True), 300)
    )
    assert list(islice(plan(DECK, 1, human=True), 300)) != list(
        islice(plan(DECK, 2, human=True), 300)
    )


def test_every_card_comes_once_before_any_comes_again() -> None:
    deck = DECK[:50]
    uids = [tap.uids[0] for tap in islice(plan(deck, 1, human=False), 400) if tap.kind == "matched"]
    assert sorted(uids[:50]) == sorted(card.uid for card in deck)
    assert sorted(uids[50:100]) == sorted(card.uid for card in deck)


def test_a_card_of_which_a_report_is_due_does_not_come_again() -> None:
    deck = [*DECK[:5], DeckCard("04ffffffffffff", "suspended", "denied", report=True)]
    reports = [tap.report for tap in islice(plan(deck, 1, human=False), 200)]
    assert sum(reports) == 1


def test_the_mix_is_as_documented() -> None:
    taps = list(islice(plan(DECK, 7, human=False), 20_000))
    for play, per_mille in MIX_PER_MILLE.items():
        share = 1000 * sum(tap.play is play for tap in taps) / len(taps)
        assert 0.7 * per_mille < share < 1.3 * per_mille, play
    assert all(tap.leaves in EARLY_STAGES for tap in taps if tap.play is Play.PULLED)
    assert all(tap.uids[0].startswith("08") for tap in taps if tap.play is Play.PHONE)
    assert all(len(set(tap.uids)) == 2 for tap in taps if tap.play is Play.CLASH)


def test_only_who_is_let_in_can_stay_or_hold() -> None:
    deck = [DeckCard("04a1b2c3d4e5f6", "suspended", "denied", report=False)]
    plays = {tap.play for tap in islice(plan(deck, 1, human=False), 2_000)}
    assert plays == {Play.PLAIN, Play.PHONE, Play.CLASH, Play.PULLED}


def test_an_asked_passenger_takes_the_place_of_a_planned_one() -> None:
    asked = read_asked(["04:A1:B2:C3:D4:E5:F6", "denied", "true"])
    assert asked == Asked("04a1b2c3d4e5f6", "denied", report=True)
    planned = Tap(
        7,
        Play.PULLED,
        ("04ffffffffffff",),
        "staff",
        "admitted",
        report=False,
        leaves="",
        walk_after_ms=3,
    )
    assert in_place_of(planned, asked) == Tap(
        7,
        Play.PLAIN,
        ("04a1b2c3d4e5f6",),
        "asked",
        "denied",
        report=True,
        leaves=None,
        walk_after_ms=3,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "write next UID OUTCOME REPORT"),
        (["04a1b2c3d4e5f6", "denied"], "write next UID OUTCOME REPORT"),
        (
            ["04a1b2c3d4e5f6", "refused", "true"],
            "refused is not an outcome; write one of admitted, ",
        ),
        (["04a1b2c3d4e5f6", "denied", "yes"], "yes: whether a report is due is true or false"),
        (["04a1", "denied", "true"], "has 2 bytes"),
    ],
)
def test_a_passenger_who_cannot_be_asked_for_is_one_line(words: list[str], says: str) -> None:
    with pytest.raises(AskedError, match=says):
        read_asked(words)


def sight(saw: str | None, opens: int, *, passed: bool | None, interrupted: bool = False) -> Sight:
    return Sight(0, saw, 1_000_000, opens, 2_000 if opens else None, passed, 1, interrupted)


@pytest.mark.parametrize(
    ("of", "seen", "right"),
    [
        (tap(Play.PLAIN, "admitted"), sight("admitted", 1, passed=True), True),
        (
            tap(Play.PLAIN, "admitted"),
            sight("admitted", 0, passed=None),
            False,
        ),  # green, and the arms locked
        (
            tap(Play.PLAIN, "admitted"),
            sight("admitted", 1, passed=False),
            False,
        ),  # could not get through
        (tap(Play.HELD, "admitted"), sight("admitted", 2, passed=True), False),  # opened twice
        (tap(Play.PLAIN, "admitted"), sight("admitted_with_notice", 1, passed=True), False),
        (tap(Play.PLAIN, "admitted"), sight(None, 0, passed=None), False),
        (tap(Play.STAYS, "admitted"), sight("admitted", 1, passed=False), True),
        (tap(Play.STAYS, "admitted"), sight("admitted", 1, passed=True), False),
        (tap(Play.PLAIN, "denied"), sight("denied", 0, passed=None), True),
        (
            tap(Play.PLAIN, "denied"),
            sight("denied", 1, passed=True),
            False,
        ),  # refused, and let through
        (tap(Play.CLASH, "try_again"), sight("try_again", 0, passed=None), True),
        (tap(Play.PHONE, "unsupported"), sight("denied", 0, passed=None), False),
        (tap(Play.PLAIN, "admitted"), sight("admitted", 1, passed=None, interrupted=True), True),
        (tap(Play.PLAIN, "admitted"), sight("admitted", 1, passed=None), False),
    ],
)
def test_judgement(of: Tap, seen: Sight, right: bool) -> None:
    assert is_right(of, seen) is right


@pytest.mark.parametrize(
    ("seen", "right", "reports"),
    [
        (sight("admitted", 1, passed=True), True, 0),
        (sight("denied", 0, passed=None), True, 1),
        (sight("admitted", 0, passed=None), False, 0),
        (sight("denied", 1, passed=True), False, 1),
        (sight("admitted_with_notice", 1, passed=True), False, 0),
        (sight("try_again", 0, passed=None), False, 0),
        (sight(None, 0, passed=None), False, 0),
    ],
)
def test_either_is_one_verdict_and_what_belongs_to_it(
    seen: Sight, right: bool, reports: int
) -> None:
    score = Score()
    asked = in_place_of(tap(Play.PLAIN, "denied"), Asked("04a1b2c3d4e5f6", EITHER, report=True))
    assert score.count(asked, seen)["right"] is right
    assert score.summary()["reports_expected"] == reports


@pytest.mark.parametrize(
    ("seen", "right", "reports"),
    [
        (sight("admitted", 1, passed=True), True, 0),
        (sight("admitted_with_notice", 1, passed=True), True, 0),
        (sight("denied", 0, passed=None), True, 1),
        (sight("admitted", 0, passed=None), False, 0),
        (sight("denied", 1, passed=True), False, 1),
        (sight("try_again", 0, passed=None), False, 0),
    ],
)
def test_of_a_kind_of_which_either_is_right_any_verdict_is_and_what_belongs_to_it(
    seen: Sight, right: bool, reports: int
) -> None:
    score = Score()
    assert (
        score.count(either_for(tap(Play.PLAIN, "denied", report=True), {"any"}), seen)["right"]
        is right
    )
    assert score.summary()["reports_expected"] == reports


def test_either_is_right_for_no_other_kind_and_not_for_who_gets_no_verdict() -> None:
    denied, clash = tap(Play.PLAIN, "denied"), tap(Play.CLASH, "try_again")
    assert either_for(denied, {"matched"}) == denied
    assert either_for(clash, {"any"}) == clash
    asked = in_place_of(denied, Asked("04a1b2c3d4e5f6", EITHER, report=True))
    assert either_for(asked, {"asked"}) == asked


def test_a_tap_s_line_and_the_summary() -> None:
    score = Score()
    line = score.count(tap(Play.PLAIN, "admitted"), sight("admitted", 1, passed=True))
    assert line == {
        "event": "tap",
        "n": 1,
        "kind": "any",
        "play": "plain",
        "expect": "admitted",
        "saw": "admitted",
        "right": True,
        "opened": True,
        "passed": True,
        "tap_to_gate_us": 2,
        "tap_to_told_us": 1_000,
        "report": False,
        "tries": 1,
    }
    score.count(tap(Play.PLAIN, "denied", report=True), sight("denied", 0, passed=None))
    score.count(tap(Play.PLAIN, "denied", report=True), sight("admitted", 1, passed=True))
    score.count(tap(Play.PHONE, "unsupported"), sight("unsupported", 0, passed=None))
    assert score.summary() == {
        "event": "summary",
        "taps": 4,
        "admitted": 2,
        "denied": 1,
        "retry": 1,
        "wrong": 1,
        "reports_expected": 1,
        "tap_to_gate_ms": {"p50": 0.002, "p99": 0.002, "p999": 0.002, "max": 0.002},
    }


def test_a_summary_without_taps() -> None:
    assert Score().summary()["tap_to_gate_ms"] == {
        "p50": None,
        "p99": None,
        "p999": None,
        "max": None,
    }
