"""The programs that run as long as the demo, by name: how each starts and ends.

programs = Programs(sources)
programs.run_for(back_office, gate)
programs.start("courier")
for event in programs.end_unseen("courier", signal.SIGKILL): ...
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Self

from turnike_demo.city.back_office import BackOffice
from turnike_demo.gate.gate import CROWDS_LANE, VISITORS_LANE, Gate
from turnike_demo.gate.visitors_reader import PCSC_DAEMON, RIG
from turnike_demo.processes.child import Child
from turnike_demo.processes.event_sources import EventSources
from turnike_demo.processes.events import Event

# Each of the gate's programs: the command of `turnike`, and the lane whose configuration it reads.
GATE_PROGRAMS = {
    "courier": ("courier", CROWDS_LANE),
    "lane": ("lane", CROWDS_LANE),
    "visitor-lane": ("lane", VISITORS_LANE),
    "console": ("console", CROWDS_LANE),
}
# They end only with the demo. The console is missing: a gate can do without it.
LASTING = {
    "crowd",
    "publisher",
    "courier",
    "lane",
    "visitor-lane",
    "visitor-reader",
    "visitor-board",
    RIG,
    PCSC_DAEMON,
}


class Programs:
    """All children of a demo. A context manager: it ends them all."""

    def __init__(self, sources: EventSources) -> None:
        """Events of the children come from `sources`."""
        self._sources = sources
        self._stack = ExitStack()
        self._running: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run_for(self, back_office: BackOffice, gate: Gate) -> None:
        """Set whose programs `start` starts. Call it before `start`."""
        self._back_office, self._gate = back_office, gate

    def add(self, child: Child) -> Child:
        """Take events of this child from now on, and end it with the others."""
        self._stack.callback(child.close)
        self._sources.add_child(child)
        return child

    def start(self, name: str) -> None:
        """Start `publisher`, or one of GATE_PROGRAMS."""
        if name == "publisher":
            self._running[name] = self.add(self._back_office.publisher())
            return
        command, lane = GATE_PROGRAMS[name]
        config = str(self._gate.config(lane))
        prefix = self._gate.visitors_reader.prefix if name == "visitor-lane" else ()
        self._running[name] = self.add(
            Child(name, *prefix, "validator", command, "--config", config)
        )

    def kill(self, name: str) -> None:
        """Send SIGKILL; its event `ended` follows."""
        self._running[name].process.kill()

    def end(self, name: str) -> None:
        """Send SIGTERM and wait; its event `ended` follows."""
        self._running[name].end()

    def end_unseen(self, name: str, number: signal.Signals) -> Iterator[Event]:
        """Send a signal and wait; yield its last lines. No event `ended` follows."""
        child = self._running[name]
        child.process.send_signal(number)
        child.process.wait()
        self._sources.forget(child)
        for line in child.remaining_lines():
            yield Event(name, line)
        child.close()
