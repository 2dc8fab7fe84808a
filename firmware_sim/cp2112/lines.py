"""The eight lines: what drives each, and the level that results. No I/O, no clock."""

from dataclasses import dataclass, field

__all__ = ["COUNT", "Lines"]

COUNT = 8
ALL = (1 << COUNT) - 1


@dataclass(slots=True)
class Lines:
    """The registers of the chip, and what the world outside does; bit n is line n.

    A line has a resistor outside that pulls it up, or down where `pulled_down` has its bit: that
    is its level while nobody drives it.

    Attributes:
        outputs: the lines that the chip drives.
        push_pull: those of them that drive both levels; the others only pull to 0.
        latch: the level that an output drives. *Assumed*: 0 after a reset, as are the two above.
        driven: the lines that the world drives, a contact for example.
        world: the level to which it drives them.
    """

    outputs: int = 0
    push_pull: int = 0
    latch: int = 0
    pulled_down: int = 0
    driven: int = 0
    world: int = field(default=0)

    @property
    def levels(self) -> int:
        """Return the level of every line."""
        idle = self.driven & self.world | ~self.driven & ~self.pulled_down & ALL
        high = self.outputs & self.latch & (self.push_pull | idle)
        return high | ~self.outputs & idle & ALL

    def set(self, latch: int, mask: int) -> None:
        """Take new levels for the outputs in the mask; an input keeps none (AN495, 4.4)."""
        mask &= self.outputs
        self.latch = self.latch & ~mask | latch & mask

    def drive(self, line: int, level: int | None) -> None:
        """Let the world drive a line, or let go of it (None)."""
        bit = 1 << line
        self.driven = self.driven & ~bit if level is None else self.driven | bit
        self.world = self.world | bit if level else self.world & ~bit

    def reset(self) -> None:
        """Start afresh; the world stays as it is."""
        self.outputs = self.push_pull = self.latch = 0
