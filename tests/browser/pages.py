"""Pages in a real browser, each in a context of its own, with all answers and events they got.

pages = Pages(browser)
page = pages.open(url, language="tr", dark=True, size=PHONE)
pages.received(page)    # every body and every event that it got, and its document
pages.check()           # fails with the errors of any page

A page's errors: it logs one, throws one, or asks another machine. A test excuses those that it
causes on purpose.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from weakref import WeakKeyDictionary

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Response,
    Route,
    ViewportSize,
)

LIMIT_MS = 60_000  # a shared machine may stall; a test that passes never waits so long
PHONE: ViewportSize = {"width": 360, "height": 740}
PANEL: ViewportSize = {"width": 800, "height": 480}  # seven inches
DESK: ViewportSize = {"width": 1440, "height": 900}
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
ELSEWHERE = re.compile(r"^(?!data:|blob:)(?!http://(127\.0\.0\.1|localhost)[:/])")
AWAY = r"net::ERR_"  # excuses what a browser logs about a server that has gone
REFUSED = r"status of 409"  # likewise about a verb that was refused


class Received:
    """The answers and events that one page got."""

    def __init__(self, page: Page) -> None:
        self.answers: list[Response] = []
        self.events: list[str] = []
        # A lambda, since Playwright marks its listeners, and a built-in cannot be marked.
        page.on("response", lambda answer: self.answers.append(answer))  # noqa: PLW0108
        session = page.context.new_cdp_session(page)
        session.on(
            "Network.eventSourceMessageReceived", lambda event: self.events.append(event["data"])
        )
        session.send("Network.enable")

    def text(self) -> str:
        """Return all of it as text."""
        return "\n".join([*self.bodies(), *self.events])

    def bodies(self) -> Iterator[str]:
        """Yield all answers that have ended, with their headers."""
        for answer in self.answers:
            yield f"{answer.url} {answer.status} {answer.headers}"
            if answer.status != 204 and "event-stream" not in answer.headers.get(
                "content-type", ""
            ):
                yield answer.body().decode()


class Pages:
    """The pages of one test, or of one file of tests."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._received: WeakKeyDictionary[Page, Received] = WeakKeyDictionary()
        self._wrong: list[str] = []
        self._excused = re.compile(r"(?!)")

    def open(
        self,
        url: str,
        *,
        language: str = "en",
        dark: bool = False,
        size: ViewportSize = DESK,
        script: str = "",
        touch: bool = False,
    ) -> Page:
        """Open a page; `language` is the browser's, and `script` runs before the page's own."""
        context = self._browser.new_context(
            locale={"en": "en-GB", "tr": "tr-TR"}[language],
            color_scheme="dark" if dark else "light",
            viewport=size,
            has_touch=touch,
        )
        self._contexts.append(context)
        context.set_default_timeout(LIMIT_MS)
        context.route(ELSEWHERE, self._refuse)
        context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: self._wrong.append(f"{error}"))
        page.on("console", self._take_message)
        page.on("websocket", lambda socket: self._wrong.append(f"opened {socket.url}"))
        self._received[page] = Received(page)
        page.goto(url)
        return page

    def received(self, page: Page) -> str:
        """Return what the page got, and its document."""
        return self._received[page].text() + page.content()

    def events(self, page: Page) -> list[str]:
        """Return the data of each event that the page got."""
        return self._received[page].events

    def excuse(self, pattern: str) -> None:
        """Ignore logged errors that match, until `check`."""
        self._excused = re.compile(pattern)

    def check(self) -> None:
        """Fail with the errors since the last call."""
        wrong, self._wrong = self._wrong, []
        self._excused = re.compile(r"(?!)")
        if wrong:
            raise AssertionError("errors of a page:\n" + "\n".join(wrong))

    def close(self) -> None:
        """Close all pages."""
        while self._contexts:
            self._contexts.pop().close()

    def _take_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not self._excused.search(message.text):
            self._wrong.append(f"{message.text} ({message.location.get('url')})")

    def _refuse(self, route: Route) -> None:
        self._wrong.append(f"asked {route.request.url}")
        with suppress(Error):  # the page was closed meanwhile
            route.abort()


def shot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture of the page under build/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


def is_wider_than_its_window(page: Page) -> bool:
    """Return whether the page has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


_CUT = """() => [
    ...[...document.querySelectorAll(".scroll, td, th, li, h2, h3, p")]
        .filter((each) => each.scrollWidth > each.clientWidth + 1
            && getComputedStyle(each).display !== "inline")
        .map((each) => each.textContent),
    ...[...document.querySelectorAll(".chart text")]
        .filter((each) => {
            const [inner, outer] = [each, each.ownerSVGElement]
                .map((one) => one.getBoundingClientRect());
            return inner.left < outer.left - 1 || inner.right > outer.right + 1;
        })
        .map((each) => each.textContent),
]"""
_SMALLEST_PX = """() => Math.min(...[...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility()
        && [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .map((each) => parseFloat(getComputedStyle(each).fontSize)
        * (each.ownerSVGElement?.getScreenCTM().a ?? 1)))"""


def cut(page: Page) -> list[str]:
    """Return the texts of tables and cells that are cut off, and of words outside their chart."""
    return list(page.evaluate(_CUT))


def smallest_letters_px(page: Page) -> float:
    """Return the size of the smallest letters on the screen, a drawing's at its scale."""
    return float(page.evaluate(_SMALLEST_PX))
