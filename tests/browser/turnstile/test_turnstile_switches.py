"""The turnstile's page in a visitor's hands: cards, switches, and what the page shows."""

import json
import re
from collections.abc import Mapping
from typing import get_args

from playwright.sync_api import Page, expect

from tests.browser.accessibility import barriers
from tests.browser.pages import (
    REFUSED,
    shot,
)
from tests.browser.turnstile.outcomes import OUTCOMES
from tests.browser.visits import (
    Visit,
    at_rest,
    count,
    counts,
    is_ready,
    list_age_s,
    mark,
    part,
    saw,
    shows,
    tap,
    tapped_otherwise,
    taps,
    told_of,
)
from turnike_demo.turnstile.refusals import Refusal

STAGES = ("radio", "decide", "report", "tell", "wire")


def has_no_barriers(page: Page, name: str) -> None:
    """Keep a picture, and check for barriers in light and dark."""
    shot(page, f"turnstile-{name}")
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page) == []
    page.emulate_media(color_scheme="light")


def test_a_card_is_dragged_onto_the_reader_and_one_that_is_dropped_elsewhere_is_not_read(
    page: Page,
) -> None:
    card, reader = part(page, "card-matched").bounding_box(), part(page, "reader").bounding_box()
    assert card is not None
    assert reader is not None
    before, since = taps(page), mark(is_ready(page))
    for x in (reader["x"] - 200, reader["x"] + reader["width"] / 2):
        page.mouse.move(card["x"] + 30, card["y"] + 20)
        page.mouse.down()
        page.mouse.move(x, reader["y"] + reader["height"] / 2, steps=6)
        expect(part(page, "reader")).to_have_attribute(
            "data-over", "true" if x > reader["x"] else "false"
        )
        page.mouse.up()
        if x < reader["x"]:
            assert (taps(page), mark(page)) == (before, since)
    saw(page, since, "admitted")
    told_of(page, before, "admitted")
    tapped_otherwise(page, "card-matched")


def test_a_card_pulled_away_too_early_is_shown_and_nothing_opens(page: Page) -> None:
    before, since = taps(page), mark(is_ready(page))
    part(page, "pull-early").click()
    expect(part(page, "seen")).to_contain_text(
        "Gone before it had sent its number: the gate decided nothing."
    )
    shot(page, "turnstile-pulled-early")
    assert (taps(page), mark(page)) == (before, since)


IN_WORDS = {
    "no_card": ("No card lies on the reader.", "Okuyucuda kart yok."),
    "is_so": ("It is already so.", "Zaten öyle."),
    "card_lies": (
        "That card lies on the reader: take it away first.",
        "O kart okuyucunun üstünde duruyor: önce kaldırın.",
    ),
    "no_list_can_name_it": (
        "A phone shows another number each time: no list can name it.",
        "Telefon her seferinde başka numara gösterir: hiçbir liste onu adlandıramaz.",
    ),
}


def test_a_refusal_is_shown_in_the_language_of_the_page(visit: Visit, page: Page) -> None:
    visit.pages.excuse(REFUSED)
    turkish = visit.open(language="tr")
    before = taps(page)
    for refusal, *asked in (
        ("no_card", {"verb": "take"}),
        ("is_so", {"verb": "network", "up": True}),
        ("is_so", {"verb": "plug", "in": True}),
        ("is_so", {"verb": "reader", "plugged": True}),
        ("is_so", {"verb": "emergency", "on": False}),
        ("is_so", {"verb": "cut_off", "in_force": True}),
        ("is_so", {"verb": "suspend", "card": "suspended"}),
        ("no_list_can_name_it", {"verb": "suspend", "card": "phone"}),
        ("card_lies", {"verb": "lay", "card": "unmatched"}, {"verb": "lay", "card": "unmatched"}),
    ):
        for shown, words in zip((page, turkish), IN_WORDS[refusal], strict=True):
            for verb in asked:
                ask_instead(shown, verb)
            expect(part(shown, "problem")).to_have_text(words)
    ask_instead(page, {"verb": "take"})
    expect(part(page, "problem")).to_be_hidden()
    told_of(page, before, OUTCOMES["card-unmatched"])
    tapped_otherwise(page, "card-unmatched")


def ask_instead(page: Page, verb: Mapping[str, object]) -> None:
    """Make the page send this verb, as a page with an old scene would."""
    page.route("**/do", lambda route: route.continue_(post_data=json.dumps(verb)))
    with page.expect_response("**/do"):
        part(page, "push").click()
    page.unroute("**/do")


def test_the_page_has_words_for_every_refusal_in_both_languages(page: Page) -> None:
    of_both = page.evaluate(
        "async () => Object.values((await import('/static/turnstile_words.js')).WORDS)"
        ".map((words) => Object.keys(words.refusals))"
    )
    assert [sorted(names) for names in of_both] == [sorted(get_args(Refusal))] * 2


def test_each_stage_of_a_tap_is_shown_with_its_time(page: Page) -> None:
    for card, outcome, reports in (
        ("card-suspended", "denied", True),
        ("card-matched", "admitted", False),
    ):
        tap(is_ready(page), card, outcome)
        for stage in STAGES:
            expect(part(page, f"stage-{stage}")).to_have_attribute("data-us", re.compile(r"\d"))
        assert int(part(page, "stage-decide").get_attribute("data-us") or 0) > 0
        assert (part(page, "stage-report").get_attribute("data-us") != "0") is reports
    expect(part(page, "percentiles")).to_contain_text(re.compile(r"since its start: \d+ taps"))


def test_the_gate_follows_the_city_and_decides_by_its_last_list_without_a_network(
    page: Page,
) -> None:
    tap(page, "card-matched", "admitted")
    part(page, "suspend-matched").click()
    expect(part(page, "reinstate-matched")).to_be_enabled()
    shot(page, "turnstile-suspended")
    tap(page, "card-matched", "denied")
    received, version = reports_at_rest(page), list_version(page)
    part(page, "network").click()
    expect(part(page, "network")).to_have_attribute("data-on", "false")
    expect(part(page, "road-words")).to_contain_text("The network is cut")
    age_s = list_age_s(page)
    part(page, "reinstate-matched").click()
    tap(page, "card-suspended", "denied")
    tap(page, "card-staff", "admitted")
    tap(is_ready(page), "card-matched", "denied")
    counts(page, "reports-waiting", 3)
    expect(part(page, "network-came")).to_contain_text(
        "3 taps decided all the same; 3 reports wait."
    )
    heard = page.locator("[data-switch=network] .heard")
    expect(heard).to_contain_text("Cut for 0 s")  # written once, and not each second
    expect(part(page, "reinstate-matched")).to_be_disabled()
    has_no_barriers(page, "network-cut")
    assert (list_version(page), count(page, "city-received")) == (version, received)
    assert list_age_s(page) > age_s
    part(page, "network").click()
    expect(part(page, "network-came")).to_contain_text("nothing lost")
    counts(page, "reports-waiting", 0)
    counts(page, "city-received", received + 3)
    expect(part(page, "suspend-matched")).to_be_enabled()
    assert list_version(page) > version
    expect(part(page, "list-version")).to_have_attribute("data-state", "fresh")
    tap(page, "card-matched", "admitted")


def list_version(page: Page) -> int:
    return int(part(page, "list-version").get_attribute("data-version") or 0)


def reports_at_rest(page: Page) -> int:
    """Wait until the city has all reports; return their number."""
    counts(page, "reports-waiting", 0)
    counts(page, "city-received", count(page, "reports-delivered"))
    return count(page, "city-received")


def test_the_page_shows_a_pulled_plug_and_no_report_is_lost(visit: Visit, page: Page) -> None:
    received = reports_at_rest(is_ready(page))
    part(page, "network").click()
    expect(part(page, "network")).to_have_attribute("data-on", "false")
    for card in ("card-suspended", "card-staff"):
        tap(page, card, OUTCOMES[card])
    counts(page, "reports-waiting", 2)
    part(page, "plug").click()
    shows(page, "out_of_service")
    expect(page.locator("[data-switch=plug] h3")).to_have_text("Power · pulled")
    expect(part(page, "plug-came")).to_contain_text("2 reports lie on its disk")
    has_no_barriers(page, "plug-pulled")
    part(page, "plug").click()
    is_ready(page)
    expect(part(page, "plug-came")).to_contain_text("none of them lost")
    counts(page, "reports-waiting", 2)
    part(page, "network").click()
    counts(page, "city-received", received + 2)
    counts(page, "reports-waiting", 0)
    assert visit.demo.until(bool)["reports"]["city_missing"] == 0


def test_without_its_reader_it_is_out_of_service_until_it_is_plugged_in(page: Page) -> None:
    part(page, "reader-plug").click()
    shows(page, "out_of_service")
    expect(part(page, "reader-plug-came")).to_contain_text("Out of service")
    has_no_barriers(page, "reader-unplugged")
    part(page, "reader-plug").click()
    at_rest(page)
    expect(part(page, "reader-plug-came")).to_contain_text("Back by itself")
    tap(page, "card-matched", "admitted")


def test_in_an_emergency_the_arms_hang_free_and_pushed_when_locked_they_hold(page: Page) -> None:
    part(page, "push").click()
    expect(part(page, "push-came")).to_contain_text("Forced while locked")
    part(page, "emergency").click()
    expect(part(page, "arms")).to_have_attribute("data-arms", "free")
    shows(page, "emergency")
    part(page, "push").click()
    expect(part(page, "emergency-came")).to_contain_text("1 walked through")
    has_no_barriers(page, "emergency")
    part(page, "emergency").click()
    expect(part(page, "emergency-came")).to_contain_text("Locked again")
    at_rest(page)


def test_before_the_cut_off_date_an_unmatched_card_is_admitted_with_a_notice(page: Page) -> None:
    for outcome, in_force in (("admitted_with_notice", "false"), ("denied", "true")):
        part(page, "cut-off").click()
        expect(part(page, "cut-off")).to_have_attribute("data-on", in_force)
        expect(part(page, "cut-off")).to_be_enabled()
        state = tap(page, "card-unmatched", outcome)
        if outcome == "admitted_with_notice":
            assert re.fullmatch(r"Match your card by \d\d\.\d\d\.\d{4}", state["en"])
            has_no_barriers(page, "notice")


def test_a_suspension_of_a_minute_ends_by_itself(visit: Visit, page: Page) -> None:
    assert '"name":"brief","suspended":true' in "".join(visit.pages.events(page))
    expect(part(page, "suspend-brief")).to_be_enabled(timeout=120_000)
    tap(page, "card-brief", "admitted")
    assert "reinstate the brief" not in "".join(visit.demo.until(bool)["story"])
