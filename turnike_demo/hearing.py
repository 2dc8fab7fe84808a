"""Waits for what the demo's programs say, and takes each line that comes meanwhile.

hearing = Hearing(ear, demo.take)
hearing.wait_for("server", lambda heard: "text" in heard.line)
"""

import time
from collections.abc import Callable, Iterator

from turnike_demo.children import Ear, Heard
from turnike_demo.city.office import CLERK, Office, OfficeError, answered

TURN_S = 0.1
STARTS_S = 120.0  # how long a program may take to start, on a busy machine
FOUNDED_S = 3_600.0  # how long a command of the city's may take: an import of 40 million cards


class DemoError(Exception):
    """The demo could not be played; the message is one clear line."""


class StoppedError(DemoError):
    """Somebody ended it before it could end by itself."""

    def __init__(self, why: str, number: int) -> None:
        """`number` is the signal that did."""
        super().__init__(why)
        self.code = 128 + number


class Hearing:
    """The ear of a demo and what hears by it."""

    def __init__(self, ear: Ear, take: Callable[[Heard], None]) -> None:
        """`take` is told each line first, by whomever it was waited for."""
        self._ear = ear
        self._take = take

    def hear(self, limit_s: float) -> Iterator[Heard]:
        """See Ear.hear; answers of the city's commands as those of processes of their own."""
        for heard in self._ear.hear(limit_s):
            yield from answered(heard)

    def take(self, limit_s: float) -> None:
        """Take what comes within this time."""
        for heard in self.hear(limit_s):
            self._take(heard)

    def wait_for(
        self, source: str, wanted: Callable[[Heard], object], limit_s: float = STARTS_S
    ) -> Heard:
        """The first line of this source that is wanted, once it comes. Raises DemoError."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            for heard in self.hear(TURN_S):
                self._take(heard)
                if heard.source == source and wanted(heard):
                    return heard
                if heard.is_(source, "ended"):
                    raise DemoError(f"the {source} ended")
        raise DemoError(f"the {source} does not come")

    def run(self, office: Office, *arguments: str, home: bool = True) -> str:
        """Run a command of the city's to its end; what it printed. Raises OfficeError."""
        office.ask(CLERK, *arguments, home=home)
        printed: list[str] = []

        def is_done(heard: Heard) -> bool:
            printed.append(heard.line.get("text", ""))
            return heard.line.get("event") == "ended"

        line = self.wait_for(CLERK, is_done, FOUNDED_S).line
        if line["code"]:
            raise OfficeError(
                f"turnike-backoffice {' '.join(arguments[:2])}: {line.get('err', '').strip()}"
            )
        return "\n".join(printed)
