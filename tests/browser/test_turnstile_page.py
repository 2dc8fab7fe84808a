"""The demo's turnstile in a real browser: what a visitor does on the page, and what the page then shows of the real gate."""

import csv
import re
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import barriers
from tests.browser.conftest import Open, shot
from tests.processes.turnstile_rig import Page as Demo
from tests.processes.turnstile_rig import playing

PHONE, PANEL, DESK = (
    {"width": 360, "height": 740},
    {"width": 800, "height": 480},
    {"width": 1440, "height": 900},
)
OUTCOMES = {
    "card-matched": "admitted",
    "card-suspended": "denied",
    "card-unmatched": "denied",
    "card-brief": "denied",
    "card-staff": "admitted",
    "card-phone": "unsupported",
    "clash": "try_again",
}
SAID = {
    "admitted": {"tr": "İyi yolculuklar", "en": "Have a good trip"},
    "denied": {"tr": "Kartınız kullanıma kapalıdır", "en": "This card cannot be used"},
    "try_again": {"tr": "Tek kart okutunuz", "en": "One card, try again"},
    "unsupported": {"tr": "Bu kart desteklenmiyor", "en": "Card not supported"},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all of these tests; each leaves it as it found it."""
    with playing(tmp_path_factory.mktemp("demo")) as running:
        running.until(lambda scene: scene["board"]["shows"] == "ready")
        yield running
        assert running.end() == 0, running.told.decode()
        assert running.result["reports_lost"] == running.result["reports_duplicated"] == 0


@pytest.fixture
def page(opened: Open, demo: Demo) -> Page:
    """A visitor's page, at rest."""
    return at_rest(opened(demo.url))


def part(page: Page, name: str) -> Locator:
    return page.get_by_test_id(name)


def at_rest(page: Page) -> Page:
    """Once nobody is on the way through and the display asks for a card."""
    shows(page, "ready")
    expect(part(page, "arms")).to_have_attribute("data-arms", "locked")
    expect(part(page, "reader")).to_have_attribute("data-cards", "")
    return page


def shows(page: Page, outcome: str) -> None:
    expect(part(page, "display")).to_have_attribute("data-outcome", outcome)


def tap(page: Page, card: str, outcome: str) -> None:
    """Click it, see the outcome on the display, and wait until the turnstile is at rest again."""
    part(page, card).click()
    shows(page, outcome)
    at_rest(page)


def count(page: Page, name: str) -> int:
    figure = part(page, name)
    expect(figure).to_have_attribute("data-count", re.compile(r"\d"))
    return int(figure.get_attribute("data-count") or 0)


@pytest.mark.parametrize("language", ["en", "tr"])
def test_each_card_of_the_tray_gives_its_outcome_and_the_display_says_it_in_both_languages(
    opened: Open, demo: Demo, language: str
) -> None:
    page = at_rest(opened(demo.url, language=language))
    expect(part(page, "reinstate-brief")).to_be_visible()
    for card, outcome in OUTCOMES.items():
        if card == "card-brief" and part(page, "suspend-brief").is_visible():
            part(page, "suspend-brief").click()
            expect(part(page, "reinstate-brief")).to_be_enabled()
        part(page, card).click()
        shows(page, outcome)
        for said in SAID[outcome].values():
            expect(part(page, "display")).to_contain_text(said)
        expect(part(page, "lamp")).to_have_attribute("data-outcome", outcome)
        shot(page, f"turnstile-{language}-{card.removeprefix('card-')}")
        at_rest(page)
    assert barriers(page) == []


def test_a_card_that_is_pulled_away_too_early_is_said_so_and_nothing_opens(page: Page) -> None:
    taps = part(page, "tap").get_attribute("data-n")
    part(page, "pull-early").click()
    expect(part(page, "seen")).to_contain_text(re.compile("early|before", re.IGNORECASE))
    expect(part(page, "arms")).to_have_attribute("data-arms", "locked")
    assert part(page, "tap").get_attribute("data-n") == taps


def test_a_card_is_dragged_onto_the_reader_and_one_that_is_dropped_elsewhere_is_not_read(page: Page) -> None:
    card, reader = part(page, "card-matched").bounding_box(), part(page, "reader").bounding_box()
    assert card is not None
    assert reader is not None
    taps = part(page, "tap").get_attribute("data-n")
    for x, y in ((reader["x"] - 200, reader["y"] - 20), (reader["x"] + 40, reader["y"] + 40)):
        page.mouse.move(card["x"] + 30, card["y"] + 20)
        page.mouse.down()
        page.mouse.move(x, y, steps=6)
        if x < reader["x"]:
            page.mouse.up()
            expect(part(page, "tap")).to_have_attribute("data-n", taps or "0")
    page.mouse.up()
    shows(page, "admitted")
    at_rest(page)


def test_everything_is_done_with_the_keyboard_alone(page: Page) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.dataset.testid") == "card-suspended":
            break
    page.keyboard.press("Enter")
    shows(page, "denied")
    at_rest(page)
    part(page, "emergency").focus()
    page.keyboard.press("Space")
    expect(part(page, "arms")).to_have_attribute("data-arms", "free")
    page.keyboard.press("Space")
    at_rest(page)


def test_of_a_tap_each_stage_is_shown_with_its_time(page: Page) -> None:
    tap(
        page, "card-matched", "admitted"
    )  # a card that comes right after an emergency waits for its end: that is another stage
    tap(page, "card-suspended", "denied")
    for stage in ("radio", "decide", "report", "tell", "wire"):
        expect(part(page, f"stage-{stage}")).to_have_attribute("data-us", re.compile(r"\d"))
    assert int(part(page, "stage-decide").get_attribute("data-us") or 0) > 0


def test_with_the_network_cut_it_decides_and_keeps_its_reports_and_they_arrive_when_it_is_back(
    page: Page,
) -> None:
    before = count(page, "city-received")
    version = part(page, "list-version").get_attribute("data-version")
    part(page, "network").click()
    expect(part(page, "network")).to_have_attribute("data-on", "false")
    tap(page, "card-suspended", "denied")
    tap(page, "card-matched", "admitted")
    expect(part(page, "reports-waiting")).to_have_attribute("data-count", re.compile(r"[1-9]"))
    expect(part(page, "network-came")).to_contain_text("report waits")
    shot(page, "turnstile-network-cut")
    assert barriers(page) == []
    part(page, "network").click()
    expect(part(page, "reports-waiting")).to_have_attribute("data-count", "0")
    expect(part(page, "city-received")).to_have_attribute("data-count", str(before + 1))
    expect(part(page, "network-came")).to_contain_text("nothing lost")
    expect(part(page, "list-version")).to_have_attribute("data-state", "fresh")
    assert int(part(page, "list-version").get_attribute("data-version") or 0) >= int(version or 0)


def test_suspended_in_the_city_a_card_is_refused_and_reinstated_it_is_admitted(page: Page) -> None:
    tap(page, "card-matched", "admitted")
    part(page, "suspend-matched").click()
    expect(part(page, "reinstate-matched")).to_be_enabled()
    tap(page, "card-matched", "denied")
    part(page, "reinstate-matched").click()
    expect(part(page, "suspend-matched")).to_be_enabled()
    tap(page, "card-matched", "admitted")


def test_with_its_plug_pulled_the_page_says_so_and_no_report_is_lost(page: Page) -> None:
    received = count(page, "city-received")
    part(page, "network").click()
    expect(part(page, "network")).to_have_attribute("data-on", "false")
    tap(page, "card-suspended", "denied")
    part(page, "plug").click()
    shows(page, "out_of_service")
    expect(part(page, "plug-came")).to_contain_text("1 report lies on its disk")
    shot(page, "turnstile-plug-pulled")
    part(page, "plug").click()
    at_rest(page)
    expect(part(page, "plug-came")).to_contain_text("none of them lost")
    part(page, "network").click()
    expect(part(page, "city-received")).to_have_attribute("data-count", str(received + 1))
    expect(part(page, "reports-waiting")).to_have_attribute("data-count", "0")


def test_without_its_reader_it_is_out_of_service_until_it_is_plugged_in(page: Page) -> None:
    part(page, "reader-plug").click()
    shows(page, "out_of_service")
    shot(page, "turnstile-reader-unplugged")
    part(page, "reader-plug").click()
    at_rest(page)
    tap(page, "card-matched", "admitted")


def test_in_an_emergency_the_arms_hang_free_and_pushed_when_locked_they_hold(page: Page) -> None:
    part(page, "push").click()
    expect(part(page, "push-came")).to_contain_text("Forced while locked")
    part(page, "emergency").click()
    expect(part(page, "arms")).to_have_attribute("data-arms", "free")
    part(page, "push").click()
    expect(part(page, "emergency-came")).to_contain_text("1 walked through")
    shot(page, "turnstile-emergency")
    assert barriers(page) == []
    part(page, "emergency").click()
    at_rest(page)


def test_with_the_cut_off_date_ahead_an_unmatched_card_is_let_in_and_told_of_it(page: Page) -> None:
    for outcome, in_force in (("admitted_with_notice", "false"), ("denied", "true")):
        part(page, "cut-off").click()
        expect(part(page, "cut-off")).to_have_attribute("data-on", in_force)
        expect(part(page, "cut-off")).to_be_enabled()
        tap(page, "card-unmatched", outcome)


def test_two_pages_show_the_same(page: Page, opened: Open, demo: Demo) -> None:
    other = at_rest(opened(demo.url, language="tr"))
    part(page, "card-suspended").click()
    shows(other, "denied")
    shows(page, "denied")
    at_rest(other)
    expect(part(other, "tap")).to_have_attribute("data-n", part(page, "tap").get_attribute("data-n") or "")


def test_the_first_minute_ticks_itself_off(page: Page) -> None:
    guide = part(page, "guide")
    expect(guide).to_have_attribute("data-done", "0")
    tap(page, "card-matched", "admitted")
    expect(guide).to_have_attribute("data-done", "1")
    tap(page, "card-suspended", "denied")
    expect(guide).to_have_attribute("data-done", "2")
    shot(page, "turnstile")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, PANEL, DESK], ids=["phone", "panel", "desk"])
def test_it_fits_and_has_no_barriers(opened: Open, demo: Demo, size: dict[str, int], *, dark: bool) -> None:
    page = at_rest(opened(demo.url, dark=dark, size=size, language="tr" if dark else "en"))
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert barriers(page) == []
    shot(page, f"turnstile-{size['width']}-{'dark' if dark else 'light'}", whole=True)


def test_another_sites_page_can_neither_do_nor_hear_anything(page: Page, opened: Open, demo: Demo) -> None:
    taps = part(page, "tap").get_attribute("data-n")
    other = opened(
        demo.url.replace("127.0.0.1", "localhost")
    )  # the same machine by another name: another site to a browser
    tried = """async (url) => {
      const body = JSON.stringify({verb: "tap", card: "matched"});
      const posted = await fetch(url + "do", {method: "POST", mode: "no-cors", body}).then(() => "sent", () => "blocked");
      const events = new EventSource(url + "events");
      const heard = await new Promise((told) => { events.onmessage = () => told("heard"); events.onerror = () => told("nothing"); });
      events.close();
      return [posted, heard];
    }"""
    assert other.evaluate(tried, demo.url) == ["blocked", "nothing"]
    assert part(page, "tap").get_attribute("data-n") == taps


def test_no_card_of_the_city_is_named_in_the_page_or_in_anything_it_gets(opened: Open, demo: Demo) -> None:
    page = opened(demo.url)
    got: list[str] = []
    page.on("response", lambda answer: got.append(answer.text()) if "/events" not in answer.url else None)
    page.reload()
    at_rest(page)
    for card, outcome in OUTCOMES.items():
        if card != "card-brief":
            tap(page, card, outcome)
    got += [page.content(), demo.received.decode()]
    (cards,) = demo.folder.rglob("cards.csv")
    with cards.open() as lines:
        uids = [row["uid"] for row in csv.DictReader(lines)]
    whole = "".join(got).lower()
    assert [uid for uid in uids if uid in whole] == []


def test_a_page_that_is_left_open_finds_the_demo_that_is_started_anew(
    opened: Open, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("two")  # a short name: it holds sockets
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    first = Demo(folder, "--page-port", port)
    try:
        page = at_rest(opened(first.url))
    finally:
        first.stop()
    expect(part(page, "connection")).to_have_attribute("data-state", "away")
    second = Demo(folder, "--page-port", port)
    try:
        expect(part(page, "connection")).to_have_attribute("data-state", "live")
        tap(at_rest(page), "card-matched", "admitted")
    finally:
        second.stop()
