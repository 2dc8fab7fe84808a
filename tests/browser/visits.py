"""A visit to the demo's turnstile: a running demo, and a page open through all tests of a file.

visit = Visit(folder, pages)
tap(visit.page, "card-suspended", "denied")
visit.reset()                                # every switch as at the start
visit.restart()                              # the demo ends, and another begins at the same address

The page itself records each change of the display, so that a slow machine misses none.
"""

import csv
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import LIMIT_MS, Pages
from tests.processes.turnstile_rig import Page as Demo
from tests.processes.turnstile_rig import SceneSeen

STATES = """
window.shown = [];
new MutationObserver(() => {
  const of = (name) => document.querySelector(`[data-testid=${name}]`);
  const [tr, en] = [...of("display").children].map((line) => line.textContent);
  const now = {outcome: of("display").dataset.outcome, tr, en,
    lamp: of("lamp").dataset.outcome, arms: of("arms").dataset.arms};
  if (JSON.stringify(now) !== JSON.stringify(shown.at(-1))) shown.push(now);
}).observe(document, {subtree: true, attributeFilter: ["data-outcome", "data-arms"]});
window.journal = [];
new MutationObserver(() => {
  const of = (name) => document.querySelector(`[data-testid=${name}]`);
  const now = [of("reader").dataset.cards, of("display").dataset.outcome, of("arms").dataset.arms,
    of("tap").dataset.n, of("seen").textContent].join(" | ");
  if (journal.at(-1)?.[1] === now) return;
  journal.push([Math.round(performance.now()), now]);
}).observe(document, {subtree: true, attributeFilter: ["data-cards", "data-outcome", "data-n"]});
"""
POLL_MS = 50
FORGETS = 2  # after so many other cards, a reader has forgotten a card (decision 0004)
UNREPORTED = ("card-phone", "card-unmatched", "card-matched", "card-brief")
FIND = "([from, outcome]) => shown.slice(from).find((state) => state.outcome === outcome)"

State = dict[str, str]


class Visit:
    """The demo, and a page of it in English."""

    def __init__(self, folder: Path, pages: Pages) -> None:
        """Start a demo; return when the turnstile serves."""
        self.folder = folder
        self.pages = pages
        self.demo = Demo(folder, "--page-port", "0")
        try:
            self.demo.until(_serves)
            self.page = self.open()
        except BaseException:
            self.demo.stop()
            raise

    def open(self, **more: Any) -> Page:
        """Open another page."""
        return at_rest(self.pages.open(self.demo.url, script=STATES, **more))

    def uids(self) -> Iterator[str]:
        """Yield the UIDs of all issued cards, with those of the tray."""
        (cards,) = self.folder.rglob("cards.csv")
        with cards.open() as lines:
            yield from (row["uid"] for row in csv.DictReader(lines))

    def reset(self) -> None:
        """Set every switch as it was at the start."""
        do, seen = self.demo.do, self.demo.until(bool)
        if seen["lane"]["plug"] == "pulled":
            do("plug", **{"in": True})
        if seen["network"] == "cut":
            do("network", up=True)
        if not seen["reader"]["plugged"]:
            do("reader", plugged=True)
        if seen["board"]["emergency"]:
            do("emergency", on=False)
        if not seen["cut_off"]["in_force"]:
            do("cut_off", in_force=True)
        if _card(seen, "matched")["suspended"]:
            do("reinstate", card="matched")
        self.demo.until(
            lambda scene: _serves(scene) and scene["cut_off"]["in_force"] and _at_ease(scene)
        )

    def restart(self, while_away: Callable[[], None]) -> None:
        """End the demo, and start another at the same address."""
        port = self.demo.port
        self.end()
        while_away()
        self.demo = Demo(self.folder, "--page-port", str(port))
        _lately.clear()

    def end(self) -> None:
        """End the demo with Ctrl-C."""
        assert self.demo.end() == 0, self.demo.printed.decode()
        assert self.demo.result["reports_lost"] == self.demo.result["reports_duplicated"] == 0


def _serves(scene: SceneSeen) -> bool:
    lane = scene["lane"]
    return bool(
        (lane["plug"], lane["reader"], lane["board"]) == ("in", "ready", "ready")
        and scene["board"]["linked"]
    )


def _at_ease(scene: SceneSeen) -> bool:
    return scene["network"] == "up" and not _card(scene, "matched")["suspended"]


def _card(scene: SceneSeen, name: str) -> dict[str, Any]:
    return next(dict(card) for card in scene["tray"] if card["name"] == name)


def part(page: Page, name: str) -> Locator:
    """Return the element with this test id."""
    return page.get_by_test_id(name)


def at_rest(page: Page) -> Page:
    """Wait until the lane serves, no passage is under way, and the reader is empty.

    The display may still show the last passenger's picture.
    """
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    expect(part(page, "display")).not_to_have_attribute("data-outcome", "out_of_service")
    expect(part(page, "arms")).to_have_attribute("data-arms", "locked")
    expect(part(page, "reader")).to_have_attribute("data-cards", "")
    return page


def is_ready(page: Page) -> Page:
    """Wait until the gate is at rest and asks for a card."""
    shows(page, "ready")
    return at_rest(page)


def shows(page: Page, outcome: str) -> None:
    """Wait until the display shows this outcome."""
    expect(part(page, "display")).to_have_attribute("data-outcome", outcome)


def mark(page: Page) -> int:
    """Return the position in the record of the display, for `saw`."""
    return int(page.evaluate("shown.length"))


def saw(page: Page, since: int, outcome: str) -> State:
    """Wait until the display has shown this outcome since `mark`; return what it showed."""
    end_s = time.monotonic() + LIMIT_MS / 1_000
    # Polled from here: a page in the background runs its own timers once a minute.
    while (found := page.evaluate(FIND, [since, outcome])) is None and time.monotonic() < end_s:
        page.wait_for_timeout(POLL_MS)
    if found is None:
        words = [
            part(page, name).text_content() for name in ("seen", "tap", "problem", "connection")
        ]
        shown, journal = page.evaluate("(since) => [shown.slice(since), journal.slice(-40)]", since)
        happened = "\n".join(f"{at_ms} ms: {what}" for at_ms, what in journal)
        raise AssertionError(
            f"{outcome} was not shown, but {shown}; {words}; until then:\n{happened}"
        )
    return dict(found)


def taps(page: Page) -> str:
    """Return the number of the last tap."""
    return part(page, "tap").get_attribute("data-n") or ""


def told_of(page: Page, before: str, outcome: str) -> None:
    """Wait for the end of a tap after number `before`, with this outcome."""
    expect(part(page, "tap")).not_to_have_attribute("data-n", before)
    expect(part(page, "tap")).to_have_attribute("data-outcome", outcome)
    at_rest(page)


_lately: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=FORGETS))
"""The cards tapped last at the turnstile of each address."""
_numbers: dict[str, str] = {}
"""The number of the last of those taps, by address."""


def tap(page: Page, card: str, outcome: str) -> State:
    """Click a card of the tray once, and return what the display showed for it.

    One of the last two cards could meet the moment without a field, and would have to be shown
    again (decision 0004). So two others of which no report is made are shown before it. No card is
    shown a second time: that could be a second report.
    """
    assert taps(page) in {"0", _numbers.get(page.url)}, "a test tapped without `tapped_otherwise`"
    if card in _lately[page.url]:
        for other in [each for each in UNREPORTED if each not in {card, *_lately[page.url]}][
            :FORGETS
        ]:
            before = taps(page)
            part(page, other).click()
            expect(part(page, "tap")).not_to_have_attribute("data-n", before)
            is_ready(page)
            _lately[page.url].append(other)
    expect(part(page, "display")).not_to_have_attribute("data-outcome", outcome)
    before, since = taps(page), mark(page)
    part(page, card).click()
    state = saw(page, since, outcome)
    told_of(page, before, outcome)
    tapped_otherwise(page, card)
    return state


def tapped_otherwise(page: Page, card: str) -> None:
    """Note a tap that a test made without `tap`: by the keyboard, or by dragging the card."""
    _lately[page.url].append(card)
    _numbers[page.url] = taps(page)


def cards_named(uids: Iterable[str], text: str) -> set[str]:
    """Return those of these UIDs that are anywhere in the text."""
    wanted = set(uids)
    assert len(wanted) > 1_000
    lengths = {len(uid) for uid in wanted}
    runs = set(re.findall(r"[0-9a-f]{8,}", text.lower()))
    return {
        run[at : at + length]
        for run in runs
        for length in lengths
        for at in range(len(run) - length + 1)
    } & wanted


def count(page: Page, name: str) -> int:
    """Wait for a figure, and return it."""
    expect(part(page, name)).to_have_attribute("data-count", re.compile(r"\d"))
    return int(part(page, name).get_attribute("data-count") or 0)


def counts(page: Page, name: str, number: int) -> None:
    """Wait until a figure is `number`."""
    expect(part(page, name)).to_have_attribute("data-count", str(number))


def list_age_s(page: Page) -> int:
    """Return the list's age in seconds, by the page's English text."""
    facts = part(page, "list-version").text_content() or ""
    found = re.search(r"(?:(\d+) min )?(\d+) s old", facts)
    assert found, facts
    return int(found[1] or 0) * 60 + int(found[2])
