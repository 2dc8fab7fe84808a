"""A visitor's stay in the demo: the visitor's lane and the web server together, driven from the demo's own loop.

    visit = Visit(world, gate, office, people.tray, timing, page_port)
    visit.start(ear)
    visit.take(heard)            # each line of each child, and what comes from pages
    visit.turn()                 # between two waits; `wait_s` says how long they may be
    visit.close()

It owns neither the demo's children nor its loop.
"""

import time
from collections.abc import Mapping
from typing import Any

from turnike_demo.children import Ear, Heard
from turnike_demo.city.office import Office
from turnike_demo.gate import Gate
from turnike_demo.turnstile.visitor import RefusedError, Visitor, World
from turnike_demo.turnstile.web_side import Turnstile

NS_PER_S = 1_000_000_000


class Visit:
    """One visitor, in front of any number of pages."""

    def __init__(
        self,
        world: World,
        gate: Gate,
        office: Office,
        tray: Mapping[str, bytes],
        timing: str,
        page_port: int,
    ) -> None:
        """The port is bound now; pages are served from now on, and see a scene after the first `turn`."""
        self._visitor = Visitor(world, gate, office, tray, timing)
        self._turnstile = Turnstile(page_port)
        self._shown: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._turnstile.url

    def start(self, ear: Ear) -> None:
        """Start the visitor's lane, and listen to pages."""
        self._visitor.start()
        ear.attend(self._turnstile)
        ear.attend(self._visitor.watch)

    def take(self, heard: Heard) -> None:
        """One line of one of the demo's children, or a page's."""
        line = heard.line
        match heard.source, line["event"]:
            case "visitor", "verb":
                try:
                    self._visitor.do(line["verb"])
                    line["answer"]("")
                except RefusedError as error:
                    line["answer"](str(error))
            case "visitor", "page":
                self._visitor.page_opened()
            case _:
                self._visitor.take(heard)

    def turn(self) -> None:
        """Do what is due, and tell the pages if there is something new to see."""
        self._visitor.turn(time.monotonic_ns())
        scene = self._visitor.picture()
        if scene != self._shown:
            self._shown = scene
            self._turnstile.publish(scene)

    @property
    def wait_s(self) -> float:
        """How long nothing is due."""
        return max(self._visitor.due_ns - time.monotonic_ns(), 0) / NS_PER_S

    def put_in(self) -> None:
        """Put the plug in, if the visitor has pulled it."""
        self._visitor.put_in()

    def close(self) -> None:
        """Let the pages go."""
        self._turnstile.close()
        self._visitor.watch.close()
