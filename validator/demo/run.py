"""Runs the demo: founds a city, starts back office, courier, lane and a crowd with simulated devices as children, and watches them all.

The children are the commands that anybody can start by hand. What is judged is judged by the crowd, from what its passengers saw, and by the
city, from the reports that it received. The result goes to standard output as one JSON object, the last line; everything for a person's eyes
goes to standard error.
"""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from validator.adapters.lane_client import LaneClient
from validator.carrier_ports import LaneGoneError
from validator.demo.chaos import TAPS_MIN as CHAOS_TAPS_MIN
from validator.demo.chaos import Chaos
from validator.demo.children import Child, Ear, Heard, Line
from validator.demo.city import People
from validator.demo.gate import CROWDS_LANE, EnrolmentError, Gate, free_port
from validator.demo.lane_watch import LaneWatch
from validator.demo.office import Office, OfficeError
from validator.demo.programs import LASTING, Programs
from validator.demo.story import TAPS_MIN, Story, StoryError
from validator.demo.terminal import single_keys
from validator.demo.turnstile import PORT as PAGE_PORT
from validator.demo.view import Seen, shown
from validator.demo.visit import Visit

SCRIPTED_PACE_MS = 60
CHAOS_PACE_MS = 20
WATCHED_PACE_MS = 1_200  # about as a busy turnstile
DECK_TAPS_MIN = 2_000
TURN_S = 0.1
TAPS_KEPT = 20  # the crowd waits here for the story to go on
DRAINED_S = 120.0  # how long the last reports may take to the city


class DemoError(Exception):
    """The demo could not be played; the message is one clear line."""


class Demo:
    """One run of the demo. It is the World of the story, of chaos, and of a visitor."""

    def __init__(
        self,
        *,
        cards: int,
        taps: int | None,
        seed: int,
        timing: str,
        chaos: bool = False,
        page_port: int = PAGE_PORT,
    ) -> None:
        """`taps` None runs until Ctrl-C at a pace to watch, with a lane for a visitor and a page on `page_port`, or another if it is taken.

        `chaos` cuts the network and kills processes instead of telling the story.
        """
        self._page_port = page_port
        self._visit: Visit | None = None
        self._is_scripted = taps is not None
        self._chaos = chaos
        self._again = 0  # denials that a killed lane had reported and not shown: the passenger came again, and was reported again
        self._killed: set[str] = set()
        self._cards = cards
        self._taps = taps
        self._seed = seed
        self._timing = timing
        self._console = Console(stderr=True)
        self._seen = Seen(cards)
        self._ear = Ear()
        self._programs = Programs(self._ear)
        self._summary: dict[str, Any] = {}
        self._problems: list[str] = []
        self._is_asked_to_end = False
        self._is_over = False

    def run(self) -> int:
        """Run it; returns the exit code: 0 only if every tap was right, the story went well, and no report was lost or doubled."""
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnike-demo-")))
            self._office = Office(self._folder)
            try:
                people = self._found()
                stack.enter_context(self._ear)
                stack.enter_context(self._programs)
                self._start(stack)
                if not self._is_scripted:
                    stack.callback(self._welcome(people).close)
                self._watch(people)
                result = self._result()
            except (OfficeError, DemoError, StoryError, EnrolmentError) as error:
                self._problems.append(str(error))
                result = {}
        for problem in self._problems:
            self._console.print(f"[red]{problem}[/]")
        if not result:
            return 1
        print(json.dumps(result), flush=True)  # noqa: T201 — the command's answer
        is_right = not self._problems and not self._seen.wrong and self._summary.get("wrong", 0) == 0
        return 0 if is_right and not (result["reports_lost"] or result["reports_duplicated"]) else 1

    # The story's world

    @property
    def list_version(self) -> int:
        """See story.World."""
        return self._seen.list_version or 0

    @property
    def story(self) -> list[str]:
        """See visitor.World."""
        return [*self._seen.story]

    def city(self, name: str, *arguments: str) -> None:
        """See story.World."""
        self.listen(self._office.command(name, *arguments))

    def ask(self, uid: bytes, outcome: str, *, report: bool) -> None:
        """See story.World."""
        self._crowd.say(f"next {uid.hex()} {outcome} {'true' if report else 'false'}")

    def let_come(self) -> None:
        """See story.World."""
        self._crowd.say("step")

    @property
    def network(self) -> str:
        """See visitor.World."""
        return self._seen.network

    @property
    def courier(self) -> str:
        """See visitor.World."""
        return self._seen.courier

    def cut(self) -> None:
        """See story.World: nobody answers any more, neither for lists nor for reports."""
        self._seen.network = "cut"
        self._server.kill()

    def mend(self) -> None:
        """See story.World."""
        self._seen.network = "up"
        self._server = self.listen(self._office.server(self._port))

    def say(self, what: str) -> None:
        """See story.World."""
        self._seen.story.append(what)
        if not self._console.is_terminal:
            self._console.print(what, soft_wrap=True)

    @property
    def judged(self) -> int:
        """See chaos.World."""
        return self._seen.judged

    def kill(self, name: str) -> None:
        """See chaos.World."""
        self._killed.add(name)
        self._programs.kill(name)

    # The visitor's world

    def begin(self, name: str) -> None:
        """See errands.World."""
        self._programs.begin(name)

    def pull(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """See errands.World."""
        for heard in self._programs.pull(name, number):
            self._take(heard)

    def listen(self, child: Child) -> Child:
        """See visitor.World."""
        return self._programs.listen(child)

    def either(self, kind: str) -> None:
        """See errands.World."""
        self._crowd.say(f"either {kind}")

    # Starting

    def _found(self) -> People:
        with self._console.status("founding a city") as status:
            people = People.draw(
                np.random.default_rng(self._seed),
                self._cards,
                max(self._taps or 0, DECK_TAPS_MIN),
                visitor=not self._is_scripted,
            )
            self._office.found(people, int(time.time()), status.update)
        people.write_deck(self._folder / "deck.jsonl")
        return people

    def _start(self, stack: ExitStack) -> None:
        self._port = free_port()
        url = f"http://127.0.0.1:{self._port}/"
        self._gate = Gate(self._folder, self._office, url, lanes=1 if self._is_scripted else 2)
        self._config = self._gate.config()
        self._programs.belong_to(self._office, self._gate)
        self._server = self.listen(self._office.server(self._port))
        self._wait_for("server", lambda heard: "text" in heard.line)
        self._gate.enrol()
        for name in ("publisher", "courier", "lane"):
            self.begin(name)
        self._socket = LaneClient(self._gate.socket(CROWDS_LANE))
        watch = stack.enter_context(closing(LaneWatch("lane-status", self._gate.socket(CROWDS_LANE))))
        self._ear.attend(watch)
        self._wait_for("lane", lambda heard: heard.line.get("event") == "list" and heard.line["list_version"])
        self._crowd = self.listen(Child("crowd", *self._crowd_command()))

    def _welcome(self, people: People) -> Visit:
        """Open a lane to a visitor."""
        visit = Visit(self, self._gate, self._office, people.tray, self._timing, self._page_port)
        visit.start(self._ear)
        self._visit, self._seen.page = visit, visit.url
        if not self._console.is_terminal:
            self._console.print(f"a turnstile to play with: {visit.url}", soft_wrap=True)
        return visit

    def _crowd_command(self) -> list[str]:
        deck, timing = self._folder / "deck.jsonl", self._timing
        command = [
            "firmware_sim",
            "crowd",
            "--deck",
            str(deck),
            "--seed",
            str(self._seed),
            "--timing",
            timing,
        ]
        command += ["--reader-link", str(self._gate.reader(CROWDS_LANE))]
        command += ["--board-link", str(self._gate.board(CROWDS_LANE))]
        if self._taps is None:
            return [*command, "--forever", "--pace-ms", str(WATCHED_PACE_MS)]
        pace_ms = CHAOS_PACE_MS if self._chaos else SCRIPTED_PACE_MS
        return [*command, "--taps", str(self._taps), "--pace-ms", str(pace_ms)]

    def _wait_for(self, source: str, wanted: Any) -> None:
        until_s = time.monotonic() + DRAINED_S
        while time.monotonic() < until_s:
            for heard in self._ear.hear(TURN_S):
                self._take(heard)
                if heard.source == source and wanted(heard):
                    return
                if heard.is_(source, "ended"):
                    raise DemoError(f"the {source} ended")
        raise DemoError(f"the {source} does not come")

    # Watching

    def _watch(self, people: People) -> None:
        """Follow all of them until the crowd is through, or somebody ends it."""
        self._commuter = people.commuters[-1].hex()
        telling = self._told(people)
        if telling is not None:
            next(telling)
        with (
            shown(self._seen, self._console) as redraw,
            single_keys(sys.stdin.fileno() if sys.stdin else -1) as has_keys,
        ):
            if has_keys and self._taps is None:
                self._ear.watch_keys(sys.stdin.fileno())
            while not self._is_over:
                heard_now = [*self._ear.hear(self._wait_s), Heard("clock", {"event": "tick"})]
                for heard in heard_now:
                    self._take(heard)
                    if telling is not None:
                        try:
                            telling.send(heard)
                        except StopIteration:
                            telling = None
                            self._crowd.say("resume")
                if self._visit is not None:
                    self._visit.turn()
                if not self._is_over:  # what ends now is no fault that the last picture should show
                    redraw()
        if telling is not None and not self._problems:
            self._problems.append("the crowd was through before the story was")

    def _told(self, people: People) -> Generator[None, Heard, None] | None:
        """What is to happen, while the crowd comes."""
        if self._taps is None:
            return None
        if self._chaos:
            return Chaos(self, max(self._taps, CHAOS_TAPS_MIN)).told()
        if self._taps < TAPS_MIN:
            self.say(f"fewer than {TAPS_MIN} taps: over before anything happens in the city")
            return None
        self._crowd.say(f"pause {self._taps - TAPS_KEPT}")
        return Story(self, people.commuters).told()

    @property
    def _wait_s(self) -> float:
        return TURN_S if self._visit is None else min(TURN_S, self._visit.wait_s)

    def _take(self, heard: Heard) -> None:
        line = heard.line
        if self._visit is not None:
            self._visit.take(heard)
        match heard.source, line.get("event"):
            case "crowd", "summary":
                self._summary, self._is_over = line, True
            case ("lane" | "courier") as name, "ended" if name in self._killed:
                self._killed.remove(name)
                self.begin(name)
            case "crowd", "tap" if not line["right"]:
                self._console.print(f"[red]wrong:[/] {line}")
            case name, "ended" if name in LASTING and not self._is_over:
                self._problems.append(f"the {name} ended before the demo")
                self._is_over = True
            case "operator", "signal" if self._is_asked_to_end:
                raise DemoError("ended by force: what was still on its way was not counted")
            case "operator", "signal":
                self._is_asked_to_end = True
                self._end_crowd()
            case "operator", "key":
                self._press(line["key"])
        if heard.is_("crowd", "tap") and line["report"]:
            self._again += line["tries"] - 1
        self._show(heard.source, line)

    def _show(self, source: str, line: Line) -> None:
        if source == "crowd":
            self._seen.crowd_line(line)
        elif source == "lane":
            self._seen.log_line(line)
        elif source == "courier":
            self._seen.courier_line(line)
        elif source == "lane-status":
            self._seen.status = line["status"] or {}

    def _end_crowd(self) -> None:
        self._crowd.say("quit")

    def _press(self, key: str) -> None:
        """What somebody at the terminal does to the city."""
        match key:
            case "q":
                self._end_crowd()
            case "n" if self._seen.network == "up":
                self.cut()
                self.say("the network is cut")
            case "n":
                self.mend()
                self.say("the network is mended")
            case "s":
                self.say("a commuter's card is suspended; c lets the commuter come")
                self.city("suspend", "suspend", self._commuter)
            case "l":
                self.say("the commuter's suspension is lifted; c lets the commuter come")
                self.city("lift", "lift", self._commuter)
            case "c":
                self.say("the commuter comes")
                self._crowd.say(f"next {self._commuter} either true")

    # The end

    def _result(self) -> dict[str, Any]:
        """The line that contracts promise."""
        self._drain()
        told = self._office.reports(CROWDS_LANE)
        summary = self._summary
        expected, received = summary.get("reports_expected", 0), told["received"]
        self._programs.end("lane")
        return {
            "taps": summary.get("taps", 0),
            "admitted": summary.get("admitted", 0),
            "denied": summary.get("denied", 0),
            "retry": summary.get("retry", 0),
            "reports_received": received,
            "reports_lost": max(expected - received, told["missing"], 0),
            "reports_duplicated": max(received - expected - self._again, 0),
            "list_version": self.list_version or None,
            "tap_to_gate_ms": summary.get("tap_to_gate_ms", {}),
        }

    def _drain(self) -> None:
        """Wait until no report waits on the gate."""
        if self._seen.network == "cut":
            self.mend()
        if self._visit is not None:
            self._visit.put_in()
        until_s = time.monotonic() + DRAINED_S
        while time.monotonic() < until_s:
            for heard in self._ear.hear(TURN_S):
                self._take(heard)
            try:
                if self._socket.status()["reports_waiting"] == 0:
                    return
            except LaneGoneError as error:
                self._problems.append(str(error))
                return
        self._problems.append("reports still wait on the gate")
