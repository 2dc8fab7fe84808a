"""The lines of a GPIO chip as this driver uses them: a port with five methods.

`chip.py` has the kernel's chips behind it. Simulated chips are in firmware_sim/gpio/; tests open
the board on them. Both pass one suite (tests/contracts/boards/lines_contract.py).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from validator.lane.boards.gpio.wiring import Input, Output


class ChipError(Exception):
    """The lines cannot be had now; the text is one clear line."""


class Lines(Protocol):
    """Lines of one chip that this process alone holds. True is active, whatever the polarity.

    Every method but `close` raises OSError (ENODEV) once the chip is gone.
    """

    def fileno(self) -> int:
        """Return a descriptor that is readable while edges wait."""

    def set(self, values: Mapping[int, bool]) -> None:
        """Drive these outputs at once; the key is the line's number."""

    def get(self, lines: Sequence[int]) -> dict[int, bool]:
        """Read the levels of these lines now; those of inputs are debounced."""

    def edges(self) -> Sequence[tuple[int, bool, int]]:
        """Return the edges that wait, oldest first, and never block.

        Returns:
            For each: its line, whether the line became active, and the monotonic time in ns at
            which the kernel noticed it.
        """

    def close(self) -> None:
        """Give the lines back. Their outputs may keep what was set last. Never raises."""


OpenLines = Callable[[str, Sequence[Output], Sequence[Input]], Lines]
"""Opens lines of the chip with this label: outputs inactive, inputs with edges of both kinds.

Raises ChipError, or OSError if the chip refuses.
"""
