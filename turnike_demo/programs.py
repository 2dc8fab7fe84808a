"""The programs that run as long as the demo does, by their names: how each is started, and how it is ended in the middle of what it does.

programs = Programs(ear, office, gate)
programs.begin("courier")
for heard in programs.pull("courier", signal.SIGKILL): ...      # what it had still said
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

from turnike_demo.children import Child, Ear, Heard
from turnike_demo.city.office import Office
from turnike_demo.gate import CROWDS_LANE, VISITORS_LANE, Gate

DAEMONS = {  # what they run, and by the configuration of which lane
    "courier": ("courier", CROWDS_LANE),
    "lane": ("lane", CROWDS_LANE),
    "visitor-lane": ("lane", VISITORS_LANE),
    "console": ("console", CROWDS_LANE),
}
LASTING = {
    "crowd",
    "publisher",
    "courier",
    "lane",
    "visitor-lane",
    "visitor-reader",
    "visitor-board",
}
"""They end only with the demo. The console is one that the gate can do without."""


class Programs:
    """All children of a demo. A context manager: they end with it."""

    def __init__(self, ear: Ear) -> None:
        """They are heard there."""
        self._ear = ear
        self._stack = ExitStack()
        self._daemons: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def belong_to(self, office: Office, gate: Gate) -> None:
        """Daemons are these ones' from now on."""
        self._office, self._gate = office, gate

    def listen(self, child: Child) -> Child:
        """Hear this child from now on, and end it at the end."""
        self._stack.callback(child.close)
        self._ear.listen(child)
        return child

    def begin(self, name: str) -> None:
        """Start this daemon."""
        if name == "publisher":
            self._daemons[name] = self.listen(self._office.publisher())
            return
        command, lane = DAEMONS[name]
        config = str(self._gate.config(lane))
        self._daemons[name] = self.listen(Child(name, "validator", command, "--config", config))

    def kill(self, name: str) -> None:
        """SIGKILL. Its end is heard as that of any other."""
        self._daemons[name].process.kill()

    def end(self, name: str) -> None:
        """SIGTERM, and wait. Its end is heard as that of any other."""
        self._daemons[name].end()

    def pull(self, name: str, number: signal.Signals) -> Iterator[Heard]:
        """End it by a signal, and wait; what it had still said. Its end is not heard."""
        child = self._daemons[name]
        child.process.send_signal(number)
        child.process.wait()
        self._ear.forget(child)
        for line in child.last_words():
            yield Heard(name, line)
        child.close()
