"""Runs the demo: builds a city, starts the crowd with its simulated devices and the lane as children, and watches both.

The children are the commands that anybody can start by hand; what is judged is judged by the crowd, from what its passengers saw.
The result goes to standard output as one JSON object, the last line; everything for a person's eyes goes to standard error.
"""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from validator.demo.city import City, build
from validator.demo.view import Seen, draw

SCRIPTED_PACE_MS = 20
WATCHED_PACE_MS = 1_200  # about as a busy turnstile
DECK_TAPS_MIN = 2_000
REDRAW_S = 0.1
TOLD_EVERY_TAPS = 50  # how often a run without a terminal says how far it is
END_WAIT_S = 10
_PR_SET_PDEATHSIG = 1

CONFIG = """\
gate_id = "demo"
[reader]
driver = "pn532"
device = "{folder}/reader"
[board]
device = "{folder}/board"
[list]
folder = "{lists}"
keys = "{keys}"
stale = "decide"
missing = "deny"
[reports]
folder = "{folder}/reports"
reserve_mb = 0
"""


class Demo:
    """One run of the demo."""

    def __init__(self, *, cards: int, taps: int | None, seed: int, timing: str) -> None:
        """`taps` None runs until Ctrl-C at a pace to watch."""
        self._cards = cards
        self._taps = taps
        self._seed = seed
        self._timing = timing
        self._console = Console(stderr=True)
        self._seen = Seen(cards)
        self._summary: dict[str, Any] = {}
        self._final: dict[str, Any] = {}
        self._told_taps = 0

    def run(self) -> int:
        """Run it; returns the exit code: 0 only if every tap was right and no report was lost or doubled."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnike-demo-")))
            city = self._build(folder)
            config = folder / "validator.toml"
            config.write_text(CONFIG.format(folder=folder, lists=city.lists, keys=city.keys))
            crowd = stack.enter_context(_child(self._crowd_command(folder, city)))
            lane = stack.enter_context(
                _child([sys.executable, "-m", "validator", "lane", "--config", str(config)])
            )
            right = self._watch(crowd, lane)
        result = self._result()
        print(json.dumps(result), flush=True)  # noqa: T201 — the command's answer
        return 0 if right and not (result["reports_lost"] or result["reports_duplicated"]) else 1

    def _build(self, folder: Path) -> City:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress:
            tasks: dict[str, Any] = {}

            def say(rule: str, done: int, total: int) -> None:
                if rule not in tasks:
                    tasks[rule] = progress.add_task(f"list of {rule} cards", total=total)
                progress.update(tasks[rule], completed=done)

            taps = max(self._taps or 0, DECK_TAPS_MIN)
            return build(folder, self._cards, taps, self._seed, int(time.time()), say)

    def _crowd_command(self, folder: Path, city: City) -> list[str]:
        command = [
            sys.executable,
            "-m",
            "firmware_sim",
            "crowd",
            "--deck",
            str(city.deck),
            "--seed",
            str(self._seed),
        ]
        command += [
            "--reader-link",
            f"{folder}/reader",
            "--board-link",
            f"{folder}/board",
            "--timing",
            self._timing,
        ]
        if self._taps is None:
            return [*command, "--forever", "--pace-ms", str(WATCHED_PACE_MS)]
        return [*command, "--taps", str(self._taps), "--pace-ms", str(SCRIPTED_PACE_MS)]

    def _watch(self, crowd: "subprocess.Popen[bytes]", lane: "subprocess.Popen[bytes]") -> bool:
        """Follow both until the crowd is through or somebody presses Ctrl-C; returns whether all was right."""
        asked_to_stop = []

        def stop(number: int, _frame: object) -> None:
            asked_to_stop.append(number)
            for child in (crowd, lane) if crowd.poll() is not None else (crowd,):
                child.terminate()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        with self._view() as redraw:
            for source, line in _lines({"crowd": crowd, "lane": lane}):
                self._take(source, line)
                redraw()
                if source == "crowd" and line.get("event") in ("summary", "ended"):
                    lane.terminate()
        crowd_code, lane_code = crowd.wait(END_WAIT_S), lane.wait(END_WAIT_S)
        return lane_code == 0 and (crowd_code == 0 or (bool(asked_to_stop) and not self._seen.wrong))

    @contextmanager
    def _view(self) -> Iterator[Any]:
        """A live picture on a terminal; elsewhere a line now and then."""
        if not self._console.is_terminal:
            yield self._tell_now_and_then
            return
        drawn_s = 0.0
        with Live(draw(self._seen), console=self._console, auto_refresh=False) as live:

            def redraw() -> None:
                nonlocal drawn_s
                if time.monotonic() - drawn_s >= REDRAW_S:
                    drawn_s = time.monotonic()
                    live.update(draw(self._seen), refresh=True)

            yield redraw
            live.update(draw(self._seen), refresh=True)

    def _tell_now_and_then(self) -> None:
        taps = self._seen.outcomes.total()
        if taps % TOLD_EVERY_TAPS == 0 and taps > self._told_taps:
            self._told_taps = taps
            self._console.print(f"{taps} taps: {dict(self._seen.outcomes)}")

    def _take(self, source: str, line: dict[str, Any]) -> None:
        if source == "crowd":
            self._seen.crowd_line(line)
            if line.get("event") == "summary":
                self._summary = line
            elif line.get("event") == "tap" and not line["right"]:
                self._console.print(f"[red]wrong:[/] {line}")
        else:
            self._seen.log_line(line)
            if line.get("event") == "stopped":
                self._final = line

    def _result(self) -> dict[str, Any]:
        """The line that contracts promise. Until reports travel, a report waiting in the lane counts as received."""
        summary, final = self._summary, self._final
        expected, received = summary.get("reports_expected", 0), final.get("reports_waiting", 0)
        return {
            "taps": summary.get("taps", 0),
            "admitted": summary.get("admitted", 0),
            "denied": summary.get("denied", 0),
            "retry": summary.get("retry", 0),
            "reports_received": received,
            "reports_lost": max(expected - received, 0),
            "reports_duplicated": max(received - expected, 0),
            "list_version": final.get("list_version"),
            "tap_to_gate_ms": summary.get("tap_to_gate_ms", {}),
        }


@contextmanager
def _child(command: list[str]) -> "Iterator[subprocess.Popen[bytes]]":
    """A child in a group of its own, so that Ctrl-C is ours to pass on; it ends with us, whatever ends us."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 — this process has no other thread
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(END_WAIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _lines(children: "dict[str, subprocess.Popen[bytes]]") -> Iterator[tuple[str, dict[str, Any]]]:
    """The JSON lines of all children as they come, with an `ended` of each, until every one has closed its end."""
    with selectors.DefaultSelector() as selector:
        pending: dict[str, bytes] = {}
        for name, child in children.items():
            pipe: IO[bytes] | None = child.stdout
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
                pending[name] = b""
        while selector.get_map():
            for key, _ in selector.select():
                name = str(key.data)
                data = os.read(key.fd, 65_536)
                if not data:
                    selector.unregister(key.fileobj)
                    yield name, {"event": "ended"}
                    continue
                *whole, pending[name] = (pending[name] + data).split(b"\n")
                for line in whole:
                    yield name, json.loads(line)
