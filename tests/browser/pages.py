"""Pages in a real browser, each in a context of its own, and all that they were told: what they asked, what was answered, each event.

pages = Pages(browser)
page = pages.open(url, language="tr", dark=True, size=PHONE)
pages.told(page)        # every body and every event that it got, and its document
pages.check()           # fails with what any of them did wrong

A page does wrong when it logs an error, throws one, or asks another machine. What a test brings about on purpose is excused by the test.
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
AWAY = r"net::ERR_"  # excuses what a browser logs of a server that has gone
REFUSED = r"status of 409"  # likewise of a verb that cannot be done now


class Told:
    """What one page got."""

    def __init__(self, page: Page) -> None:
        self.answers: list[Response] = []
        self.events: list[str] = []
        page.on("response", lambda answer: self.answers.append(answer))  # noqa: PLW0108 — Playwright marks its listeners, and a built-in cannot be marked
        session = page.context.new_cdp_session(page)
        session.on(
            "Network.eventSourceMessageReceived", lambda event: self.events.append(event["data"])
        )
        session.send("Network.enable")

    def text(self) -> str:
        """All of it."""
        return "\n".join([*self.bodies(), *self.events])

    def bodies(self) -> Iterator[str]:
        """Of all answers that have ended, with their heads."""
        for answer in self.answers:
            yield f"{answer.url} {answer.status} {answer.headers}"
            if answer.status != 204 and "event-stream" not in answer.headers.get(
                "content-type", ""
            ):
                yield answer.body().decode()


class Pages:
    """All that one test, or one file of tests, opens."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._told: WeakKeyDictionary[Page, Told] = WeakKeyDictionary()
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
        """A page at this address, in a browser that speaks this language. `script` runs in it before its own."""
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
        page.on("console", self._hear)
        page.on("websocket", lambda socket: self._wrong.append(f"opened {socket.url}"))
        self._told[page] = Told(page)
        page.goto(url)
        return page

    def told(self, page: Page) -> str:
        """What it got, and what it has made of it."""
        return self._told[page].text() + page.content()

    def events(self, page: Page) -> list[str]:
        """The data of each event that it got."""
        return self._told[page].events

    def excuse(self, pattern: str) -> None:
        """From now on, until `check`, an error that is logged with this in it is none."""
        self._excused = re.compile(pattern)

    def check(self) -> None:
        """Fails with what a page did wrong since it was asked last."""
        wrong, self._wrong = self._wrong, []
        self._excused = re.compile(r"(?!)")
        if wrong:
            raise AssertionError("a page did wrong:\n" + "\n".join(wrong))

    def close(self) -> None:
        """Close them all."""
        while self._contexts:
            self._contexts.pop().close()

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"} and not self._excused.search(said.text):
            self._wrong.append(f"{said.text} ({said.location.get('url')})")

    def _refuse(self, route: Route) -> None:
        self._wrong.append(f"asked {route.request.url}")
        with suppress(Error):  # the page has gone meanwhile
            route.abort()


def shot(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture of it under build/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)


def is_wider_than_its_window(page: Page) -> bool:
    """Whether it has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
