"""Every sentence about the gate on the turnstile's page follows what was measured."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.made_scenes import Made, a_scene, a_tap, made
from tests.browser.pages import Pages
from tests.browser.sentences import SENTENCES, is_cut, pull, pulled, reports, restored
from tests.browser.visits import part

RUNNING = re.compile(
    r"\b[08] (sn?)\b(?! sonra)"
)  # seconds that go by while the scene is on its way


@pytest.fixture(scope="module")
def shown(browser: Browser) -> Iterator[Made]:
    """A turnstile whose scene each test sets."""
    pages = Pages(browser)
    with made(pages) as turnstile:
        yield turnstile
        pages.close()
        pages.check()


@pytest.fixture(scope="module")
def both(shown: Made) -> tuple[Page, Page]:
    """The turnstile's page in English and in Turkish."""
    return shown.open(), shown.open(language="tr")


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_each_sentence_is_what_was_measured(
    shown: Made, both: tuple[Page, Page], number: int
) -> None:
    change, name, *words = SENTENCES[number]
    shown.scene = a_scene()
    change(shown.scene)
    shown.publish()
    for page, text in zip(both, words, strict=True):
        # A clock may count some seconds while the scene is on its way.
        expect(part(page, name)).to_have_text(as_pattern(text), use_inner_text=False)


def as_pattern(text: str) -> "str | re.Pattern[str]":
    """Return the text as a pattern that allows any number of seconds where a clock counts."""
    running = RUNNING.sub(r"\\d+ \1", re.escape(text).replace(r"\ ", " "))
    return text if running == re.escape(text).replace(r"\ ", " ") else re.compile(f"^{running}$")


def test_an_untouched_switch_has_no_sentence(shown: Made, both: tuple[Page, Page]) -> None:
    shown.scene = a_scene()
    shown.publish()
    for page in both:
        for switch in ("network", "plug", "reader-plug", "cut-off", "emergency", "push"):
            expect(part(page, f"{switch}-came")).to_have_text("")


@pytest.mark.parametrize(
    ("timing", "words"), [("real", "with a real chip's times"), ("ideal", "as fast as possible")]
)
def test_how_radio_and_wire_are_simulated_is_what_the_demo_was_started_with(
    shown: Made, both: tuple[Page, Page], timing: str, words: str
) -> None:
    shown.scene = a_scene() | {
        "tap": a_tap(1, "denied"),
        "timing": timing,
        "tap_unix_s": time.time(),
    }
    shown.publish()
    expect(part(both[0], "tap")).to_contain_text(
        "Refused in 13.2 ms2.7 ms of it in the gate's program; radio and wire are simulated,"
        f" {words}."
    )


@pytest.mark.parametrize(
    ("kind", "name"), [("pn532", "PN532"), ("rcs380", "RC-S380"), ("pcsc", "PC/SC")]
)
def test_the_page_says_which_reader_works(
    shown: Made, both: tuple[Page, Page], kind: str, name: str
) -> None:
    shown.scene = a_scene() | {"reader_kind": kind}
    shown.publish()
    for page in both:
        expect(part(page, "reader-kind")).to_contain_text(name)


def test_the_display_has_the_board_s_own_texts(shown: Made, both: tuple[Page, Page]) -> None:
    shown.scene = a_scene()
    shown.scene["board"] |= {"text_tr": "Bugün bayram", "text_en": "A holiday"}
    shown.publish()
    for page in both:
        expect(part(page, "display")).to_contain_text("Bugün bayram")
        expect(part(page, "display")).to_contain_text("A holiday")


def test_the_stages_of_an_earlier_tap_are_marked_as_past(
    shown: Made, both: tuple[Page, Page]
) -> None:
    page = both[0]
    title, inside = page.locator(".inside h2"), page.locator(".inside")
    shown.scene = a_scene() | {"tap": a_tap(1, "denied"), "tap_unix_s": time.time() - 40}
    for change, words, is_past in (
        ({}, "Inside the last tap, 4", "false"),
        ({"tap_is_past": True}, "Inside the previous tap, 4", "true"),
        (
            {"tap_is_past": False, "lane": {**shown.scene["lane"], "plug": "pulled"}},
            "Inside the previous tap, 4",
            "true",
        ),
        (
            {
                "lane": shown.scene["lane"],
                "tap": a_tap(2, "denied"),
                "tap_unix_s": time.time() + 30,
            },
            "Inside this tap",
            "false",
        ),
    ):
        shown.scene |= change
        shown.publish()
        expect(title).to_contain_text(words)
        expect(inside).to_have_attribute("data-past", is_past)


def the_waiting_report_arrives(shown: Made, page: Page) -> None:
    """The step is done once all that waited is in the city, and none is missing there."""
    scene = shown.scene
    scene["network"] = "up"
    for counts, done in (
        (reports(1, 5, 5), "4"),
        (reports(0, 6, 5), "4"),
        (reports(missing=1), "4"),
        (reports(), "5"),
    ):
        restored(scene, counts, 1)
        shown.publish()
        expect(part(page, "reports-waiting")).to_have_attribute(
            "data-count", str(counts["waiting"])
        )
        expect(part(page, "city-received")).to_have_attribute(
            "data-count", str(counts["city_received"])
        )
        expect(part(page, "guide")).to_have_attribute("data-done", done)


def test_each_step_of_the_first_minute_shows_what_was_measured(
    shown: Made, both: tuple[Page, Page]
) -> None:
    page, scene = both[0], a_scene()
    shown.scene = scene
    scene["run"] = "another demo"
    shown.publish()
    steps = page.locator(".guide li")
    expect(part(page, "guide")).to_have_attribute("data-done", "0")
    scene["tap"] = a_tap(1, "admitted")
    shown.publish()
    expect(steps.nth(0)).to_contain_text("Admitted in 10.8 ms.")
    scene["tap"] = a_tap(2, "try_again")
    shown.publish()
    expect(part(page, "tap")).to_have_attribute("data-n", "2")
    expect(part(page, "guide")).to_have_attribute("data-done", "1")
    scene["tap"] = a_tap(3, "denied")
    shown.publish()
    expect(steps.nth(1)).to_contain_text("Refused in 13.2 ms.")
    is_cut(scene, 1, 1)
    scene["tap"] = a_tap(4, "denied")
    shown.publish()
    expect(steps.nth(2)).to_contain_text("Refused in 13.2 ms, without a network.")
    pulled(scene, pull(1, 0, 1_900), "in")
    shown.publish()
    expect(part(page, "plug-came")).to_contain_text("1 lost!")
    # One was lost, so the step is not done.
    expect(steps.nth(3)).to_have_attribute("data-state", "next")
    pulled(scene, pull(1, 1, 1_900), "in")
    shown.publish()
    expect(steps.nth(3)).to_contain_text("1 report before, none of them lost.")
    the_waiting_report_arrives(shown, page)
    expect(steps.nth(4)).to_contain_text("The one that waited is in the city: nothing lost.")
    expect(steps.nth(5)).to_have_text("All five seen. The city has 6 of 6 reports.")
    scene["reports"] = reports(missing=1)
    shown.publish()
    expect(steps.nth(5)).to_have_text(
        "All five seen. The city has 6 of 6 reports. Missing in the city: 1!"
    )
