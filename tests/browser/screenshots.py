"""`make screenshots`: takes the pictures in docs/, in both languages, themes and three sizes.

The turnstile's page shows the real demo in the third step of the first minute: the green card was
admitted, the red one has just been refused. The status page is of the same gate's console.
"""

import base64
import re
import tempfile
from contextlib import suppress
from itertools import product
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import chromium
from tests.browser.pages import LIMIT_MS
from tests.browser.visits import part
from tests.processes.turnstile_rig import Page as Demo
from tests.processes.turnstile_rig import SceneSeen, playing

DOCS = Path(__file__).parents[2] / "docs"
SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "panel": {"width": 800, "height": 480},
    "desk": {"width": 1280, "height": 800},
}
README: ViewportSize = {"width": 1440, "height": 900}
TRIES = 5
ANSWER_MS = 10_000
QUALITY = 82  # of WebP: letters stay sharp, and all pictures together stay small


def main() -> None:
    """Take all pictures."""
    (DOCS / "screens").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        playing(Path(folder), "--timing", "real", "--cards", "100000") as demo,
        sync_playwright() as playwright,
        chromium(playwright, Path(folder)) as browser,
    ):
        expect.set_options(timeout=LIMIT_MS)
        for (name, size), language, theme in product(
            [("readme", README), *SIZES.items()], ("en", "tr"), ("light", "dark")
        ):
            if name == "readme" and (language, theme) != ("en", "light"):
                continue
            context = browser.new_context(
                viewport=size,
                locale={"en": "en-GB", "tr": "tr-TR"}[language],
                color_scheme="dark" if theme == "dark" else "light",
            )
            page = context.new_page()
            page.goto(demo.url)
            refused(demo, page)
            if name == "readme":
                page.screenshot(path=DOCS / "turnstile.png")
            else:
                keep(page, DOCS / "screens" / f"turnstile-{name}-{language}-{theme}.webp")
                keep(status_page(page), DOCS / "screens" / f"status-{name}-{language}-{theme}.webp")
            context.close()


def refused(demo: Demo, page: Page) -> None:
    """Lay the green card and then the red one; return while the display refuses it."""
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    for card, outcome, done in (("matched", "admitted", "1"), ("suspended", "denied", "2")):
        for _ in range(TRIES):
            demo.until(is_at_rest)
            expect(page.locator(".walker")).to_have_count(0)
            expect(part(page, "display")).to_have_attribute("data-outcome", "ready")
            part(page, f"card-{card}").click()
            with suppress(
                AssertionError
            ):  # on a busy machine, the hand gives up after three seconds
                expect(part(page, "guide")).to_have_attribute("data-done", done, timeout=ANSWER_MS)
                break
        expect(part(page, "display")).to_have_attribute("data-outcome", outcome)
        expect(part(page, "stage-wire")).to_have_attribute("data-us", re.compile(r"\d"))
    expect(part(page, "reader")).to_have_attribute("data-cards", "")


def status_page(page: Page) -> Page:
    """Open the gate's status page in the same window, and wait until it shows the lanes."""
    page.goto(str(part(page, "status-page").get_attribute("href")))
    expect(part(page, "verdict")).to_have_attribute("data-well", re.compile("true|false"))
    expect(page.locator(".taps tbody tr").first).to_be_visible()
    return page


def is_at_rest(scene: SceneSeen) -> bool:
    """Return whether the gate asks for a card, and no report is on the way."""
    reports, board = scene["reports"], scene["board"]
    is_there = reports["waiting"] == 0 and reports["city_received"] == reports["delivered"]
    return bool(
        is_there
        and board["shows"] == "ready"
        and board["arms"] == "locked"
        and scene["list"]["cards"]
    )


def keep(page: Page, path: Path) -> None:
    """Keep a picture of the window as WebP."""
    session = page.context.new_cdp_session(page)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    path.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main()
