"""The demo's turnstile over HTTP, as its page uses it, with real processes from chip to city."""

import csv
import socket
import subprocess
from pathlib import Path

import pytest

from tests.processes.turnstile_rig import Page
from tests.support.devices.demo_page import card, is_at_rest, outcome, received, tapped, taps
from turnike_demo.city.people import TRAY

OUTCOMES = {
    "matched": "admitted",
    "suspended": "denied",
    "unmatched": "denied",
    "brief": "denied",
    "staff": "admitted",
    "phone": "unsupported",
}


def test_each_card_of_the_tray_has_its_outcome_and_every_stage(page: Page) -> None:
    before = page.until(lambda scene: card(scene, "brief")["suspended"] and is_at_rest(scene))
    for name in TRAY:
        seen = tapped(page, "tap", card=name)
        tap = seen["tap"]
        assert (name, tap["outcome"]) == (name, OUTCOMES[name])
        assert [stage["name"] for stage in tap["stages"]] == [
            "radio",
            "decide",
            "report",
            "tell",
            "wire",
        ]
        assert tap["total_us"] == sum(stage["us"] for stage in tap["stages"]) > 0
        shown = {stage["name"]: stage["us"] for stage in tap["stages"]}
        assert (shown["report"] > 0) is (name in {"suspended", "brief"}), (
            "an admitted passenger waits for no report"
        )
    reports = before["reports"]["delivered"] + 3  # suspended, brief, and the use of a staff card
    ended = received(page, reports)
    assert ended["reports"]["city_missing"] == 0
    assert ended["board"]["passed"] == before["board"]["passed"] + 2
    assert ended["board"]["forced"] == before["board"]["forced"]
    counted = (scene["percentiles"]["decided_us"]["count"] for scene in (before, ended))
    assert next(counted) + len(TRAY) == next(counted)
    numbers = [tap["n"] for tap in ended["taps"]]
    assert numbers == sorted(numbers, reverse=True)
    assert ended["tap"]["n"] == numbers[0] + 1


def test_two_cards_at_once_and_one_that_is_pulled_away_too_early_get_no_verdict(page: Page) -> None:
    assert tapped(page, "clash")["tap"]["outcome"] == "try_again"
    before = page.until(is_at_rest)
    assert page.do("pull_early") == (204, "")
    after = page.until(
        lambda scene: scene["reader"]["left_early"] == before["reader"]["left_early"] + 1
    )
    assert after["tap"] == before["tap"]
    assert outcome(page, "matched") == "admitted", "presented again, it counts"


def test_a_card_that_is_left_lying_is_one_tap_and_lies_there_until_it_is_taken(page: Page) -> None:
    assert page.do("take") == (409, "no_card")
    before = taps(page.until(is_at_rest))
    assert page.do("lay", card="unmatched") == (204, "")
    page.until(lambda scene: scene["reader"]["cards"] == ["unmatched"] and taps(scene) > before)
    assert page.do("tap", card="unmatched") == (409, "card_lies")
    assert page.do("take") == (204, "")
    assert taps(page.until(is_at_rest)) == before + 1


def test_an_impatient_hand_shows_its_card_again_and_the_gate_is_not_confused(page: Page) -> None:
    before = page.until(is_at_rest)
    for verb in ("tap", "tap", "lay", "tap", "clash", "pull_early", "tap"):
        named = {"card": "unmatched"} if verb in {"tap", "lay"} else {}
        assert page.do(verb, **named)[0] in {204, 409}
    page.until(lambda scene: taps(scene) > taps(before))  # before that, none may have been read
    page.do("take")
    settled = page.until(is_at_rest)
    # On a slow machine events of these verbs come only now; those of the last card come last.
    assert page.do("tap", card="matched") == (204, "")
    page.until(
        lambda scene: (
            taps(scene) > taps(settled)
            and scene["tap"]["outcome"] == "admitted"
            and scene["board"]["passed"] == settled["board"]["passed"] + 1
        )
    )
    assert outcome(page, "unmatched") == "denied"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"tap",
        b"[]",
        b'{"verb":"format"}',
        b'{"verb":"tap"}',
        b'{"verb":"tap","card":"04a1b2c3d4e5f6"}',
        b'{"verb":"tap","card":"matched","uid":"04a1b2c3d4e5f6"}',
        b'{"verb":"plug","in":1}',
        b"[" * 1_000,
        b'{"verb":"' + b"x" * 5_000 + b'"}',
    ],
)
def test_what_is_no_verb_gets_one_line(page: Page, body: bytes) -> None:
    status, problem = page.post(body)
    assert status == 422
    assert problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example"}, 421),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_another_site_s_page_can_do_nothing(
    page: Page, headers: dict[str, str], status: int
) -> None:
    before = page.until(is_at_rest)["board"]["forced"]
    assert page.post(b'{"verb":"push"}', headers)[0] == status
    assert (
        page.ask("POST", "/do", b'{"verb":"push"}', {"content-type": "application/json"})[0] == 403
    )
    assert page.ask("GET", "/events", headers={"host": "evil.example"})[0] == 421
    assert page.ask("GET", "/do")[0] == 405
    assert page.do("take")[0] == 409  # asked after it, and answered
    assert page.until(is_at_rest)["board"]["forced"] == before


def test_no_card_s_uid_is_in_anything_that_a_page_gets(page: Page) -> None:
    folder = next(page.folder.glob("turnike-demo-*"))
    with (folder / "cards.csv").open() as lines:
        uids = [row["uid"] for row in csv.DictReader(lines)]
    assert len(uids) > 1_000
    got = bytes(page.received).lower() + page.ask("GET", "/")[1]
    assert b'"brief"' in got
    assert [uid for uid in uids if uid.encode() in got] == []


def test_its_port_taken_the_page_is_found_on_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Page(tmp_path, "--page-port", str(port))
        try:
            assert demo.port not in {0, port}
            demo.until(is_at_rest)
            demo.do("plug", **{"in": False})
            demo.do("network", up=False)
            assert demo.end() == 0, (
                "ended in the middle, it still delivers every report of the crowd"
            )
            assert demo.result["reports_lost"] == 0
            assert list(tmp_path.iterdir()) == []
            running = subprocess.run(
                ["ps", "-eo", "args"], capture_output=True, text=True, check=True
            ).stdout
            assert str(tmp_path) not in running
        finally:
            demo.stop()
