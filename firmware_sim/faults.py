"""Named faults of a simulated device: how they are parsed, and whether one strikes this time.

The device does what the fault does, where it happens. The random generator is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

ALWAYS, NEXT = -1, 1
DELAY_MAX_MS = 600_000  # ten minutes; a longer one is a typing mistake
COUNT_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        value: what its value means: `ms`, `stage`, `number` (from 1), or None without a value.
        often: how often it strikes without a WHEN: ALWAYS or NEXT.
        help: a line of help.
        value_required: whether it needs a value.
        stages: the values of a `stage`.
    """

    value: str | None
    often: int
    help: str
    value_required: bool = False
    stages: tuple[str, ...] = ()


LINE_FAULTS = {
    "echo": Kind(
        "ms", ALWAYS, "the line gives the lane back what it sends, MS (0) milliseconds later"
    ),
    "echo-cut": Kind(None, ALWAYS, "the line gives the lane back a part of what it sends"),
    "dead": Kind(
        None, ALWAYS, "the device receives nothing and sends nothing; the line and its echo stay"
    ),
}


@dataclass(slots=True)
class Fault:
    """One fault that is on.

    Attributes:
        name: a key of the device's faults.
        value: milliseconds, a number, or a stage's name; None when the fault has none.
        left: how many strikes are left; `ALWAYS` for no end.
        probability: of each strike, 0 to 1.
    """

    name: str
    value: int | str | None = None
    left: int = ALWAYS
    probability: float = 1.0


def parse(text: str, kinds: Mapping[str, Kind]) -> Fault:
    """Parse `NAME`, `NAME=WHEN`, `NAME=VALUE` or `NAME=VALUE/WHEN`.

    WHEN is a count (3: the next three) or a probability (0.1).

    Raises:
        ValueError: an unknown name, or a value that does not fit; the text has those that do.
    """
    name, _, rest = text.partition("=")
    kind = kinds.get(name)
    if kind is None:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(kinds)}")
    value, when = ("", rest) if kind.value is None else _split(rest)
    if kind.value_required and not value:
        raise ValueError(f"{name} needs a value: {name}={str(kind.value).upper()}")
    fault = Fault(name, _value(kind, name, value), kind.often)
    if when:
        _limit(fault, when)
    return fault


class Faults:
    """The faults that are on. One of each name; setting it again replaces it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._on: dict[str, Fault] = {}

    def set(self, fault: Fault) -> None:
        """Switch a fault on."""
        self._on[fault.name] = fault

    def clear(self) -> None:
        """Switch all of them off."""
        self._on.clear()

    def names(self) -> list[str]:
        """Return the names of the faults that are on."""
        return list(self._on)

    def on(self, name: str) -> bool:
        """Return whether the fault is on and has strikes left."""
        fault = self._on.get(name)
        return fault is not None and fault.left != 0

    def strike(self, name: str) -> Fault | None:
        """Draw whether the fault strikes this time; return the fault, or None.

        A strike lowers the fault's count; at its end the fault is off.
        """
        fault = self._on.get(name)
        if fault is None or fault.left == 0:
            return None
        if fault.probability < 1 and self.random.random() >= fault.probability:
            return None
        if fault.left > 0:
            fault.left -= 1
            if fault.left == 0:
                del self._on[name]
        return fault

    def count_down(self, name: str) -> Fault | None:
        """Count one time towards a fault whose value is a number; it strikes at the last.

        A fault without a value strikes at once.
        """
        fault = self._on.get(name)
        if fault is not None and isinstance(fault.value, int) and fault.value > 1:
            fault.value -= 1
            return None
        return self.strike(name)


def _split(rest: str) -> tuple[str, str]:
    value, _, when = rest.partition("/")
    return value, when


def _value(kind: Kind, name: str, text: str) -> int | str | None:
    if not text:
        return None
    if kind.value == "stage":
        if text not in kind.stages:
            raise ValueError(
                f"{name}: no stage is called {text!r}; there are {', '.join(kind.stages)}"
            )
        return text
    if kind.value == "number":
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= COUNT_MAX):
            raise ValueError(f"{name}: {text!r} is not a number from 1 to {COUNT_MAX}")
        return int(text)
    if not (text.isascii() and text.isdigit() and int(text) <= DELAY_MAX_MS):
        raise ValueError(f"{name}: {text!r} is not a number of milliseconds up to {DELAY_MAX_MS}")
    return int(text)


def _limit(fault: Fault, when: str) -> None:
    """Read a count or a probability into the fault."""
    if when.isascii() and when.isdigit() and int(when) <= COUNT_MAX:
        fault.left = int(when)
        return
    try:
        fault.probability = float(when)
    except ValueError:
        fault.probability = -1.0
    if not 0 < fault.probability <= 1:
        raise ValueError(
            f"{fault.name}: {when!r} is neither a count up to {COUNT_MAX} nor a probability above 0"
            " and up to 1"
        )
    fault.left = ALWAYS
