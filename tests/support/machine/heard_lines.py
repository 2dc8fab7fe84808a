"""What a program prints, line by line, and how a test waits for the line that it wants.

Nothing here waits for time to pass. It waits for a line, with a time limit, and fails with all
lines so far if the line does not come.
"""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

WAIT_S = 90.0  # a shared machine may stall for seconds; a test that passes never waits so long

Line = dict[str, Any]


class HeardLines(ABC):
    """The JSON lines of one program; a line that is no JSON object is {"text": line}."""

    def __init__(self, name: str) -> None:
        self.heard: list[Line] = []
        self.name = name
        self._looked = 0

    @property
    def text(self) -> list[str]:
        """The lines so far that are no JSON objects."""
        return [line["text"] for line in self.heard if "text" in line]

    def add(self, line: bytes) -> None:
        """Take a line that the program has printed."""
        self.heard.append(_parsed(line))

    def first_line(self) -> str:
        """The first line as text: a simulated device's path."""
        return str(self.wait_for(lambda line: "text" in line)["text"])

    def wait_for(self, wanted: Callable[[Line], bool], wait_s: float = WAIT_S) -> Line:
        """The next line that is wanted, after the one found last; `heard` keeps all lines."""
        deadline_s = time.monotonic() + wait_s
        while True:
            while self._looked < len(self.heard):
                self._looked += 1
                if wanted(self.heard[self._looked - 1]):
                    return self.heard[self._looked - 1]
            if not self.hear(deadline_s - time.monotonic()):
                raise AssertionError(
                    f"{self.name}: the line did not come; lines so far: {self.heard[-30:]}"
                    f" {self.last_words()}"
                )

    def event(self, name: str, wait_s: float = WAIT_S, **fields: object) -> Line:
        """The next line with this `event` and these fields."""
        return self.wait_for(
            lambda line: (
                line.get("event") == name
                and all(line.get(key) == value for key, value in fields.items())
            ),
            wait_s,
        )

    def catch_up(self) -> list[Line]:
        """All lines so far, without waiting."""
        while self.hear(0):
            pass
        self._looked = len(self.heard)
        return self.heard

    @abstractmethod
    def hear(self, wait_s: float) -> bool:
        """Take more lines within a time; False when none came and, after its end, none will."""

    @abstractmethod
    def last_words(self) -> str:
        """Return what may explain that a line did not come: an exit code, complaints."""


def _parsed(line: bytes) -> Line:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": line.decode(errors="replace")}
