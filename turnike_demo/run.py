"""Runs the demo: founds a city, starts back office, courier, lane and a crowd with simulated devices as children, and watches them all.

The children are the commands that anybody can start by hand. What is judged is judged by the crowd, from what its passengers saw, and by the
city, from the reports that it received. The result goes to standard output as one JSON object, the last line; everything for a person's eyes
goes to standard error.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from rich.console import Console

from turnike_demo.chaos import TAPS_MIN as CHAOS_TAPS_MIN
from turnike_demo.chaos import Chaos
from turnike_demo.children import Child, Ear, Heard, Line
from turnike_demo.city.network import Network
from turnike_demo.city.office import Office, OfficeError
from turnike_demo.city.people import People
from turnike_demo.city.story import TAPS_MIN, Story, StoryError
from turnike_demo.crowd import Pace, crowd
from turnike_demo.folder import folder
from turnike_demo.gate import CROWDS_LANE, Gate, free_port
from turnike_demo.hearing import TURN_S, DemoError, Hearing, StoppedError
from turnike_demo.lane_watch import LaneWatch
from turnike_demo.programs import LASTING, Programs
from turnike_demo.terminal.keys import press
from turnike_demo.terminal.terminal import single_keys
from turnike_demo.terminal.view import Seen, shown
from turnike_demo.turnstile.visit import Visit
from turnike_demo.turnstile.web_side import PORT as PAGE_PORT
from validator.errors import LaneGoneError
from validator.ipc.client import LaneClient

DECK_TAPS_MIN = 2_000
TAPS_KEPT = 20  # the crowd waits here for the story to go on
DRAINED_S = 120.0  # how long the last reports may take to the city


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
        self._hearing = Hearing(self._ear, self._take)
        self._summary: dict[str, Any] = {}
        self._problems: list[str] = []
        self._is_asked_to_end = False
        self._is_over = False
        self._crowd: Child | None = None  # comes last
        self._terminals = [each for each in (0, 1, 2) if os.isatty(each)]

    def run(self) -> int:
        """Run it; returns the exit code: 0 only if every tap was right, the story went well, and no report was lost or doubled."""
        code, result = 1, {}
        with self._ear, ExitStack() as stack:
            try:
                self._folder = stack.enter_context(folder())
                result = self._played(stack)
            except StoppedError as error:
                self._problems.append(str(error))
                code = error.code
            except (OfficeError, DemoError, StoryError) as error:
                self._problems.append(str(error))
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                _write_nowhere(self._terminals)  # it is gone, and its SIGHUP is on the way
                code = 128 + signal.SIGHUP
        for problem in self._problems:
            self._console.print(f"[red]{problem}[/]")
        if not result:
            return code
        print(json.dumps(result), flush=True)  # noqa: T201 — the command's answer
        is_right = (
            not self._problems and not self._seen.wrong and self._summary.get("wrong", 0) == 0
        )
        return 0 if is_right and not (result["reports_lost"] or result["reports_duplicated"]) else 1

    def _played(self, stack: ExitStack) -> dict[str, Any]:
        """All of it; the result. Everything that it starts is on the stack."""
        self._office = Office(
            self._folder, lambda *asked, **more: self._hearing.run(self._office, *asked, **more)
        )
        stack.enter_context(self._programs)
        self.listen(self._office.clerk())
        people = self._found()
        self._start(stack)
        if not self._is_scripted:
            stack.callback(self._welcome(people).close)
        self._watch(people)
        return self._result()

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
        self._office.ask(name, *arguments)

    def ask(self, uid: bytes, outcome: str, *, report: bool) -> None:
        """See story.World."""
        self.tell_crowd(f"next {uid.hex()} {outcome} {'true' if report else 'false'}")

    def let_come(self) -> None:
        """See story.World."""
        self.tell_crowd("step")

    @property
    def network(self) -> str:
        """See visitor.World."""
        return self._network.state

    @property
    def courier(self) -> str:
        """See visitor.World."""
        return self._seen.courier

    def cut(self) -> None:
        """See story.World: nothing passes any more, neither lists nor reports. The city's server runs on."""
        self._network.cut()
        self._seen.network = self._network.state

    def mend(self) -> None:
        """See story.World."""
        self._network.mend()
        self._seen.network = self._network.state

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
        """See visitor.World."""
        self._programs.begin(name)

    def pull(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """See visitor.World."""
        for heard in self._programs.pull(name, number):
            self._take(heard)

    def listen(self, child: Child) -> Child:
        """See visitor.World."""
        return self._programs.listen(child)

    def either(self, kind: str) -> None:
        """See errands.World."""
        self.tell_crowd(f"either {kind}")

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
        port = free_port()
        self._network = Network(port)
        stack.callback(self._network.close)
        url = f"http://127.0.0.1:{self._network.port}/"
        self._gate = Gate(self._folder, self._office, url, lanes=1 if self._is_scripted else 2)
        self._config = self._gate.config()
        self._programs.belong_to(self._office, self._gate)
        self.listen(self._office.server(port))
        self._hearing.wait_for("server", lambda heard: "text" in heard.line)
        self.listen(self._gate.enrol())
        if self._hearing.wait_for("enrol", lambda heard: heard.line.get("event") == "ended").line[
            "code"
        ]:
            raise DemoError("the gate could not be enrolled; it said why")
        for name in ("publisher", "courier", "lane"):
            self.begin(name)
        self._socket = LaneClient(self._gate.socket(CROWDS_LANE))
        watch = stack.enter_context(
            closing(LaneWatch("lane-status", self._gate.socket(CROWDS_LANE)))
        )
        self._ear.attend(watch)
        self._hearing.wait_for(
            "lane", lambda heard: heard.line.get("event") == "list" and heard.line["list_version"]
        )
        deck = self._folder / "deck.jsonl"
        pace: Pace = "watched" if self._taps is None else "chaos" if self._chaos else "scripted"
        self._crowd = self.listen(
            crowd(self._gate, deck, self._seed, self._timing, self._taps, pace)
        )

    def _welcome(self, people: People) -> Visit:
        """Open a lane to a visitor."""
        visit = Visit(self, self._gate, self._office, people.tray, self._timing, self._page_port)
        visit.start(self._ear)
        self._visit, self._seen.page = visit, visit.url
        if not self._console.is_terminal:
            self._console.print(f"a turnstile to play with: {visit.url}", soft_wrap=True)
        return visit

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
                heard_now = [*self._hearing.hear(self._wait_s), Heard("clock", {"event": "tick"})]
                for heard in heard_now:
                    self._take(heard)
                    if telling is not None:
                        try:
                            telling.send(heard)
                        except StopIteration:
                            telling = None
                            self.tell_crowd("resume")
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
        self.tell_crowd(f"pause {self._taps - TAPS_KEPT}")
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
            case _, "ended" if line.get("err"):
                self._console.print(line["err"].strip(), markup=False, soft_wrap=True)
            case "operator", _:
                self._operator(line["event"], line)
        if heard.is_("crowd", "tap") and line["report"]:
            self._again += line["tries"] - 1
        self._show(heard.source, line)

    def _operator(self, event: str, line: Line) -> None:
        match event:
            case "key":
                press(self, line["key"], self._commuter)
            case "hangup":
                _write_nowhere(self._terminals)
                raise StoppedError("the terminal was closed", signal.SIGHUP)
            case "orphaned":
                raise StoppedError(
                    "ended, since the program that started the demo has ended", signal.SIGHUP
                )
            case "signal" if self._crowd is None:
                raise StoppedError("ended before anybody came", line["number"])
            case "signal" if self._is_asked_to_end:
                raise DemoError("ended by force: what was still on its way was not counted")
            case "signal":
                self._is_asked_to_end = True
                self.tell_crowd("quit")

    def _show(self, source: str, line: Line) -> None:
        if source == "crowd":
            self._seen.crowd_line(line)
        elif source == "lane":
            self._seen.log_line(line)
        elif source == "courier":
            self._seen.courier_line(line)
        elif source == "lane-status":
            self._seen.status = line["status"] or {}

    def tell_crowd(self, words: str) -> None:
        """See keys.World."""
        if self._crowd is not None:
            self._crowd.say(words)

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
            self._hearing.take(TURN_S)
            try:
                if self._socket.status()["reports_waiting"] == 0:
                    return
            except LaneGoneError as error:
                self._problems.append(str(error))
                return
        self._problems.append("reports still wait on the gate")


def _write_nowhere(descriptors: Iterable[int]) -> None:
    """These were a terminal and are none any more: what is still written has nobody to read it, and must not fail."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)
