"""A gate's status page in a real browser: what an operator sees of its gate, well or not."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser.accessibility import barriers
from tests.browser.consoles import ADVANCES_MAX, HURRIED, advancing, busy, console, has_a_day, tells
from tests.browser.pages import (
    AWAY,
    Pages,
    cut,
    is_wider_than_its_window,
    shot,
    smallest_letters_px,
)
from tests.support.gate.console_lane import (
    CARDS,
    NOW_UNIX_S,
    FakeLane,
    courier,
    fake_lane,
    status_line,
    tap_line,
    unheard_courier,
)

UNKNOWN = "Unknown: the console does not answer. Below is its last answer."
WELL = {"en": "This gate is well.", "tr": "Bu turnike iyi çalışıyor."}
FACTS = {
    "en": {
        "reader": "ready",
        "board": "ready",
        "list": "version 7, fresh; 40 s old, 8,260,000 cards, good for 3 d 23 h more",
        "clock": "synchronised",
        "reports": "2 waiting, 3 delivered since the start",
        "disk": "4.7 GiB free",
        "courier": "up to date, asked the city 20 s ago",
        "emergency": "off",
        "housing": "closed",
        "forced": "never",
        "run": "for 1 min 0 s, version 0.1.0: 9 taps, 5 admitted, 3 denied",
    },
    "tr": {
        "reader": "hazır",
        "board": "hazır",
        "list": "sürüm 7, güncel; yaşı 40 sn, 8.260.000 kart, 3 gün 23 sa daha geçerli",
        "clock": "eşitlenmiş",
        "reports": "2 bekliyor, açılıştan beri 3 teslim edildi",
        "disk": "4,7 GiB boş",
        "courier": "güncel, şehre 20 sn önce sordu",
        "emergency": "kapalı",
        "housing": "kapalı",
        "forced": "hiç",
        "run": "1 min",
    },
}
ALL_WRONG = {
    "devices": {"reader": "lost", "board": "lost"},
    "tamper": True,
    "emergency": True,
    "clock_synchronised": False,
    "list_state": "stale",
    "list_expires_unix_s": NOW_UNIX_S - 3_600,
    "reports_refused": 4,
    "reports_rejected": 2,
    "reports_trouble": "no space left on device",
    "disk_free_bytes": 1_000_000,
    "forced": 3,
    "courier": courier(
        state="unreachable",
        problem="https://lists.city.example: no route to host",
        polled_unix_s=NOW_UNIX_S - 4_000,
        upload={
            "state": "unreachable",
            "problem": "https://reports.city.example: no route to host",
        },
    ),
}
FAULTS: dict[str, dict[str, Any]] = {
    "reader": {"devices": {"reader": "lost", "board": "ready"}},
    "board": {"devices": {"reader": "ready", "board": "lost"}},
    "missing": {
        "list_state": "missing",
        "list_version": None,
        "list_issued_unix_s": None,
        "list_expires_unix_s": None,
    },
    "stale": {"list_state": "stale", "list_expires_unix_s": NOW_UNIX_S - 60},
    "corrupt": {"list_state": "corrupt", "list_problems": ["version 8: damaged"]},
    "list": {"list_state": "something newer"},
    "problems": {"list_problems": ["/l: Permission denied"]},
    "trouble": {"reports_trouble": "no space left on device"},
    "uncounted": {"reports_waiting": None, "reports_rejected": None},
    "refused": {"reports_refused": 1},
    "rejected": {"reports_rejected": 1},
    "waiting": {"reports_waiting": 20_000},
    "upload": {"courier": courier(upload={"state": "refused", "problem": "401"})},
    "unheard": {"courier": unheard_courier()},
    "quiet": {"courier": courier(polled_unix_s=NOW_UNIX_S - 420)},
    "untold": {"courier": courier(silent=None, asks_within_s=None)},
    "courier": {"courier": courier(state="frozen", problem="version 7 expired on 2026-05-01")},
    "disk": {"disk_free_bytes": 1_000_000},
    "disk_unknown": {"disk_free_bytes": None},
    "clock": {"clock_synchronised": False},
    "tamper": {"tamper": True},
    "emergency": {"emergency": True},
    "forced": {"forced": 3},
}
NOTES = {"clock"}  # worth a line, and no reason to call a gate unwell
LETTERS_PX_MIN = 11
SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "panel": {"width": 800, "height": 480},
    "desk": {"width": 1280, "height": 800},
}


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[FakeLane]:
    """A lane that is well."""
    with fake_lane(tmp_path / "lane-1.sock") as made:
        yield made


@pytest.fixture
def address(tmp_path: Path, lane: FakeLane, pages: Pages) -> Iterator[str]:
    """The address of a console of this lane."""
    with console(tmp_path, lane.path) as (address, process):
        process.event("lane", up=True)
        yield address
        pages.close()  # while the console runs: else each would report that it has lost it


def part(page: Page, name: str) -> Locator:
    return page.get_by_test_id(name)


def shows_whether_well(page: Page, *, well: bool = True) -> None:
    expect(part(page, "verdict")).to_have_attribute("data-well", "true" if well else "false")


def is_live(page: Page) -> None:
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    expect(part(page, "verdict")).not_to_have_attribute("data-well", "")


@pytest.mark.parametrize("language", ["en", "tr"])
def test_a_well_gate_is_shown_as_well_with_its_facts(
    pages: Pages, address: str, language: str
) -> None:
    page = pages.open(address, language=language)
    expect(part(page, "verdict")).to_have_text(WELL[language])
    expect(part(page, "gate")).to_have_text("test")
    for fact, text in FACTS[language].items():
        if (language, fact) != ("tr", "run"):
            expect(page.locator(f"[data-fact={fact}]")).to_have_text(text)
    expect(part(page, "faults").get_by_role("listitem")).to_have_count(0)
    expect(page.locator("html")).to_have_attribute("lang", language)
    part(page, "language").click()
    other = "tr" if language == "en" else "en"
    expect(part(page, "verdict")).to_have_text(WELL[other])
    page.reload()
    expect(part(page, "verdict")).to_have_text(WELL[other])


def test_each_fault_is_shown_until_it_is_fixed(pages: Pages, lane: FakeLane, address: str) -> None:
    page = pages.open(address)
    shows_whether_well(page)
    for fault, changes in FAULTS.items():
        tells(lane, **changes)
        expect(part(page, "faults").locator("li")).to_have_count(1)
        expect(part(page, "faults").locator("li")).to_have_attribute("data-fault", fault)
        shows_whether_well(page, well=fault in NOTES)
    tells(lane)
    expect(part(page, "faults").locator("li")).to_have_count(0)
    shows_whether_well(page)


def test_a_tap_is_in_the_list_by_its_token_with_its_outcome(
    pages: Pages, lane: FakeLane, address: str
) -> None:
    page = pages.open(address)
    shows_whether_well(page)
    for number, outcome in enumerate(("denied", "admitted"), start=1):
        lane.say(
            json.dumps(tap_line(tap=number, token=f"4f1{number}", outcome=outcome)).encode() + b"\n"
        )
    tells(lane)
    rows = page.locator(".taps tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("4f12")
    expect(rows.nth(0).locator("[data-outcome=admitted]")).to_be_visible()
    expect(rows.nth(0)).to_contain_text("402 µs")
    expect(rows.nth(1)).not_to_contain_text("402 µs")
    expect(rows.nth(1).locator("[data-outcome=denied]")).to_have_text("denied")


def test_a_lane_that_stops_is_shown_and_comes_back_by_itself(pages: Pages, tmp_path: Path) -> None:
    with ExitStack() as stack:
        lanes = [
            stack.enter_context(fake_lane(tmp_path / f"lane-{number}.sock")) for number in (1, 2)
        ]
        for number, made in enumerate(lanes, start=1):
            made.answers = busy({})
            answers_with_number(made, number)
        address, process = stack.enter_context(console(tmp_path, *(made.path for made in lanes)))
        for _ in lanes:
            process.event("lane", up=True)
        page = pages.open(address)
        shows_whether_well(page)
        lanes[1].hang_up()
        expect(part(page, "faults").locator("[data-fault=away]")).to_contain_text("Lane 2")
        shows_whether_well(page, well=False)
        expect(page.locator(".lane[data-lane='2']")).to_have_attribute("data-up", "false")
        expect(page.locator(".lane[data-lane='1']")).to_have_attribute("data-up", "true")
        expect(page.locator(".lane[data-lane='1'] [data-fact=reader]")).to_have_attribute(
            "data-mark", "ok"
        )
        expect(page.locator(".lane[data-lane='2'] [data-fact]")).to_have_count(0)
        shot(page, "status-lane-away", whole=True)
        assert barriers(page) == []
        lanes[1].path.unlink()
        again = stack.enter_context(fake_lane(lanes[1].path))
        answers_with_number(again, 2)
        shows_whether_well(page)


def answers_with_number(lane: FakeLane, number: int) -> None:
    status = json.dumps(status_line(lane=number)).encode() + b"\n"
    others = lane.answers
    lane.answers = lambda request: status if request == "status" else others(request)


def test_a_page_left_open_through_a_restart_of_the_console_is_live_again(
    pages: Pages, tmp_path: Path, lane: FakeLane
) -> None:
    with console(tmp_path, lane.path) as (address, _):
        page = pages.open(address)
        shows_whether_well(page)
        pages.excuse(AWAY)
    expect(page.locator("body")).to_have_attribute("data-connection", "away")
    expect(part(page, "connection")).to_have_text("The console does not answer. Trying again …")
    shot(page, "status-console-away")
    port = int(address.rstrip("/").rpartition(":")[2])
    with console(tmp_path, lane.path, port=port):
        is_live(page)
        tells(lane, emergency=True)
        expect(part(page, "faults").locator("[data-fault=emergency]")).to_be_visible()


def test_two_pages_show_the_same(pages: Pages, lane: FakeLane, address: str) -> None:
    both = [pages.open(address), pages.open(address, language="tr")]
    tells(lane, list_version=31)
    for page in both:
        expect(page.locator("[data-fact=list]")).to_contain_text("31")


def test_the_day_is_drawn_and_read_out(pages: Pages, tmp_path: Path) -> None:
    waits = {"decided": [9_000, 12_000], "filed": [300_000], "told": [90_000, 400_000, 8_000_000]}
    with (
        fake_lane(tmp_path / "lane-1.sock", busy(waits)) as lane,
        console(tmp_path, lane.path, module=HURRIED) as (address, _),
    ):
        has_a_day(address)
        page = pages.open(address)
        chart = page.locator(".chart")
        expect(chart).to_have_attribute(
            "aria-label", re.compile(r"half within .+, 99 of 100 within 8\.\d ms")
        )
        for percent in ("p50", "p99", "p999"):
            expect(chart.locator(f"path[data-percent={percent}]")).to_have_attribute(
                "d", re.compile(r"^M\d")
            )
        shot(page, "status-day")


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_fits_is_large_enough_and_has_no_barriers(
    pages: Pages, tmp_path: Path, size: ViewportSize, language: str, *, dark: bool
) -> None:
    waits = {"decided": [9_000, 12_000], "filed": [3_000_000], "told": [90_000, 400_000, 8_000_000]}
    with (
        fake_lane(tmp_path / "lane-1.sock", busy(waits)) as lane,
        console(tmp_path, lane.path, module=HURRIED) as (address, _),
        closing(pages),  # while the console runs
    ):
        has_a_day(address)
        page = pages.open(address, dark=dark, size=size, language=language)
        for number, outcome in enumerate(
            ("admitted", "denied", "admitted_with_notice", "out_of_service")
        ):
            lane.say(json.dumps(tap_line(tap=number, outcome=outcome)).encode() + b"\n")
        for state, changes in (("well", {}), ("unwell", ALL_WRONG)):
            tells(lane, **dict.fromkeys(("decided_us", "told_us", "filed_us"), WIDEST) | changes)
            shows_whether_well(page, well=not changes)
            expect(page.locator(".taps tbody tr")).to_have_count(4)
            expect(page.locator(".chart path[data-percent=p50]")).to_have_attribute(
                "d", re.compile(r"^M\d")
            )
            assert not is_wider_than_its_window(page)
            assert cut(page) == []
            assert smallest_letters_px(page) >= LETTERS_PX_MIN
            theme = "dark" if dark else "light"
            shot(page, f"status-{state}-{size['width']}-{theme}-{language}", whole=True)
            assert barriers(page) == []


WIDEST = {"count": 9, "p50": 99_900, "p99": 999_400, "p999": 99_900_000, "max": 999_900_000}


def test_the_chart_begins_where_the_console_began_and_uses_its_whole_width(
    pages: Pages, tmp_path: Path
) -> None:
    with (
        fake_lane(tmp_path / "lane-1.sock", advancing([1_000_000], 20)) as lane,
        console(tmp_path, lane.path, module=HURRIED) as (address, _),
    ):
        page = pages.open(address)
        lane.wait_for(lambda lane: lane.asked.count("histograms") > 2 * ADVANCES_MAX)
        page.reload()
        expect(page.locator(".chart path[data-percent=p50]")).to_have_attribute(
            "d", re.compile(r"^M\d")
        )
        part_of_width = page.evaluate(
            """() => {
                const [line, svg] = [".chart path[data-percent=p50]", ".chart"]
                    .map((one) => document.querySelector(one).getBoundingClientRect());
                return line.width / svg.width;
            }"""
        )
        assert part_of_width > 0.7
        heading = page.locator(".day h3")
        expect(heading).to_have_text(re.compile(r"the last \d+ min"))
        expect(page.locator(".chart")).to_contain_text("10 min ago")
        expect(page.locator(".chart")).not_to_contain_text(re.compile(r"\d\.\d|\d h ago"))


LATER = """
let passedMs = 0;
const now = performance.now.bind(performance);
performance.now = () => now() + passedMs;
"""
"""A page in which a minute can pass at once."""


def test_the_last_state_of_a_console_that_stopped_or_stalls_is_not_called_well(
    pages: Pages, tmp_path: Path, lane: FakeLane
) -> None:
    with console(tmp_path, lane.path) as (address, process):
        page = pages.open(address, script=LATER)
        shows_whether_well(page)
        process.process.send_signal(signal.SIGSTOP)
        try:
            page.evaluate("passedMs = 60_000")
            expect(part(page, "verdict")).to_have_text(UNKNOWN)
        finally:
            process.process.send_signal(signal.SIGCONT)
        shows_whether_well(page)
        pages.excuse(AWAY)
    expect(part(page, "verdict")).to_have_text(UNKNOWN)
    expect(part(page, "verdict")).to_have_attribute("data-well", "")


def test_it_only_shows_and_names_no_card_and_no_reason(
    pages: Pages, lane: FakeLane, address: str
) -> None:
    page = pages.open(address)
    shows_whether_well(page)
    lane.say(json.dumps(tap_line(uid=CARDS[0], card=CARDS[1], verdict=CARDS[2])).encode() + b"\n")
    tells(lane, uid=CARDS[0], list_version=32)
    expect(page.locator("[data-fact=list]")).to_contain_text("32")
    expect(page.locator(".taps tbody tr")).to_have_count(1)
    expect(page.get_by_role("button")).to_have_count(1)
    expect(page.locator("input, form, a")).to_have_count(0)
    received = pages.received(page).lower()
    assert [card for card in CARDS if card.lower() in received] == []
    gate = " ".join(pages.events(page))
    assert "4f1a" in gate
    assert [word for word in ("in table", "ground", "rule", "list missing") if word in gate] == []
