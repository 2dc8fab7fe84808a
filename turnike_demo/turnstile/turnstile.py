"""The visitor's turnstile: the visitor's lane and the page's server, driven by the demo's loop.

turnstile = Turnstile(demo, gate, back_office, people.tray, timing, page_port)
turnstile.start(sources)
turnstile.take(event)            # each event of the demo
turnstile.turn()                 # between two waits; `wait_s` bounds the wait
turnstile.close()
"""

import time
from collections.abc import Mapping
from typing import Any

from turnike_demo.city.back_office import BackOffice
from turnike_demo.gate.gate import Gate
from turnike_demo.processes.event_sources import EventSources
from turnike_demo.processes.events import Event
from turnike_demo.turnstile.page_server import PageServer
from turnike_demo.turnstile.refusals import RefusedError
from turnike_demo.turnstile.visitor_lane import VisitorControls, VisitorLane

NS_PER_S = 1_000_000_000


class Turnstile:
    """One lane, and any number of pages that show it."""

    def __init__(
        self,
        demo: VisitorControls,
        gate: Gate,
        back_office: BackOffice,
        tray: Mapping[str, bytes],
        timing: str,
        page_port: int,
    ) -> None:
        """Bind the port and serve pages; they get a scene after the first `turn`.

        Args:
            demo: starts and ends programs.
            gate: has the visitor's lane.
            back_office: has the cut-off date.
            tray: the UIDs of the visitor's cards by name.
            timing: `ideal` or `real`, of the simulated devices.
            page_port: the port of the page; another if it is taken.
        """
        self._lane = VisitorLane(demo, gate, back_office, tray, timing)
        self._server = PageServer(page_port)
        self._published: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._server.url

    def start(self, sources: EventSources) -> None:
        """Start the visitor's lane, and take events of pages."""
        self._lane.start()
        sources.add(self._server)
        sources.add(self._lane.watch)

    def take(self, event: Event) -> None:
        """Take an event of a child or of a page."""
        line = event.line
        match event.source, line["event"]:
            case "visitor", "verb":
                try:
                    self._lane.do(line["verb"])
                    line["answer"]("")
                except RefusedError as error:
                    line["answer"](str(error))
            case "visitor", "page":
                self._lane.page_opened()
            case _:
                self._lane.take(event)

    def turn(self) -> None:
        """Do what is due, and send the scene to the pages if it changed."""
        self._lane.turn(time.monotonic_ns())
        scene = self._lane.picture()
        if scene != self._published:
            self._published = scene
            self._server.publish(scene)

    @property
    def wait_s(self) -> float:
        """How long nothing is due, in seconds."""
        return max(self._lane.due_ns - time.monotonic_ns(), 0) / NS_PER_S

    def put_plug_in(self) -> None:
        """Put the plug in if the visitor has pulled it."""
        self._lane.put_plug_in()

    def close(self) -> None:
        """Close the page's server and stop asking the lane."""
        self._server.close()
        self._lane.watch.close()
