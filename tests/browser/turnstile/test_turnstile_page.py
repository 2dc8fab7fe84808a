"""The demo's turnstile in a real browser: what a visitor does, and what the page shows of the gate.

The tests at the end share one page: a page that opens would suspend the amber card again, and its
minute has to end while they run.
"""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import barriers
from tests.browser.other_site import NAMES, NOTHING, tried
from tests.browser.pages import (
    AWAY,
    DESK,
    PANEL,
    PHONE,
    is_wider_than_its_window,
    shot,
)
from tests.browser.turnstile.outcomes import OUTCOMES
from tests.browser.visits import (
    Visit,
    at_rest,
    cards_named,
    is_ready,
    mark,
    part,
    saw,
    tap,
    tapped_otherwise,
    taps,
    told_of,
)

DISPLAYED = {
    "admitted": ("İyi yolculuklar", "Have a good trip"),
    "denied": ("Kartınız kullanıma kapalıdır", "This card cannot be used"),
    "try_again": ("Tek kart okutunuz, tekrar deneyiniz", "One card, try again"),
    "unsupported": ("Bu kart desteklenmiyor", "Card not supported"),
}


WORDS = {
    "admitted": {"en": "Admitted in", "tr": "Geçti:"},
    "denied": {"en": "Refused in", "tr": "Geçemedi:"},
    "try_again": {"en": "No verdict: try again in", "tr": "Karar yok: tekrar:"},
    "unsupported": {"en": "Not supported in", "tr": "Desteklenmiyor:"},
}


BUTTONS = {
    "network",
    "plug",
    "reader-plug",
    "cut-off",
    "emergency",
    "push",
    "language",
    "sound",
    "status-page",
}


@pytest.mark.usefixtures("page")
def test_each_card_gives_its_outcome_in_both_languages_on_every_page(visit: Visit) -> None:
    english, turkish = visit.open(), visit.open(language="tr")
    expect(part(english, "reinstate-brief")).to_be_enabled()
    expect(english.locator("[data-item=brief] .state")).to_contain_text(
        re.compile(r"suspended · ends in [01]:\d\d")
    )
    expect(turkish.locator("[data-item=brief] .state")).to_contain_text("askıda · bitmesine")
    for card, outcome in OUTCOMES.items():
        before, since = taps(turkish), mark(turkish)
        state = tap(english, card, outcome)
        assert (state["tr"], state["en"]) == DISPLAYED[outcome]
        assert state["lamp"] == outcome
        shot(english, f"turnstile-en-{card.removeprefix('card-')}")
        assert saw(turkish, since, outcome)["lamp"] == outcome
        told_of(turkish, before, outcome)
        assert part(turkish, "tap").get_attribute("data-n") == taps(english)
        for language, shown in (("en", english), ("tr", turkish)):
            expect(part(shown, "tap")).to_contain_text(WORDS[outcome][language])
        if card == "card-suspended":
            shot(english, "turnstile")
    shot(turkish, "turnstile-tr", whole=True)
    assert barriers(turkish) == []
    expect(part(english, "guide")).to_have_attribute("data-done", "2")


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("language", ["en", "tr"])
def test_it_fits_and_has_no_barriers(visit: Visit, language: str) -> None:
    shown = visit.open(language=language, size=PHONE)
    for size in (PHONE, PANEL, DESK):
        shown.set_viewport_size(size)
        for theme in ("light", "dark"):
            shown.emulate_media(color_scheme=theme)
            assert not is_wider_than_its_window(shown)
            shot(shown, f"turnstile-{language}-{size['width']}-{theme}", whole=True)
            if size != PANEL:
                assert barriers(shown) == []


@pytest.mark.usefixtures("page")
def test_everything_is_reached_and_done_with_the_keyboard_alone(visit: Visit) -> None:
    shown = visit.open()
    reached: list[str] = []
    while (at := focused(shown)) not in reached:
        reached.append(at)
        shown.keyboard.press("Tab")
    wanted = {*OUTCOMES, "pull-early", *BUTTONS, "suspend-matched", "reinstate-suspended"}
    assert wanted - set(reached) == set()
    focus(shown, "card-suspended")
    before, since = taps(shown), mark(shown)
    shown.keyboard.press("Enter")
    saw(shown, since, "denied")
    told_of(shown, before, "denied")
    tapped_otherwise(shown, "card-suspended")
    focus(shown, "emergency")
    shown.keyboard.press("Space")
    expect(part(shown, "arms")).to_have_attribute("data-arms", "free")
    shown.keyboard.press("Space")
    at_rest(shown)


def focused(page: Page) -> str:
    """Return the element with the focus; its outline must be visible."""
    name, outline = page.evaluate(
        "[document.activeElement.dataset.testid ?? document.activeElement.tagName,"
        " getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert name == "BODY" or outline != "none", name
    return str(name)


def focus(page: Page, name: str) -> None:
    """Press Tab until this element has the focus."""
    for _ in range(60):
        if focused(page) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached")


@pytest.mark.usefixtures("page")
def test_the_language_is_kept_and_the_tone_is_off_until_it_is_turned_on(visit: Visit) -> None:
    shown = visit.open()
    expect(part(shown, "sound")).to_have_attribute("aria-pressed", "false")
    part(shown, "sound").click()
    expect(part(shown, "sound")).to_have_attribute("aria-pressed", "true")
    part(shown, "language").click()
    expect(shown.locator("html")).to_have_attribute("lang", "tr")
    shown.reload()
    expect(shown.locator("html")).to_have_attribute("lang", "tr")
    expect(part(shown, "connection")).to_have_text("Canlı")


@pytest.mark.usefixtures("page")
def test_the_gate_s_own_status_page_is_linked_and_knows_both_lanes(visit: Visit) -> None:
    shown = visit.open()
    part(shown, "status-page").click()
    expect(shown.locator(".lane[data-up=true]")).to_have_count(2)
    expect(part(shown, "verdict")).to_have_attribute("data-well", "true")
    shot(shown, "status-of-the-demo", whole=True)
    assert cards_named(visit.uids(), shown.content()) == set()


@pytest.mark.parametrize("name", NAMES)
def test_another_site_s_page_can_neither_act_nor_read_nor_frame_the_page(
    visit: Visit, page: Page, browser: Browser, name: str
) -> None:
    forced = visit.demo.until(bool)["board"]["forced"]
    came, statuses, framed = tried(browser, name, visit.demo.url, {"verb": "push"})
    assert came == NOTHING
    assert statuses <= {403}
    assert "Turnike" not in framed
    own = page.evaluate(
        "(headers) => fetch('/do', {method: 'POST', headers, body: '{\"verb\": \"push\"}'})"
        ".then((answer) => answer.status)",
        {"content-type": "application/json"},
    )
    assert own == 204, "the page itself can do what the other one tried"
    visit.demo.until(lambda scene: scene["board"]["forced"] > forced)
    assert visit.demo.until(bool)["board"]["forced"] == forced + 1


def test_no_card_s_uid_is_in_anything_that_the_page_received_or_shows(
    visit: Visit, page: Page
) -> None:
    tap(is_ready(page), "card-suspended", "denied")
    received = visit.pages.received(page)
    assert '"name":"suspended"' in received
    assert cards_named(visit.uids(), received) == set()
    assert re.findall(r"\b0[48][0-9a-f]{6}(?:[0-9a-f]{6})?\b", received.lower()) == [], (
        "nor a number that a phone has shown"
    )


def test_an_open_page_finds_the_demo_that_is_started_again(visit: Visit, page: Page) -> None:
    def is_shown() -> None:
        expect(part(page, "connection")).to_have_attribute("data-state", "away")
        expect(part(page, "connection")).to_have_text("No connection to the demo. Trying again …")
        shot(page, "turnstile-demo-away")

    visit.demo.do("network", up=False)
    expect(part(page, "network-came")).to_contain_text("Cut for")
    visit.pages.excuse(AWAY)
    visit.restart(is_shown)
    expect(part(page, "connection")).to_have_attribute("data-state", "live")
    is_ready(page)
    for switch in ("network", "plug", "reader-plug"):
        expect(part(page, f"{switch}-came")).to_have_text(
            ""
        )  # nothing of the earlier demo is shown
    expect(part(page, "guide")).to_have_attribute("data-done", "0")
    tap(is_ready(page), "card-matched", "admitted")
    assert taps(page) == "1"
