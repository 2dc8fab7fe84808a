"""A turnstile's page without a demo behind it: the test sets what was measured.

with made(pages) as shown:
    shown.scene["reports"]["waiting"] = 2
    shown.publish()
"""

import copy
import select
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.pages import DESK, LIMIT_MS, Pages
from turnike_demo.turnstile.page_server import PageServer

TRAY = ("matched", "suspended", "unmatched", "brief", "staff", "phone")
STAGES = {"radio": 9_100, "decide": 219, "report": 2_400, "tell": 61, "wire": 1_400}
LOOKS = {
    "ready": ("Kartınızı okutunuz", "Tap your card", "amber", None),
    "admitted": ("İyi yolculuklar", "Have a good trip", "green", "one beep"),
    "denied": ("Kartınız kullanıma kapalıdır", "This card cannot be used", "red", "low, broken"),
    "out_of_service": ("Hizmet dışı", "Out of service", "off", None),
}


def a_tap(n: int, outcome: str) -> dict[str, Any]:
    """Return a tap with this outcome, each of its stages with a time."""
    stages = {**STAGES, "report": STAGES["report"] if outcome == "denied" else 0}
    return {
        "n": n,
        "token": "4f1a",
        "outcome": outcome,
        "total_us": sum(stages.values()),
        "stages": [{"name": name, "us": us} for name, us in stages.items()],
    }


def a_scene() -> dict[str, Any]:
    """Return the scene of a demo at rest, in which nothing was done."""
    now = time.time()
    board = {
        "linked": True,
        "date": None,
        "arms": "locked",
        "passed": 0,
        "forced": 0,
        "walked_free": 0,
    }
    board |= {"pushed": "", "emergency": False, "emergencies": 0, "walked_since": 0}
    figures = {"p50": 212, "p99": 283, "p999": 283, "count": 5}
    made = {
        "run": "a run",
        "timing": "real",
        "reader_kind": "pn532",
        "tap": None,
        "taps": [],
        "tap_unix_s": 0.0,
        "tap_is_past": False,
        "network": "up",
        "courier": "fresh",
        "story": [],
        "status_page": None,
        "board": board,
        "reader": {"plugged": True, "cards": [], "left_early": 0},
        "lane": {"up": True, "reader": "ready", "board": "ready", "plug": "in"},
        "percentiles": {"decided_us": figures, "told_us": figures},
        "list": {"version": 4, "issued_unix_s": now - 8, "cards": 25_065, "state": "fresh"},
        "tray": [
            {"name": name, "suspended": name == "suspended", "asked": None, "ends_unix_s": None}
            for name in TRAY
        ],
        "reports": {"waiting": 0, "delivered": 0, "city_received": 0, "city_missing": 0},
        "cut_off": {"in_force": True, "unix_s": 1_610_571_600, "asked": None},
        "facts": {
            "cut": None,
            "pull": None,
            "lost": None,
            "forced": {"count": 0, "noticed": False},
        },
        "followed": {"card": None, "cut_off": None},
    }
    show(made, "ready")
    return made


def show(scene: dict[str, Any], outcome: str) -> None:
    """Set what the board shows."""
    text_tr, text_en, lamp, tone = LOOKS[outcome]
    scene["board"] |= {
        "shows": outcome,
        "text_tr": text_tr,
        "text_en": text_en,
        "lamp": lamp,
        "tone": tone,
    }


class Made:
    """A page server, and the scene that it sends to its pages."""

    def __init__(self, turnstile: PageServer, pages: Pages) -> None:
        self.turnstile = turnstile
        self._pages = pages
        self.scene = a_scene()
        self.publish()

    def open(
        self,
        *,
        language: str = "en",
        dark: bool = False,
        size: ViewportSize = DESK,
        touch: bool = False,
    ) -> Page:
        """Open a page, and wait until it has the scene."""
        page = self._pages.open(
            self.turnstile.url, language=language, dark=dark, size=size, touch=touch
        )
        expect(page.locator("body")).to_have_attribute("data-connection", "live")
        expect(page.locator("[data-switch=network] button")).to_be_enabled()
        return page

    def publish(self) -> None:
        """Send every page the scene as it is now."""
        self.turnstile.publish(copy.deepcopy(self.scene))

    def did(self) -> dict[str, Any]:
        """Return the next verb that a page sends, answered as done; nothing changes."""
        end_s = time.monotonic() + LIMIT_MS / 1_000
        while time.monotonic() < end_s:
            select.select([self.turnstile], [], [], 1)
            for event in self.turnstile.events():
                if event.is_("visitor", "verb"):
                    event.line["answer"]("")
                    verb = event.line["verb"]
                    return {
                        "verb": type(verb).__name__,
                        **{n: getattr(verb, n) for n in verb.__struct_fields__},
                    }
        raise AssertionError("the page has sent nothing")


@contextmanager
def made(pages: Pages) -> Iterator[Made]:
    """Serve a turnstile's page for the length of a block."""
    with closing(PageServer(0)) as turnstile:
        yield Made(turnstile, pages)
