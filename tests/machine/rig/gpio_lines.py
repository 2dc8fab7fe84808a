"""The lines of the guest's GPIO chip, held by the driver that a gate uses, in the guest."""

import json
from typing import Any

from tests.machine.rig.guest import Guest

LABEL = "cp2112_gpio"


class CallError(Exception):
    """A call raised in the guest; `kind` is the exception's name."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class GuestLines:
    """One program in the guest that holds lines; calls as validator.lane.boards.gpio.Lines."""

    def __init__(self, guest: Guest) -> None:
        self._program = guest.python("-m", "tests.machine.inside.gpio_calls")

    def open(self, outputs: list[tuple[int, bool]], inputs: list[tuple[int, bool, int]]) -> None:
        """Open outputs (line, active_low) and inputs (line, active_low, debounce_ms)."""
        self._call("open", LABEL, outputs, inputs)

    def set(self, values: dict[int, bool]) -> None:
        """Drive outputs."""
        self._call("set", values)

    def get(self, line: int) -> bool:
        """Read a line."""
        return bool(self._call("get", [line])[str(line)])

    def next_edge(self) -> tuple[int, bool]:
        """Wait for an edge; return its line, and whether the line became active."""
        line, is_active, at_ns = self._call("edge")
        assert at_ns > 0
        return line, is_active

    def close(self) -> None:
        """Give the lines back."""
        self._call("close")

    def kill(self) -> None:
        """End the program at once: the kernel closes what it holds."""
        self._program.kill()

    def _call(self, name: str, *arguments: object) -> Any:
        self._program.say(json.dumps([name, *arguments]))
        answer = self._program.wait_for(lambda line: line.get("did") == name)
        if "error" in answer:
            raise CallError(answer["error"], answer["text"])
        return answer["value"]
