"""What `turnike top` draws: the verdict and each lane, in any width.

draw(gate)            # all of it, for a terminal that scrolls by itself, or a file
Window(gate)          # as much as fits on the screen, the verdict always: window.move(1)

A figure wraps or moves below another; none is cut.
"""

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from validator.console.gate import Gate, Lane, taps_by_outcome
from validator.console.lane_words import Tap
from validator.console.terminal.words import duration, sentence, size, time
from validator.formats.shown import shown
from validator.ipc.answers import LaneStatus, Percentiles
from validator.reports.gate_status import FRESH

LANE_WIDTH_MIN = 60  # of each of several lanes side by side, with its frame
TABLE_WIDTH_MIN = 48  # a stage and four times; narrower lanes are lines of words
HALVES_WIDTH_MIN = 96  # facts beside figures; narrower, above them
KEYS = "q ends this."
_TOKENS = "A token is for one run of a lane only; it is no card's number."
_OUTCOMES = {"admitted": "green", "admitted_with_notice": "green", "denied": "red"}
_STAGES = (("decided", "decided_us"), ("kept", "filed_us"), ("told", "told_us"))
_BAD = "bold red"


def draw(gate: Gate) -> RenderableType:
    """Return the whole picture."""
    return Group(_verdict(gate), _Lanes(gate.lanes), Text(f"{KEYS} {_TOKENS}", style="dim"))


class Window:
    """A picture as high as the screen: the verdict, and as many lines of the lanes as fit.

    The first of those lines is where the operator has scrolled to.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._first = 0
        self._room = 1
        self._total = 0

    def move(self, lines: int) -> None:
        """Scroll down by `lines`, or up if negative, as far as there are lines."""
        self._first = max(min(self._first + lines, self._total - self._room), 0)

    def page(self, pages: int) -> None:
        """Scroll by `pages` screens, less one line, so that the eye can follow."""
        self.move(pages * max(self._room - 1, 1))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        height = options.height or console.height
        wide = options.update(height=None)
        head = console.render_lines(_verdict(self._gate), wide)
        body = console.render_lines(_Lanes(self._gate.lanes), wide)
        if (
            len(head) > height // 2
        ):  # many faults, or narrow: they scroll too, but for the first line
            head, body = head[:1], head[1:] + body
        foot = console.render_lines(Text(f"{KEYS} {_TOKENS}", style="dim"), wide)
        self._total = len(body)
        if len(head) + len(body) + len(foot) > height:
            foot = self._foot(console, wide, height - len(head))
        foot = foot[: max(height - len(head) - 1, 0)]
        self._room = max(height - len(head) - len(foot), 1)
        self.move(0)
        seen = body[self._first : self._first + self._room]
        blank = [[Segment(" " * options.max_width)]] * (self._room - len(seen))
        lines = [*head, *seen, *blank, *foot]
        for number, line in enumerate(lines[:height]):
            if number:
                yield Segment.line()
            yield from line

    def _foot(self, console: Console, wide: ConsoleOptions, height: int) -> list[list[Segment]]:
        """Return the line with the numbers of the shown lines, as high as for the longest ones."""

        def position(first: int, last: int) -> list[list[Segment]]:
            words = f"{KEYS} Arrows, j, k, page keys: line {first} to {last} of {self._total}"
            return console.render_lines(Text(words, style="dim"), wide)

        self._room = max(height - len(position(self._total, self._total)), 1)
        self.move(0)
        foot = position(self._first + 1, min(self._first + self._room, self._total))
        blank = [[Segment(" " * wide.max_width)]] * (height - self._room - len(foot))
        return [*foot, *blank]


class _Lanes:
    """All lanes, side by side where there is room."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich."""
        columns = max(min(options.max_width // LANE_WIDTH_MIN, len(self._lanes)), 1)
        width = options.max_width // columns
        grid = Table.grid()
        for _ in range(columns):
            grid.add_column(width=width)
        for first in range(0, len(self._lanes), columns):
            grid.add_row(*(_lane(lane, width) for lane in self._lanes[first : first + columns]))
        yield grid


def _verdict(gate: Gate) -> RenderableType:
    faults = [(lane, fault) for lane in gate.lanes for fault in lane.faults]
    name = f"{gate.head['gate_id']}"
    if all(fault.is_note for _, fault in faults):
        verdict = Text.assemble(("✓ ", "bold green"), (f"{name} ", "bold"), ("is well", "green"))
    else:
        verdict = Text.assemble(("! ", _BAD), (f"{name}: ", "bold"))
    verdict.overflow = "fold"
    named = [(_named(gate, lane) + sentence(fault), fault.is_note) for lane, fault in faults]
    serious = [said for said, is_note in named if not is_note]
    verdict.append("; ".join(serious), "red")
    notes = [said for said, is_note in named if is_note]
    if notes:
        verdict.append(f"{'; ' if serious else ', but '}{'; '.join(notes)}", "yellow")
    return verdict


def _named(gate: Gate, lane: Lane) -> str:
    return f"lane {_name(lane)}: " if len(gate.lanes) > 1 else ""


def _name(lane: Lane) -> str:
    return f"{lane.number or shown(lane.socket)}"


def _lane(lane: Lane, width: int) -> RenderableType:
    title = Text(f"lane {_name(lane)}")
    inside = width - 4  # without the frame
    status = lane.status
    if not lane.up or status is None:
        told: RenderableType = Text(lane.problem, style="red", overflow="fold")
    elif inside < TABLE_WIDTH_MIN:
        return Group(Text(f"── {title.plain}", style="bold"), *_lines(lane, status))
    else:
        told = Group(_head(status, inside), _taps(lane.taps, status))
    if inside < TABLE_WIDTH_MIN:
        return Group(Text(f"── {title.plain}", style="bold"), told)
    return Panel(told, title=title, box=box.ROUNDED, width=width)


def _lines(lane: Lane, status: LaneStatus) -> list[Text]:
    """Return a lane as lines of words, which wrap in any width."""
    facts = [Text.assemble((f"{name}: ", "dim"), fact) for name, fact in _facts(status)]
    figures = [
        Text.assemble((f"{name}: ", "dim"), ", ".join(_percentiles(getattr(status, field))))
        for name, field in _STAGES
    ]
    heads = [
        Text("p50, p99, p99.9, max", style="dim"),
        *figures,
        Text(_counted(status), style="dim"),
    ]
    taps = [Text(" ".join(cell.plain for cell in _tap(tap, status))) for tap in lane.taps]
    for line in (lines := [*facts, *heads, *taps]):
        line.overflow = "fold"
    return lines


def _head(status: LaneStatus, width: int) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    for name, fact in _facts(status):
        fact.overflow = "fold"
        facts.add_row(name, fact)
    figures = Group(_figures(status), Text(_counted(status), style="dim", overflow="fold"))
    if width < HALVES_WIDTH_MIN:
        return Group(facts, figures)
    halves = Table.grid(expand=True, padding=(0, 2))
    halves.add_column(ratio=1)
    halves.add_column(width=TABLE_WIDTH_MIN)
    halves.add_row(facts, figures)
    return halves


def _facts(status: LaneStatus) -> list[tuple[str, Text]]:
    devices = [(name, status.devices.get(name, "no report yet")) for name in ("reader", "board")]
    free = status.disk_free_bytes
    forced = f"{status.forced:,} times since the start" if status.forced else "never"
    return [
        *(
            (name, Text(state, style="green" if state == "ready" else _BAD))
            for name, state in devices
        ),
        ("list", Text(_list(status))),
        (
            "clock",
            Text("synchronised" if status.clock_synchronised else "counted from signed time"),
        ),
        ("reports", Text(_reports(status))),
        ("disk", Text("unknown" if free is None else f"{size(free)} free")),
        ("courier", _courier(status)),
        ("emergency", Text("ON: arms are free", style=_BAD) if status.emergency else Text("off")),
        ("housing", Text("OPEN", style=_BAD) if status.tamper else Text("closed")),
        ("forced", Text(forced)),
        ("running", Text(f"{time(status.uptime_s)}, version {status.version}")),
    ]


def _reports(status: LaneStatus) -> str:
    waiting = "unknown number" if status.reports_waiting is None else f"{status.reports_waiting:,}"
    lost = f", {status.reports_refused:,} lost" if status.reports_refused else ""
    aside = f", {status.reports_rejected:,} quarantined" if status.reports_rejected else ""
    return f"{waiting} waiting, {status.reports_delivered:,} delivered{lost}{aside}"


def _courier(status: LaneStatus) -> Text:
    courier = status.courier
    if courier is None:
        return Text("none: lists are installed by hand")
    if courier.polled_unix_s is None:
        return Text("unknown: it has reported nothing here", style=_BAD)
    told = f"{courier.state}, asked the city {time(status.unix_s - courier.polled_unix_s)} ago"
    return Text(told, style="" if courier.state == FRESH else _BAD)


def _list(status: LaneStatus) -> str:
    if status.list_version is None or status.list_issued_unix_s is None:
        return status.list_state
    age = time(status.unix_s - status.list_issued_unix_s)
    return f"{status.list_version}, {status.list_state}, {age} old, {status.list_cards:,} cards"


def _figures(status: LaneStatus) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("", "p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, field in _STAGES:
        table.add_row(name, *_percentiles(getattr(status, field)))
    return table


def _percentiles(told: Percentiles) -> list[str]:
    if not told.count:
        return ["–"] * 4
    return [duration(us) for us in (told.p50, told.p99, told.p999, told.max)]


def _counted(status: LaneStatus) -> str:
    outcomes = taps_by_outcome(status.taps)
    counted = ", ".join(
        f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in outcomes.items()
    )
    return counted or "no tap yet"


def _taps(taps: Sequence[Tap], status: LaneStatus) -> RenderableType:
    if not taps:
        return Text("")
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("token", "shown", "decided", "told", "ago"):
        is_words = name in ("token", "shown")
        table.add_column(
            name, justify="left" if is_words else "right", no_wrap=name != "shown", overflow="fold"
        )
    for tap in taps:
        table.add_row(*_tap(tap, status))
    return table


def _tap(tap: Tap, status: LaneStatus) -> list[Text]:
    return [
        Text(tap.token or "–"),
        Text(tap.outcome.replace("_", " "), style=_OUTCOMES.get(tap.outcome, "yellow")),
        Text(duration(tap.decided_us)),
        Text("–" if tap.told_us is None else duration(tap.told_us)),
        Text(time(status.unix_s - tap.unix_s)),
    ]
