"""Calls on the lines of a GPIO chip, by the driver that a gate uses: one a line of input.

Each is a JSON list, such as ["open", "cp2112_gpio", [[0, true]], [[1, true, 20]]] or
["set", {"0": true}]; each answer is an object with `did`, and `value` or `error`.
"""

import json
import select
import sys
from typing import Any

from validator.lane.boards.gpio.chip import open_lines
from validator.lane.boards.gpio.lines import ChipError, Lines
from validator.lane.boards.gpio.wiring import Input, Output


class Caller:
    """Holds the lines between two calls."""

    def __init__(self) -> None:
        self._lines: Lines | None = None
        self._edges: list[tuple[int, bool, int]] = []

    def open(self, label: str, outputs: list[Any], inputs: list[Any]) -> None:
        """Open outputs (number, active_low) and inputs (number, active_low, debounce_ms)."""
        self._lines = open_lines(
            label,
            [Output(line, active_low) for line, active_low in outputs],
            [Input(line, active_low, "none", debounce) for line, active_low, debounce in inputs],
        )

    def set(self, values: dict[str, bool]) -> None:
        """Drive outputs."""
        self._held().set({int(line): on for line, on in values.items()})

    def get(self, lines: list[int]) -> dict[int, bool]:
        """Read levels."""
        return self._held().get(lines)

    def edge(self) -> tuple[int, bool, int]:
        """Wait for the next edge; one that waited while another was taken comes first."""
        while not self._edges:
            select.select([self._held().fileno()], [], [])
            self._edges += self._held().edges()
        return self._edges.pop(0)

    def close(self) -> None:
        """Give the lines back."""
        self._held().close()

    def _held(self) -> Lines:
        assert self._lines is not None
        return self._lines


def main() -> None:
    """Serve until the input ends."""
    caller = Caller()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"value": getattr(caller, name)(*arguments)}
        except (OSError, ChipError) as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        sys.stdout.write(json.dumps({"did": name, **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
