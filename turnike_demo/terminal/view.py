"""The demo's live view in a terminal: what a passenger sees, and what an operator would want to know. It only draws.

It is fed lines of the lane's log and of the crowd, and never names a card otherwise than by the lane's own token.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
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

TAPS_SHOWN = 10
STORY_SHOWN = 5
NARROW_CHARACTERS = 120
PANEL_LINES, TABLE_LINES = 9, 6  # of the two rows of panels that always have their height
TOLD_EVERY_TAPS = 50  # how often a run without a terminal says how far it is
LAMPS = {  # the lamp beside the text, and the text's own ground
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
class Seen:
    """Everything that the view draws; the run keeps it up to date."""

    cards: int
    page: str = ""  # where a visitor can play
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
    status: Mapping[str, Any] = field(default_factory=dict)  # the lane's own
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
def shown(seen: Seen, console: Console) -> Iterator[Callable[[], None]]:
    """A live picture on a terminal, drawn anew at each call; elsewhere a line now and then."""
    if not console.is_terminal:
        told = 0

        def tell() -> None:
            nonlocal told
            if seen.judged // TOLD_EVERY_TAPS > told:
                told = seen.judged // TOLD_EVERY_TAPS
                counts = ", ".join(
                    f"{count} {outcome.replace('_', ' ')}"
                    for outcome, count in seen.outcomes.most_common()
                )
                console.print(f"{seen.judged} taps: {counts}")

        yield tell
        return
    with Live(draw(seen, console), console=console, auto_refresh=False) as live:
        yield lambda: live.update(draw(seen, console), refresh=True)


def draw(seen: Seen, console: Console) -> RenderableType:
    """The whole picture, as much of it as there is room for: of a small terminal's, the taps and the story get what is left."""
    left = max(console.height - 1 - PANEL_LINES - TABLE_LINES - 2, 0)
    story = min(STORY_SHOWN, max(left - 9, 0))
    taps = min(TAPS_SHOWN, max(left - 3 - (story + 2 if story else 0), 1))
    page = f"A turnstile to play with, in a browser: {seen.page}" if seen.page else ""
    return Group(
        _side_by_side(_passenger(seen), _gate(seen)),
        _taps(seen, taps),
        _side_by_side(_latencies(seen, is_narrow=console.width < NARROW_CHARACTERS), _counts(seen)),
        *([_story(seen, story)] if story else []),
        Text(KEYS, style="dim", no_wrap=True, overflow="ellipsis"),
        Text(page, style="bold", no_wrap=True, overflow="ellipsis"),
    )


KEYS = "s suspend a commuter · l lift it · c let him come · n cut or mend net · q quit"


def _story(seen: Seen, count: int) -> Panel:
    told = [*seen.story][-count:]
    lines = Text("\n".join([*told, *[""] * (count - len(told))]), no_wrap=True, overflow="ellipsis")
    return Panel(lines, title="what happens in the city", box=box.ROUNDED)


def _side_by_side(left: RenderableType, right: RenderableType) -> Table:
    halves = Table.grid(expand=True)
    halves.add_column(ratio=1)
    halves.add_column(ratio=1)
    halves.add_row(left, right)
    return halves


def _passenger(seen: Seen) -> Panel:
    last = seen.last[-1]["outcome"] if seen.last else "ready"
    outcome = str(seen.display.get("outcome", last))
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


def _gate(seen: Seen) -> Panel:
    rows = Table.grid(padding=(0, 2))
    for device, state in seen.devices.items():
        lamp = Text("● ", style="green" if state == "ready" else "red")
        rows.add_row(device, lamp + Text(state))
    version = (
        "none"
        if seen.list_version is None
        else f"version {seen.list_version}, {seen.list_state or 'in force'}"
    )
    rows.add_row("list", f"{version}, {_age(seen)}")
    network = Text(seen.courier, style="green" if seen.courier == "fresh" else "red")
    rows.add_row("network", Text(f"{seen.network}; courier: ") + network)
    rows.add_row("emergency", Text("ON", style="bold red") if seen.emergency else "off")
    rows.add_row("waiting for", seen.waiting_for or "–")
    return Panel(rows, title="a simulated gate, real drivers", height=PANEL_LINES, box=box.ROUNDED)


def _age(seen: Seen) -> str:
    issued_unix_s = seen.status.get("list_issued_unix_s")
    if not issued_unix_s:
        return f"{seen.cards:,} cards"
    return f"{max(int(time.time()) - issued_unix_s, 0)} s old"


def _taps(seen: Seen, count: int) -> Panel:
    table = Table(box=None, expand=True, header_style="dim")
    for name in ("tap", "card", "outcome", "decided after", "told after", "passage"):
        table.add_column(name, justify="right" if name.endswith("after") else "left")
    for tap in [*reversed(seen.last)][:count]:
        table.add_row(
            str(tap["tap"]),
            tap["token"] or "–",
            Text(f"● {tap['outcome'].replace('_', ' ')}", style=LAMPS[tap["outcome"]][0]),
            f"{tap['decided_us'] / 1_000:.2f} ms",
            f"{tap['told_us'] / 1_000:.2f} ms",
            tap.get("passage", "–"),
        )
    for _ in range(count - len(seen.last)):
        table.add_row("")
    return Panel(table, title="last taps", box=box.ROUNDED)


def _latencies(seen: Seen, *, is_narrow: bool) -> Panel:
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True)
    for name in ("p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right")
    of = "" if is_narrow else "card "
    for name, histogram in (
        (f"{of}read → decided", seen.decided),
        (f"{of}read → told", seen.told),
        ("tap → gate" if is_narrow else "card on reader → gate", seen.gate),
    ):
        table.add_row(
            name,
            *[f"{ns / 1e6:{'.1f' if is_narrow else '.2f'}}" for ns in percentiles_ns(histogram)],
        )
    return Panel(table, title="how fast, ms", height=TABLE_LINES, box=box.ROUNDED)


def percentiles_ns(histogram: LatencyHistogram) -> tuple[int, int, int, int]:
    """p50, p99, p99.9 and the greatest."""
    p50, p99, p999 = (histogram.percentile_ns(percent) for percent in (50, 99, 99.9))
    return p50, p99, p999, histogram.max_ns


def _counts(seen: Seen) -> Panel:
    admitted = seen.outcomes["admitted"] + seen.outcomes["admitted_with_notice"]
    rows = Table.grid(padding=(0, 2))
    rows.add_row(
        "admitted",
        Text(f"{admitted:,}", style="green"),
        "denied",
        Text(f"{seen.outcomes['denied']:,}", style="red"),
    )
    rows.add_row(
        "no verdict",
        f"{seen.outcomes['try_again'] + seen.outcomes['unsupported']:,}",
        "reports waiting",
        "unknown" if seen.reports_waiting is None else f"{seen.reports_waiting:,}",
    )
    rows.add_row("wrong", Text(f"{seen.wrong:,}", style="bold red" if seen.wrong else ""), "", "")
    return Panel(rows, title="how many", height=TABLE_LINES, box=box.ROUNDED)
