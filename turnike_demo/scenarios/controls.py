"""What a scenario can do to the demo, and see of it."""

from collections.abc import Generator
from typing import Protocol

from turnike_demo.processes.events import Event

Steps = Generator[None, Event, None]
"""A scenario under way: `next` starts it, `send` gives it each event, and it returns at its end."""


class Controls(Protocol):
    """What every scenario needs of the demo."""

    def cut(self) -> None:
        """Cut the network."""

    def restore(self) -> None:
        """Restore the network."""

    def announce(self, text: str) -> None:
        """Show a line to the operator."""
