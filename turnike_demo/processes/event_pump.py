"""Waits for one event, and passes on every other event that comes meanwhile.

pump = EventPump(sources, demo.take)
pump.wait_for("server", lambda event: "text" in event.line)
"""

import time
from collections.abc import Callable, Iterator

from turnike_demo.city.back_office import BATCH, BackOffice, batch_answers
from turnike_demo.errors import CityCommandError, DemoError
from turnike_demo.processes.event_sources import EventSources
from turnike_demo.processes.events import Event

TURN_S = 0.1
STARTS_S = 120.0  # how long a program may take to start, on a busy machine
COMMAND_S = 3_600.0  # how long a city's command may take: an import of 40 million cards


class EventPump:
    """Takes events from the sources and hands each to the demo."""

    def __init__(self, sources: EventSources, take: Callable[[Event], None]) -> None:
        """`take` gets every event first, also one that a caller waits for."""
        self._sources = sources
        self._take = take

    def wait(self, limit_s: float) -> Iterator[Event]:
        """See `EventSources.wait`; an answer of the batch process comes as `batch_answers` has it.

        These events are not handed to `take`.
        """
        for event in self._sources.wait(limit_s):
            yield from batch_answers(event)

    def dispatch(self, limit_s: float) -> None:
        """Wait up to `limit_s` and hand what came to `take`."""
        for event in self.wait(limit_s):
            self._take(event)

    def wait_for(
        self, source: str, wanted: Callable[[Event], object], limit_s: float = STARTS_S
    ) -> Event:
        """Return the first event of `source` for which `wanted` is true.

        Raises:
            DemoError: the source ended first, or no such event came within `limit_s`.
        """
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            for event in self.wait(TURN_S):
                self._take(event)
                if event.source == source and wanted(event):
                    return event
                if event.is_(source, "ended"):
                    raise DemoError(f"the {source} ended before it was ready")
        raise DemoError(f"the {source} was not ready after {limit_s:.0f} s")

    def run_command(self, back_office: BackOffice, *arguments: str, home: bool = True) -> str:
        """Run a command of the city's to its end; return what it printed.

        Raises:
            CityCommandError: the command failed.
        """
        back_office.start_command(BATCH, *arguments, home=home)
        printed: list[str] = []

        def is_done(event: Event) -> bool:
            printed.append(event.line.get("text", ""))
            return event.line.get("event") == "ended"

        line = self.wait_for(BATCH, is_done, COMMAND_S).line
        if line["code"]:
            raise CityCommandError(
                f"turnike-backoffice {' '.join(arguments[:2])}: {line.get('err', '').strip()}"
            )
        return "\n".join(printed)
