"""The turnstile's page on three sizes of screens, and after the demo's end."""

import re
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.browser.accessibility import barriers
from tests.browser.made_scenes import Made, a_scene, a_tap, made, show
from tests.browser.pages import AWAY, DESK, PANEL, PHONE, Pages, is_wider_than_its_window, shot
from tests.browser.visits import part
from turnike_demo.turnstile.page_server import PageServer

TALL_PHONE: ViewportSize = {"width": 390, "height": 844}
SMALL_DESK: ViewportSize = {"width": 1280, "height": 800}
TABLET: ViewportSize = {"width": 1024, "height": 768}
TARGET_PX = 44
CARDS = (
    "card-matched",
    "card-suspended",
    "card-unmatched",
    "card-brief",
    "card-staff",
    "card-phone",
)
TABS = ("inside", "taps", "city", "promises")
CUT_TEXT = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const style = getComputedStyle(element);
  const hides = /hidden|clip/.test(style.overflow)
    && !element.matches(".heard, .earlier, .gate, body, .bar");
  return element.clientHeight && hides && (element.scrollWidth > element.clientWidth + 1
    || element.scrollHeight > element.clientHeight + 1);
}).map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    opened = Pages(browser)
    yield opened
    opened.close()
    opened.check()


@pytest.fixture
def shown(pages: Pages) -> Iterator[Made]:
    with made(pages) as turnstile:
        turnstile.scene = busy()
        turnstile.publish()
        yield turnstile
        pages.close()  # while it is served: else each would report that it has lost it


def busy() -> dict[str, Any]:
    """Return a scene in which every switch has a result, and the texts are long."""
    scene, now = a_scene(), time.time()
    show(scene, "denied")
    scene |= {"tap": a_tap(9, "denied"), "taps": [a_tap(n, "denied") for n in range(8, 0, -1)]}
    scene |= {"tap_unix_s": now, "status_page": "http://127.0.0.1:1/"}
    scene["tray"][3] |= {"suspended": True, "ends_unix_s": now + 3_000}
    scene["facts"] = {
        "cut": {"since_unix_s": now - 3_700, "decided": 12, "waited": None},
        "pull": {"on_disk": 12, "kept": 12, "took_ms": 12_900},
        "lost": {"since_unix_s": now - 3_700, "city_knows": True, "took_ms": 9_900},
        "forced": {"count": 12, "noticed": False},
    }
    scene["network"], scene["reports"]["waiting"] = "cut", 12
    scene["board"] |= {"emergencies": 1, "pushed": "held"}
    scene["followed"] = {
        "card": {"name": "suspended", "list_version": 112, "took_ms": 59_900},
        "cut_off": {"list_version": 112, "took_ms": None},
    }
    scene["cut_off"]["asked"] = False
    return scene


def box(part: Locator) -> dict[str, Any]:
    """Wait until the part is visible; return its position in the window."""
    expect(part).to_be_visible()
    found = part.bounding_box()
    assert found is not None
    return {**found, "right": found["x"] + found["width"], "bottom": found["y"] + found["height"]}


def is_in_sight(page: Page, part: Locator) -> bool:
    """Whether all of it is in the window."""
    size, at = page.viewport_size, box(part)
    assert size is not None
    return bool(
        at["x"] >= 0
        and at["y"] >= 0
        and at["right"] <= size["width"]
        and at["bottom"] <= size["height"]
    )


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize("size", [PANEL, PHONE, TALL_PHONE, SMALL_DESK, DESK, TABLET])
def test_every_target_is_as_large_as_a_finger_and_no_text_is_cut(
    shown: Made, size: ViewportSize, language: str
) -> None:
    page = shown.open(language=language, size=size)
    for tab in TABS if size == PANEL else ("inside",):
        if size == PANEL:
            part(page, f"tab-{tab}").click()
        assert not is_wider_than_its_window(page)
        assert page.evaluate(CUT_TEXT) == []
        small = [
            f"{button.get_attribute('data-testid')} {at['width']:.0f}x{at['height']:.0f}"
            for button in page.locator("button:visible:not(.arms-button)").all()
            if (at := box(button))["height"] < TARGET_PX or at["width"] < TARGET_PX
        ]
        assert small == []
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            assert barriers(page) == []
        page.emulate_media(color_scheme="light")
        shot(page, f"busy-{language}-{size['width']}-{tab}")


@pytest.mark.parametrize("language", ["en", "tr"])
def test_on_seven_inches_all_of_it_is_there_without_scrolling(shown: Made, language: str) -> None:
    page = shown.open(language=language, size=PANEL)
    page.mouse.wheel(0, 1_000)
    scrolls = (
        "[...document.querySelectorAll('*')].filter((e) => e.scrollTop ||"
        " (/auto|scroll/.test(getComputedStyle(e).overflowY)"
        " && e.scrollHeight > e.clientHeight + 1))"
        ".map((e) => e.className)"
    )
    always = [part(page, name) for name in (*CARDS, "clash", "pull-early", "language", "sound")]
    always += [
        part(page, "display"),
        part(page, "reader"),
        part(page, "seen"),
        page.locator(".guide li button:visible"),
    ]
    of_tab = {
        "inside": [part(page, "tap"), *(part(page, f"stage-{name}") for name in ("radio", "wire"))],
        "taps": [part(page, "percentiles"), part(page, "status-page")],
        "city": [
            part(page, "list-version"),
            part(page, "city-received"),
            part(page, "suspend-staff"),
            part(page, "followed"),
        ],
        "promises": [
            part(page, name)
            for name in (
                "network",
                "plug",
                "reader-plug",
                "cut-off",
                "emergency",
                "push",
                "push-came",
            )
        ],
    }
    for tab, parts in of_tab.items():
        part(page, f"tab-{tab}").click()
        for each in (*always, *parts):
            assert is_in_sight(page, each), each
        assert page.evaluate(scrolls) == [], tab


@pytest.mark.parametrize("size", [PHONE, TALL_PHONE])
def test_on_a_phone_turnstile_and_cards_stay_in_sight_at_every_scroll_position(
    shown: Made, size: ViewportSize
) -> None:
    page = shown.open(size=size)
    for name in (".promises li:last-child", ".city", ".inside", ".foot"):
        page.locator(name).scroll_into_view_if_needed()
        for each in ("display", "reader", *CARDS, "clash", "pull-early"):
            assert is_in_sight(page, part(page, each)), (name, each)
    part(page, "network").scroll_into_view_if_needed()
    part(page, "network").click()  # turnstile and cards cover no button in sight
    assert shown.did() == {"verb": "Network", "up": True}


@pytest.mark.parametrize("size", [TALL_PHONE, PANEL, TABLET])
def test_by_touch_a_card_is_dragged_onto_the_reader_or_only_tapped(
    shown: Made, size: ViewportSize
) -> None:
    page = shown.open(size=size, touch=True)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *at: float) -> None:
        points = [dict(zip("xy", at, strict=True))] if at else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def middle(name: str) -> tuple[float, float]:
        at = box(part(page, name))
        return at["x"] + at["width"] / 2, at["y"] + at["height"] / 2

    def drag(to: tuple[float, float]) -> None:
        x, y = middle("card-staff")
        touch("touchStart", x, y)
        for step in range(1, 11):
            touch("touchMove", x + (to[0] - x) * step / 10, y + (to[1] - y) * step / 10)
        touch("touchEnd")

    drag(middle("display"))  # dropped elsewhere, it is not read
    drag(middle("reader"))
    assert shown.did() == {"verb": "Tap", "card": "staff"}
    part(page, "card-unmatched").tap()
    assert shown.did() == {"verb": "Tap", "card": "unmatched"}
    assert page.evaluate("scrollY") == 0
    expect(page.locator(".dragged")).to_have_count(0)


NUMBER_OF_NEXT_STEP = (
    "getComputedStyle(document.querySelector('.guide li[data-state=next]'), '::before').content"
)


@pytest.mark.parametrize("size", [PHONE, PANEL, DESK])
def test_each_step_of_the_first_minute_is_done_by_its_own_button(
    shown: Made, size: ViewportSize
) -> None:
    scene = shown.scene = a_scene()
    shown.publish()
    page = shown.open(size=size)
    own = page.locator(".guide li[data-state=next] button:visible")

    def press(verb: dict[str, object]) -> None:
        expect(own).to_have_count(1)
        expect(own).to_be_enabled()
        assert is_in_sight(page, own)
        own.focus()
        page.keyboard.press("Enter")
        assert shown.did() == verb

    press({"verb": "Tap", "card": "matched"})
    scene["tap"] = a_tap(1, "admitted")
    shown.publish()
    expect(part(page, "guide")).to_have_attribute("data-done", "1")
    assert page.evaluate(NUMBER_OF_NEXT_STEP) == '"2"'
    # A visitor with a keyboard goes on at the next step.
    expect(part(page, "guide-2")).to_be_focused()
    press({"verb": "Tap", "card": "suspended"})
    scene["tap"] = a_tap(2, "denied")
    shown.publish()
    expect(part(page, "guide")).to_have_attribute("data-done", "2")
    press({"verb": "Network", "up": False})
    scene["network"], scene["reports"]["waiting"] = "cut", 1
    scene["facts"]["cut"] = {"since_unix_s": time.time(), "decided": 0, "waited": None}
    shown.publish()
    expect(own).to_have_text("Lay the red card")
    press({"verb": "Tap", "card": "suspended"})
    scene["tap"] = a_tap(3, "denied")
    shown.publish()
    expect(part(page, "guide")).to_have_attribute("data-done", "3")
    press({"verb": "Plug", "is_in": False})
    scene["lane"]["plug"] = "pulled"
    shown.publish()
    expect(own).to_have_text("Put the plug in")
    press({"verb": "Plug", "is_in": True})
    scene["lane"]["plug"] = "starting"
    shown.publish()
    expect(own).to_be_disabled()
    scene["lane"]["plug"] = "in"
    scene["facts"]["pull"] = {"on_disk": 1, "kept": 1, "took_ms": 900}
    shown.publish()
    expect(part(page, "guide")).to_have_attribute("data-done", "4")
    press({"verb": "Network", "up": True})


@pytest.mark.parametrize("size", [PHONE, PANEL, DESK])
def test_the_stages_of_a_tap_always_have_the_same_height(shown: Made, size: ViewportSize) -> None:
    page = shown.open(size=size)
    tap, heights = page.locator(".this-tap"), set()
    waited = a_tap(10, "admitted") | {
        "stages": [{"name": "radio", "us": 9}, {"name": "wait", "us": 900_000}]
    }
    outcomes = ("admitted", "denied", "try_again", "unsupported", "admitted_with_notice")
    taps = [None, *(a_tap(n, outcome) for n, outcome in enumerate(outcomes, 20)), waited]
    for shown_tap, is_past in product(taps, (False, True)):
        shown.scene |= {"tap": shown_tap, "tap_is_past": is_past, "tap_unix_s": time.time() - 7_000}
        shown.publish()
        expect(part(page, "tap")).to_have_attribute(
            "data-n", str(shown_tap["n"] if shown_tap else 0)
        )
        expect(page.locator(".inside")).to_have_attribute(
            "data-past", str(is_past and shown_tap is not None).lower()
        )
        heights.add((box(tap)["height"], page.locator(".stages li").count()))
    assert len(heights) == 1


def test_after_the_demo_s_end_the_page_shows_how_to_start_it_and_goes_on_by_itself(
    pages: Pages, browser: Browser
) -> None:
    del browser
    pages.excuse(AWAY)
    with made(pages) as shown:
        page, turkish = shown.open(size=TALL_PHONE), shown.open(language="tr", size=PANEL)
        port = int(shown.turnstile.url.rsplit(":", 1)[1].strip("/"))
        expect(part(page, "gone")).to_be_hidden()
    for each, words in ((page, "The demo has ended"), (turkish, "Demo sona erdi")):
        expect(part(each, "gone")).to_be_visible()
        expect(part(each, "gone")).to_contain_text(re.compile(f"{words}.*make demo"))
        assert is_in_sight(each, part(each, "gone"))
        assert "grayscale" in each.evaluate(
            "getComputedStyle(document.querySelector('main')).filter"
        )
        each.keyboard.press("Tab")
        for _ in range(4):  # the old content cannot get the focus
            assert each.evaluate("document.activeElement.closest('main, .guide')") is None
            each.keyboard.press("Tab")
    shot(page, "gone-en-390")
    shot(turkish, "gone-tr-800")
    again = PageServer(port)
    try:
        again.publish(a_scene() | {"run": "the next"})
        for each in (page, turkish):
            expect(part(each, "gone")).to_be_hidden()
            expect(each.locator("main[inert]")).to_have_count(0)
    finally:
        again.close()
