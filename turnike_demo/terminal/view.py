"""The demo's live view in a terminal: what a passenger sees, and what an operator needs to know.

`ViewState` takes lines of the lane, the crowd and the courier; `live_view` draws it. A card is
named by the lane's token alone.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from validator.domain.latency import LatencyHistogram
from validator.ipc.answers import LaneStatus

TAPS_SHOWN = 10
STORY_SHOWN = 5
NARROW_CHARACTERS = 120
PANEL_LINES, TABLE_LINES = 9, 6  # heights of the two rows of panels beside each other
PROGRESS_EVERY_TAPS = 50  # how often a run without a terminal prints its progress
LAMPS = {  # by outcome: the style of the lamp, and of the text with its background
    "ready": ("yellow3", "bold grey11 on yellow3"),
    "admitted": ("green3", "bold white on green4"),
    "admitted_with_notice": ("green3", "bold white on green4"),
    "denied": ("red3", "bold white on red3"),
    "try_again": ("dark_orange3", "bold white on dark_orange3"),
    "unsupported": ("dark_orange3", "bold white on dark_orange3"),
    "out_of_service": ("grey50", "white on grey23"),
    "emergency": ("green3", "bold white on green4"),
}


@dataclass(slots=True)
class ViewState:
    """Everything that the view draws; the demo keeps it up to date."""

    cards: int
    page: str = ""  # the address of the visitor's turnstile
    devices: dict[str, str] = field(
        default_factory=lambda: {"reader": "waiting", "board": "waiting"}
    )
    list_version: int | None = None
    list_state: str = ""
    emergency: bool = False
    display: dict[str, Any] = field(default_factory=dict)  # what the board shows
    last: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=TAPS_SHOWN))
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    reports_waiting: int | None = 0
    decided: LatencyHistogram = field(default_factory=LatencyHistogram)
    told: LatencyHistogram = field(default_factory=LatencyHistogram)
    gate: LatencyHistogram = field(default_factory=LatencyHistogram)
    waiting_for: str = ""
    judged: int = 0  # taps that the crowd has judged
    network: str = "up"
    courier: str = "starting"
    status: LaneStatus | None = None  # the lane's last answer
    story: deque[str] = field(default_factory=lambda: deque(maxlen=STORY_SHOWN))

    def log_line(self, line: dict[str, Any]) -> None:
        """Take one line of the lane's log."""
        match line.get("event"):
            case "tap":
                self._tap(line)
            case "passage":
                for tap in self.last:
                    if tap["tap"] == line["tap"]:
                        tap["passage"] = {True: "passed", False: "did not pass", None: "unknown"}[
                            line["passed"]
                        ]
            case "reader" | "board" as device:
                self.devices[device] = line.get("reason", line["state"])
            case "emergency":
                self.emergency = line["on"]
            case "list":
                self.list_version = line["list_version"]
            case "stopped" | "summary":
                self.reports_waiting = line["reports_waiting"]

    def crowd_line(self, line: dict[str, Any]) -> None:
        """Take one line of the crowd."""
        match line.get("event"):
            case "tap":
                self.waiting_for = ""
                self.judged += 1
                self.wrong += not line["right"]
                if line.get("tap_to_gate_us") is not None:
                    self.gate.add(line["tap_to_gate_us"] * 1_000)
            case "show":
                self.display = line
            case "waiting":
                self.waiting_for = str(line.get("for", ""))

    def courier_line(self, line: dict[str, Any]) -> None:
        """Take one line of the courier."""
        if line.get("event") == "courier":
            self.courier = line["state"]

    def _tap(self, line: dict[str, Any]) -> None:
        self.last.append(line)
        self.outcomes[line["outcome"]] += 1
        self.list_state = line.get("list_state", self.list_state)
        self.reports_waiting = line["reports_waiting"]
        self.decided.add(line["decided_us"] * 1_000)
        self.told.add(line["told_us"] * 1_000)


@contextmanager
def live_view(state: ViewState, console: Console) -> Iterator[Callable[[], None]]:
    """Show the demo for the length of a block.

    Yields:
        A function that draws the current state; without a terminal, it prints a line of progress
        every PROGRESS_EVERY_TAPS taps.
    """
    if not console.is_terminal:
        printed = 0

        def print_progress() -> None:
            nonlocal printed
            if state.judged // PROGRESS_EVERY_TAPS > printed:
                printed = state.judged // PROGRESS_EVERY_TAPS
                counts = ", ".join(
                    f"{count} {outcome.replace('_', ' ')}"
                    for outcome, count in state.outcomes.most_common()
                )
                console.print(f"{state.judged} taps: {counts}")

        yield print_progress
        return
    with Live(draw(state, console), console=console, auto_refresh=False) as live:
        yield lambda: live.update(draw(state, console), refresh=True)


def draw(state: ViewState, console: Console) -> RenderableType:
    """Return the whole view, fitted to the terminal's height.

    The taps and the story get the lines that the other panels leave.
    """
    left = max(console.height - 1 - PANEL_LINES - TABLE_LINES - 2, 0)
    story = min(STORY_SHOWN, max(left - 9, 0))
    taps = min(TAPS_SHOWN, max(left - 3 - (story + 2 if story else 0), 1))
    page = f"A turnstile to play with, in a browser: {state.page}" if state.page else ""
    return Group(
        _side_by_side(_passenger(state), _gate(state)),
        _taps(state, taps),
        _side_by_side(
            _latencies(state, is_narrow=console.width < NARROW_CHARACTERS), _counts(state)
        ),
        *([_story(state, story)] if story else []),
        Text(KEYS, style="dim", no_wrap=True, overflow="ellipsis"),
        Text(page, style="bold", no_wrap=True, overflow="ellipsis"),
    )


KEYS = "s suspend a commuter · l lift it · c let him come · n cut or restore net · q quit"


def _story(state: ViewState, count: int) -> Panel:
    shown = [*state.story][-count:]
    padding = [""] * (count - len(shown))
    lines = Text("\n".join([*shown, *padding]), no_wrap=True, overflow="ellipsis")
    return Panel(lines, title="what happens in the city", box=box.ROUNDED)


def _side_by_side(left: RenderableType, right: RenderableType) -> Table:
    halves = Table.grid(expand=True)
    halves.add_column(ratio=1)
    halves.add_column(ratio=1)
    halves.add_row(left, right)
    return halves


def _passenger(state: ViewState) -> Panel:
    last = state.last[-1]["outcome"] if state.last else "ready"
    outcome = str(state.display.get("outcome", last))
    texts = _TEXTS[outcome]
    picture = Align.center(Text("\n".join(texts), justify="center"), vertical="middle")
    return Panel(
        picture,
        title="what the passenger sees",
        height=PANEL_LINES,
        box=box.ROUNDED,
        style=LAMPS[outcome][1],
    )


_TEXTS = {
    "ready": ("Kartınızı okutunuz", "Tap your card"),
    "admitted": ("İyi yolculuklar", "Have a good trip"),
    "admitted_with_notice": (
        "İyi yolculuklar – kartınızı eşleştiriniz",
        "Have a good trip – match your card",
    ),
    "denied": ("Kartınız kullanıma kapalıdır", "This card cannot be used"),
    "try_again": ("Tek kart okutunuz, tekrar deneyiniz", "One card, try again"),
    "unsupported": ("Bu kart desteklenmiyor", "Card not supported"),
    "out_of_service": ("Hizmet dışı", "Out of service"),
    "emergency": ("Acil durum: geçiş serbest", "Emergency: walk through"),
}


def _gate(state: ViewState) -> Panel:
    rows = Table.grid(padding=(0, 2))
    for name, device in state.devices.items():
        lamp = Text("● ", style="green" if device == "ready" else "red")
        rows.add_row(name, lamp + Text(device))
    version = (
        "none"
        if state.list_version is None
        else f"version {state.list_version}, {state.list_state or 'in force'}"
    )
    rows.add_row("list", f"{version}, {_age(state)}")
    network = Text(state.courier, style="green" if state.courier == "fresh" else "red")
    rows.add_row("network", Text(f"{state.network}; courier: ") + network)
    rows.add_row("emergency", Text("ON", style="bold red") if state.emergency else "off")
    rows.add_row("waiting for", state.waiting_for or "–")
    return Panel(rows, title="a simulated gate, real drivers", height=PANEL_LINES, box=box.ROUNDED)


def _age(state: ViewState) -> str:
    issued_unix_s = state.status.list_issued_unix_s if state.status else None
    if not issued_unix_s:
        return f"{state.cards:,} cards"
    return f"{max(int(time.time()) - issued_unix_s, 0)} s old"


def _taps(state: ViewState, count: int) -> Panel:
    table = Table(box=None, expand=True, header_style="dim")
    for name in ("tap", "card", "outcome", "decided after", "answered after", "passage"):
        table.add_column(name, justify="right" if name.endswith("after") else "left")
    for tap in [*reversed(state.last)][:count]:
        table.add_row(
            str(tap["tap"]),
            tap["token"] or "–",
            Text(f"● {tap['outcome'].replace('_', ' ')}", style=LAMPS[tap["outcome"]][0]),
            f"{tap['decided_us'] / 1_000:.2f} ms",
            f"{tap['told_us'] / 1_000:.2f} ms",
            tap.get("passage", "–"),
        )
    for _ in range(count - len(state.last)):
        table.add_row("")
    return Panel(table, title="last taps", box=box.ROUNDED)


def _latencies(state: ViewState, *, is_narrow: bool) -> Panel:
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True)
    for name in ("p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right")
    of = "" if is_narrow else "card "
    for name, histogram in (
        (f"{of}read → decided", state.decided),
        (f"{of}read → told", state.told),
        ("tap → gate" if is_narrow else "card on reader → gate", state.gate),
    ):
        table.add_row(
            name,
            *[f"{ns / 1e6:{'.1f' if is_narrow else '.2f'}}" for ns in percentiles_ns(histogram)],
        )
    return Panel(table, title="how fast, ms", height=TABLE_LINES, box=box.ROUNDED)


def percentiles_ns(histogram: LatencyHistogram) -> tuple[int, int, int, int]:
    """Return p50, p99, p99.9 and the maximum."""
    p50, p99, p999 = (histogram.percentile_ns(percent) for percent in (50, 99, 99.9))
    return p50, p99, p999, histogram.max_ns


def _counts(state: ViewState) -> Panel:
    admitted = state.outcomes["admitted"] + state.outcomes["admitted_with_notice"]
    rows = Table.grid(padding=(0, 2))
    rows.add_row(
        "admitted",
        Text(f"{admitted:,}", style="green"),
        "denied",
        Text(f"{state.outcomes['denied']:,}", style="red"),
    )
    rows.add_row(
        "no verdict",
        f"{state.outcomes['try_again'] + state.outcomes['unsupported']:,}",
        "reports waiting",
        "unknown" if state.reports_waiting is None else f"{state.reports_waiting:,}",
    )
    rows.add_row("wrong", Text(f"{state.wrong:,}", style="bold red" if state.wrong else ""), "", "")
    return Panel(rows, title="how many", height=TABLE_LINES, box=box.ROUNDED)
