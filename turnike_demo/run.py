"""Runs one demo: sets up a city, starts its programs as children, and watches them all.

The children are the commands that an operator can start by hand. The verdicts are judged by the
crowd, from what its passengers saw; the reports by the city, from those that it received. The
result goes to standard output as one JSON object, the last line; everything for an operator's eyes
goes to standard error.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from rich.console import Console

from turnike_demo.city.back_office import BackOffice
from turnike_demo.city.network import Network
from turnike_demo.city.people import People
from turnike_demo.controls import Controls
from turnike_demo.errors import DemoError, StoppedError
from turnike_demo.folder import folder
from turnike_demo.gate.crowd_process import Pace, crowd
from turnike_demo.gate.gate import CROWDS_LANE, Gate, free_port
from turnike_demo.gate.lane_watch import LaneWatch
from turnike_demo.gate.visitors_reader import ReaderKind
from turnike_demo.processes.event_pump import TURN_S, EventPump
from turnike_demo.processes.event_sources import EventSources
from turnike_demo.processes.events import Event, Line
from turnike_demo.processes.programs import LASTING, Programs
from turnike_demo.scenarios.chaos import TAPS_MIN as CHAOS_TAPS_MIN
from turnike_demo.scenarios.chaos import Chaos
from turnike_demo.scenarios.controls import Steps
from turnike_demo.scenarios.suspensions import TAPS_MIN, Suspensions
from turnike_demo.terminal.keys import press
from turnike_demo.terminal.terminal import single_keys
from turnike_demo.terminal.view import ViewState, live_view
from turnike_demo.turnstile.page_server import PORT as PAGE_PORT
from turnike_demo.turnstile.turnstile import Turnstile
from validator.errors import LaneGoneError
from validator.ipc.client import LaneClient

DECK_TAPS_MIN = 2_000
TAPS_KEPT = 20  # the crowd waits with so many taps left until the scenario has ended
DRAINED_S = 120.0  # how long the last reports may take to the city


class Demo:
    """One run of the demo."""

    def __init__(
        self,
        *,
        cards: int,
        taps: int | None,
        seed: int,
        timing: str,
        chaos: bool = False,
        page_port: int = PAGE_PORT,
        reader: ReaderKind = "pn532",
    ) -> None:
        """Prepare a run; nothing is started.

        Args:
            cards: how many cards the city has issued.
            taps: after how many taps it ends; None runs until Ctrl-C, at a pace to watch and with
                a visitor's turnstile.
            seed: draws the cards and the crowd.
            timing: `ideal` or `real`, of the simulated chip.
            chaos: with `taps`: cut the network and kill processes, instead of the suspensions.
            page_port: the port of the turnstile's page; another if it is taken.
            reader: the kind of the turnstile's reader.
        """
        self._page_port = page_port
        self._reader: ReaderKind = reader
        self._turnstile: Turnstile | None = None
        self._is_scripted = taps is not None
        self._chaos = chaos
        # Reports that the city received twice with good reason: a killed lane had stored the
        # report and not shown the denial, so the passenger came again.
        self._reported_again = 0
        self._cards = cards
        self._taps = taps
        self._seed = seed
        self._timing = timing
        self._console = Console(stderr=True)
        self._view = ViewState(cards)
        self._sources = EventSources()
        self._programs = Programs(self._sources)
        self._pump = EventPump(self._sources, self._take)
        self._summary: dict[str, Any] = {}
        self._problems: list[str] = []
        self._is_asked_to_end = False
        self._is_over = False
        self._terminals = [each for each in (0, 1, 2) if os.isatty(each)]

    def run(self) -> int:
        """Run it to its end.

        Returns:
            The exit code: 0 if every tap was right, the scenario came to its end, and no report
            was lost or doubled; 128 and the signal if a signal or a closed terminal ended it;
            else 1.
        """
        code, result = 1, {}
        with self._sources, ExitStack() as stack:
            try:
                self._folder = stack.enter_context(folder())
                result = self._run(stack)
            except StoppedError as error:
                self._problems.append(str(error))
                code = error.code
            except DemoError as error:
                self._problems.append(str(error))
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                _redirect_to_null(self._terminals)  # the terminal was closed; SIGHUP follows
                code = 128 + signal.SIGHUP
        for problem in self._problems:
            self._console.print(f"[red]{problem}[/]")
        if not result:
            return code
        print(json.dumps(result), flush=True)  # noqa: T201 — the command's answer
        is_right = (
            not self._problems and not self._view.wrong and self._summary.get("wrong", 0) == 0
        )
        return 0 if is_right and not (result["reports_lost"] or result["reports_duplicated"]) else 1

    def _run(self, stack: ExitStack) -> dict[str, Any]:
        """Run it and return the result. Everything that it starts is closed by the stack."""
        self._back_office = BackOffice(
            self._folder,
            lambda *command, **more: self._pump.run_command(self._back_office, *command, **more),
        )
        self._controls = Controls(
            self._programs, self._back_office, self._view, self._console, self._take
        )
        stack.enter_context(self._programs)
        self._programs.add(self._back_office.batch())
        people = self._set_up_city()
        self._start(stack)
        if not self._is_scripted:
            stack.callback(self._open_turnstile(people).close)
        self._watch(people)
        return self._result()

    # Starting

    def _set_up_city(self) -> People:
        with self._console.status("founding a city") as status:
            people = People.draw(
                np.random.default_rng(self._seed),
                self._cards,
                max(self._taps or 0, DECK_TAPS_MIN),
                visitor=not self._is_scripted,
            )
            self._back_office.set_up(people, int(time.time()), status.update)
        people.write_deck(self._folder / "deck.jsonl")
        return people

    def _start(self, stack: ExitStack) -> None:
        port = free_port()
        network = Network(port)
        stack.callback(network.close)
        self._controls.connect(network)
        url = f"http://127.0.0.1:{network.port}/"
        lanes = 1 if self._is_scripted else 2
        self._gate = Gate(self._folder, self._back_office, url, lanes, self._reader)
        self._config = self._gate.config()
        self._programs.run_for(self._back_office, self._gate)
        self._programs.add(self._back_office.server(port))
        self._pump.wait_for("server", lambda event: "text" in event.line)
        self._enrol()
        for name in ("publisher", "courier", "lane"):
            self._programs.start(name)
        self._lane = LaneClient(self._gate.socket(CROWDS_LANE))
        watch = LaneWatch("lane-status", self._gate.socket(CROWDS_LANE))
        self._sources.add(stack.enter_context(closing(watch)))
        self._pump.wait_for(
            "lane", lambda event: event.line.get("event") == "list" and event.line["list_version"]
        )
        deck = self._folder / "deck.jsonl"
        pace: Pace = "watched" if self._taps is None else "chaos" if self._chaos else "scripted"
        self._controls.start_crowd(
            crowd(self._gate, deck, self._seed, self._timing, self._taps, pace)
        )

    def _enrol(self) -> None:
        self._programs.add(self._gate.enrol())
        ended = self._pump.wait_for("enrol", lambda event: event.line.get("event") == "ended")
        if ended.line["code"]:
            raise DemoError("the gate could not be enrolled; the reason is above")

    def _open_turnstile(self, people: People) -> Turnstile:
        """Start the visitor's lane and page."""
        self._gate.visitors_reader.start(
            self._programs.add,
            lambda name: str(
                self._pump.wait_for(name, lambda event: "text" in event.line).line["text"]
            ),
        )
        turnstile = Turnstile(
            self._controls,
            self._gate,
            self._back_office,
            people.tray,
            self._timing,
            self._page_port,
        )
        turnstile.start(self._sources)
        self._turnstile, self._view.page = turnstile, turnstile.url
        if not self._console.is_terminal:
            self._console.print(f"a turnstile to play with: {turnstile.url}", soft_wrap=True)
        return turnstile

    def _first_line(self, name: str) -> str:
        """Wait for the first line of this child."""
        return str(self._pump.wait_for(name, lambda event: "text" in event.line).line["text"])

    # Watching

    def _watch(self, people: People) -> None:
        """Take all events until the crowd has ended, or the operator ends the demo."""
        self._commuter = people.commuters[-1].hex()
        steps = self._scenario(people)
        if steps is not None:
            next(steps)
        with (
            live_view(self._view, self._console) as redraw,
            single_keys(sys.stdin.fileno() if sys.stdin else -1) as has_keys,
        ):
            if has_keys and self._taps is None:
                self._sources.add_keys(sys.stdin.fileno())
            while not self._is_over:
                for event in [*self._pump.wait(self._wait_s), Event("clock", {"event": "tick"})]:
                    self._take(event)
                    if steps is not None:
                        try:
                            steps.send(event)
                        except StopIteration:
                            steps = None
                            self._controls.send_to_crowd("resume")
                if self._turnstile is not None:
                    self._turnstile.turn()
                if not self._is_over:  # the last view shows the demo before its programs end
                    redraw()
        if steps is not None and not self._problems:
            self._problems.append("the crowd's taps were over before the scenario was")

    def _scenario(self, people: People) -> Steps | None:
        """Return what happens while the crowd comes; None for nothing."""
        if self._taps is None:
            return None
        if self._chaos:
            return Chaos(self._controls, max(self._taps, CHAOS_TAPS_MIN)).steps()
        if self._taps < TAPS_MIN:
            self._controls.announce(
                f"fewer than {TAPS_MIN} taps: over before anything happens in the city"
            )
            return None
        self._controls.send_to_crowd(f"pause {self._taps - TAPS_KEPT}")
        return Suspensions(self._controls, people.commuters).steps()

    @property
    def _wait_s(self) -> float:
        return TURN_S if self._turnstile is None else min(TURN_S, self._turnstile.wait_s)

    def _take(self, event: Event) -> None:
        line = event.line
        if self._turnstile is not None:
            self._turnstile.take(event)
        match event.source, line.get("event"):
            case "crowd", "summary":
                self._summary, self._is_over = line, True
            case ("lane" | "courier") as name, "ended" if self._controls.was_killed(name):
                self._controls.restart(name)
            case "crowd", "tap" if not line["right"]:
                self._console.print(f"[red]wrong:[/] {line}")
            case name, "ended" if name in LASTING and not self._is_over:
                self._problems.append(f"the {name} ended before the demo")
                self._is_over = True
            case _, "ended" if line.get("err"):
                self._console.print(line["err"].strip(), markup=False, soft_wrap=True)
            case "operator", _:
                self._take_operator(line["event"], line)
        if event.is_("crowd", "tap") and line["report"]:
            self._reported_again += line["tries"] - 1
        self._show(event.source, line)

    def _take_operator(self, name: str, line: Line) -> None:
        match name:
            case "key":
                press(self._controls, line["key"], self._commuter)
            case "hangup":
                _redirect_to_null(self._terminals)
                raise StoppedError("the terminal was closed", signal.SIGHUP)
            case "orphaned":
                raise StoppedError(
                    "ended, since the program that started the demo has ended", signal.SIGHUP
                )
            case "signal" if not self._controls.has_crowd:
                raise StoppedError("ended before the crowd came", line["number"])
            case "signal" if self._is_asked_to_end:
                raise DemoError("ended by force: reports that were under way were not counted")
            case "signal":
                self._is_asked_to_end = True
                self._controls.send_to_crowd("quit")

    def _show(self, source: str, line: Line) -> None:
        if source == "crowd":
            self._view.crowd_line(line)
        elif source == "lane":
            self._view.log_line(line)
        elif source == "courier":
            self._view.courier_line(line)
        elif source == "lane-status":
            self._view.status = line["status"]

    # The end

    def _result(self) -> dict[str, Any]:
        """Return the JSON object of the last line."""
        self._drain()
        counts = self._back_office.reports(CROWDS_LANE)
        summary = self._summary
        expected, received = summary.get("reports_expected", 0), counts["received"]
        self._programs.end("lane")
        return {
            "taps": summary.get("taps", 0),
            "admitted": summary.get("admitted", 0),
            "denied": summary.get("denied", 0),
            "retry": summary.get("retry", 0),
            "reports_received": received,
            "reports_lost": max(expected - received, counts["missing"], 0),
            "reports_duplicated": max(received - expected - self._reported_again, 0),
            "list_version": self._controls.list_version or None,
            "tap_to_gate_ms": summary.get("tap_to_gate_ms", {}),
        }

    def _drain(self) -> None:
        """Wait until the crowd's lane has delivered every report."""
        if self._controls.network == "cut":
            self._controls.restore()
        if self._turnstile is not None:
            self._turnstile.put_plug_in()
        until_s = time.monotonic() + DRAINED_S
        while time.monotonic() < until_s:
            self._pump.dispatch(TURN_S)
            try:
                if self._lane.outbox_status().reports_waiting == 0:
                    return
            except LaneGoneError as error:
                self._problems.append(str(error))
                return
        self._problems.append(f"reports still wait at the gate after {DRAINED_S:.0f} s")


def _redirect_to_null(descriptors: Iterable[int]) -> None:
    """Point descriptors of a terminal that was closed to /dev/null, so that writing cannot fail."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)
