"""`turnike top`: what the status page shows, in a terminal. It listens to the lanes itself, so it needs no console; it shows, and changes nothing.

top(config)                     # until q or Ctrl-C
top(config, once=True)          # one picture; as_json: the same as one JSON object
"""

import asyncio
import json
import sys
import termios
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from validator.config import Config
from validator.console.gate import Gate, Lane, taps_by_outcome
from validator.console.lane_line import lane_says
from validator.console.lane_words import CourierSays, Percentiles, Status
from validator.domain.decision import ListState
from validator.formats.courier_status import FRESH
from validator.formats.shown import shown

STEP_S = 0.5  # between two pictures
FIRST_S = 6.0  # how long the first word of a lane may take: its clerk may be adopting a list
TAPS_SHOWN = 8
WIDTH_MIN = 20  # of a terminal that says it has none, too
FIGURES_WIDTH = 38  # a name and four times
ROOM_BYTES_MIN = 200_000_000
_GIB = 1 << 30
_US_PER_MS = 1_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_OUTCOMES = {"admitted": "green", "admitted_with_notice": "green", "denied": "red"}


class _Terminal(Console):
    """A rich console that leaves a closed pipe to the command line: rich exits with 1, which has a meaning here."""

    def on_broken_pipe(self) -> None:
        """Called while a BrokenPipeError is handled."""
        raise  # noqa: PLE0704 — rich calls this in its except block


class TopError(Exception):
    """There is nothing to show; the text is one line."""


def top(config: Config, *, once: bool = False, as_json: bool = False) -> bool:
    """Show the lanes that [console] names, else those of [upload], else this one.

    Returns:
        Whether every lane answered; True when a person ended it.

    Raises:
        TopError: no lane can be asked.
    """
    sockets = _sockets(config)
    gate = Gate(config.gate_id, version("turnike"), sockets)
    shown = _Terminal(width=max(_Terminal().width, WIDTH_MIN))
    if once or as_json or not shown.is_terminal:
        asyncio.run(_once(gate, sockets))
        if as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(gate.state())) + "\n")
        else:
            shown.print(draw(gate))
        return all(lane.up for lane in gate.lanes)
    with suppress(KeyboardInterrupt):
        asyncio.run(_live(gate, sockets, shown))
    return True


def _sockets(config: Config) -> list[Path]:
    if config.console is not None:
        return [Path(lane) for lane in config.console.lanes]
    if config.upload is not None:
        return [Path(lane) for lane in config.upload.lanes]
    if config.reports.socket:
        return [Path(config.reports.socket)]
    raise TopError("there is no reports.socket, so nobody can ask this lane")


async def _once(gate: Gate, sockets: list[Path]) -> None:
    """Until each lane has said how it fares, or that it is not there."""

    async def first_word(lane: Lane, path: Path) -> None:
        async for said in lane_says(path):
            lane.take(said)
            return

    async with asyncio.TaskGroup() as group:
        for lane, path in zip(gate.lanes, sockets, strict=True):
            group.create_task(_at_most(first_word(lane, path)))


async def _at_most(word: Coroutine[None, None, None]) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(word, FIRST_S)


async def _live(gate: Gate, sockets: list[Path], shown: Console) -> None:
    ended = asyncio.Event()

    async def follow(lane: Lane, path: Path) -> None:
        async for said in lane_says(path):
            lane.take(said)

    with _keys(ended.set), Live(draw(gate), console=shown, screen=True, auto_refresh=False) as live:
        followers = [asyncio.create_task(follow(*both)) for both in zip(gate.lanes, sockets, strict=True)]
        while not ended.is_set():
            live.update(draw(gate), refresh=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), STEP_S)
        for follower in followers:
            follower.cancel()


@contextmanager
def _keys(end: Callable[[], None]) -> Iterator[None]:
    """Hear single keys of the terminal, if it is one; q ends it."""
    if not sys.stdin.isatty():
        yield
        return
    fd, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(fd)

    def heard() -> None:
        if "q" in sys.stdin.read(1):
            end()

    tty.setcbreak(fd)
    loop.add_reader(fd, heard)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def draw(gate: Gate) -> RenderableType:
    """The whole picture."""
    faults = [(lane, fault) for lane in gate.lanes for fault in faults_of(lane)]
    if faults:
        verdict = Text.assemble(("! ", "bold red"), (f"{gate.head['gate_id']}: ", "bold"))
        verdict.append("; ".join(_named(gate, lane) + fault for lane, fault in faults), "red")
    else:
        verdict = Text.assemble(
            ("✓ ", "bold green"), (f"{gate.head['gate_id']} ", "bold"), ("is well", "green")
        )
    keys = Text("q ends this. A token is for one run of a lane only, and no card's number.", style="dim")
    return Group(verdict, *(_lane(lane) for lane in gate.lanes), keys)


def _named(gate: Gate, lane: Lane) -> str:
    return f"lane {lane.number}: " if len(gate.lanes) > 1 else ""


def faults_of(lane: Lane) -> list[str]:
    """What is wrong with it, the worst first, each in a few words; what is only worth knowing is not among them."""
    status = lane.status
    if not lane.up or status is None:
        return [f"not running ({lane.problem})"]
    lost = [f"{device} lost" for device in ("reader", "board") if status.devices.get(device) != "ready"]
    told = {
        f"list {status.list_state}": status.list_state != ListState.FRESH.value,
        f"reports cannot be kept: {status.reports_trouble}": bool(status.reports_trouble),
        f"{status.reports_refused} reports lost": status.reports_refused > 0,
        f"{status.reports_rejected} reports put aside": bool(status.reports_rejected),
        "hardly any room on the disk": status.disk_free_bytes is not None
        and status.disk_free_bytes < ROOM_BYTES_MIN,
        "housing open": status.tamper,
        **_courier_faults(status.courier),
    }
    return lost + [fault for fault, is_so in told.items() if is_so]


def _courier_faults(courier: CourierSays | None) -> dict[str, bool]:
    if courier is None:  # not known: a gate need not have one
        return {}
    return {
        "courier: has not asked the city for too long": bool(courier.silent),
        f"courier: {courier.state}: {courier.problem}": courier.state != FRESH,
    }


def _lane(lane: Lane) -> RenderableType:
    title = Text(f"lane {lane.number or shown(lane.socket)}")
    status = lane.status
    if not lane.up or status is None:
        return Panel(Text(lane.problem, style="red"), title=title, box=box.ROUNDED)
    halves = Table.grid(expand=True, padding=(0, 2))
    halves.add_column(ratio=1)
    halves.add_column(width=FIGURES_WIDTH)
    halves.add_row(_facts(status), _figures(status))
    return Panel(Group(halves, _taps(lane, status)), title=title, box=box.ROUNDED)


def _facts(status: Status) -> Table:
    rows = Table.grid(padding=(0, 2))
    for device in ("reader", "board"):
        state = status.devices.get(device, "not heard yet")
        rows.add_row(device, Text(state, style="green" if state == "ready" else "bold red"))
    rows.add_row("list", _list(status))
    rows.add_row("clock", "synchronised" if status.clock_synchronised else "counted from signed time")
    waiting = "unknown how many" if status.reports_waiting is None else f"{status.reports_waiting:,}"
    reports = f"{waiting} waiting, {status.reports_delivered:,} delivered"
    rows.add_row(
        "reports", reports + (f", {status.reports_refused:,} lost" if status.reports_refused else "")
    )
    free = status.disk_free_bytes
    rows.add_row("disk", "unknown" if free is None else f"{free / _GIB:.1f} GiB free")
    rows.add_row("courier", Text(_courier(status)))
    rows.add_row("emergency", Text("ON: arms are free", style="bold red") if status.emergency else "off")
    rows.add_row("forced", f"{status.forced:,} times" if status.forced else "never")
    rows.add_row("running", Text(f"{_time(status.uptime_s)}, version {status.version}"))
    return rows


def _courier(status: Status) -> str:
    if status.courier is None:
        return "unknown"
    ago = _time(max(status.unix_s - status.courier.polled_unix_s, 0))
    return f"{status.courier.state}, asked the city {ago} ago"


def _list(status: Status) -> str:
    if status.list_version is None or status.list_issued_unix_s is None:
        return status.list_state
    age = _time(status.unix_s - status.list_issued_unix_s)
    return f"{status.list_version}, {status.list_state}, {age} old, {status.list_cards:,} cards"


def _figures(status: Status) -> RenderableType:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for name in ("", "p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, told in (("decided", status.decided_us), ("kept", status.filed_us), ("told", status.told_us)):
        table.add_row(name, *_percentiles(told))
    outcomes = taps_by_outcome(status.taps)
    counted = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in outcomes.items())
    return Group(table, Text(counted or "no tap yet", style="dim"))


def _percentiles(told: Percentiles) -> list[str]:
    if not told.count:
        return ["–"] * 4
    return [_duration(us) for us in (told.p50, told.p99, told.p999, told.max)]


def _taps(lane: Lane, status: Status) -> Table:
    table = Table(box=None, expand=True, header_style="dim")
    for name in ("token", "shown", "decided", "told", "ago"):
        table.add_column(name, justify="left" if name in ("token", "shown") else "right")
    for tap in list(lane.taps)[:TAPS_SHOWN]:
        shown = Text(tap.outcome.replace("_", " "), style=_OUTCOMES.get(tap.outcome, "yellow"))
        ago = _time(max(status.unix_s - tap.unix_s, 0))
        table.add_row(
            tap.token or "–",
            shown,
            _duration(tap.decided_us),
            "–" if tap.told_us is None else _duration(tap.told_us),
            ago,
        )
    return table


def _duration(us: int) -> str:
    return f"{us} µs" if us < _US_PER_MS else f"{us / _US_PER_MS:.1f} ms"


def _time(seconds: int) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S} h {seconds % _HOUR_S // _MINUTE_S} min"
    return f"{seconds // _DAY_S} d {seconds % _DAY_S // _HOUR_S} h"
