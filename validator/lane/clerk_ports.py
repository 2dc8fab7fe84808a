"""What the clerk needs from the world besides ports.py, as Protocols: where lists and times come from, who asks, and where the log goes."""

from collections.abc import Generator, Mapping
from typing import Any, Protocol

from validator.domain.rules import RuleSet
from validator.ipc.requests import Request
from validator.ipc.signed_time import SignedTime
from validator.lane.ports import WallClock
from validator.lists.names import ListName


class Looked(Protocol):
    """What a look at the list folder found: the rules in force from now on, and one clear line for each thing wrong."""

    @property
    def rules(self) -> RuleSet | None:
        """None while there is no usable list."""

    @property
    def cards(self) -> int:
        """How many entries its tables have."""

    @property
    def problems(self) -> tuple[str, ...]:
        """For the log."""

    @property
    def refused(self) -> tuple[ListName, ...]:
        """The lists that are not used, of which `problems` say why."""

    @property
    def is_news(self) -> bool:
        """False when the same list came from other files: not worth a line."""


class ListSource(Protocol):
    """Where lists come from."""

    def looking(self) -> Generator[None, None, Looked | None]:
        """What there is now, or None when nothing has changed since the last look, in steps that each take a moment. Never raises."""


class FoundTime(Protocol):
    """What the courier left of the newest signed time, or in one line why that cannot be told."""

    @property
    def signed(self) -> SignedTime | None:
        """None if it cannot be told."""

    @property
    def problem(self) -> str:
        """For the log."""


class TimeSource(Protocol):
    """Where signed times come from."""

    def look(self) -> FoundTime | None:
        """What there is now, or None when nothing has changed since the last look. Never raises."""


class KeptClock(WallClock, Protocol):
    """The clock, as its keeper sees it."""

    def refresh(self) -> None:
        """Ask the kernel whether it is synchronised."""

    def begin_with(self, accepted: SignedTime) -> None:
        """Count from this signed time."""

    def raise_floor(self, issued_unix_s: int) -> None:
        """Count from a list's own time while there is no signed one."""


class Log(Protocol):
    """Where one JSON object a line goes."""

    def line(self, fields: Mapping[str, Any]) -> None:
        """Write one line, or drop and count it when nobody takes it. Never raises, never waits."""


class Asked(Protocol):
    """A request, and who asks."""

    @property
    def caller(self) -> Any:
        """For `Callers.answer`."""

    @property
    def request(self) -> Request:
        """What is asked."""


class Callers(Protocol):
    """The gate's other programs, as far as they have something to ask. `wake` may be called from any thread."""

    @property
    def news(self) -> list[str]:
        """What a person should hear of the way to them, a line each; whoever tells it takes it out."""

    def wait(self, limit_s: float) -> None:
        """Until somebody asks, or `wake`, or the limit."""

    def wake(self) -> None:
        """End the wait."""

    def take(self) -> Asked | None:
        """The next request."""

    def answer(self, caller: Any, answer: Mapping[str, Any]) -> None:
        """Answer it; a caller that has gone hears nothing."""

    def tell(self, event: Mapping[str, Any]) -> None:
        """Tell an event to whoever watches."""


class Seals(Protocol):
    """Seals what reports say of a card."""

    def seal_to(self, public: bytes | None) -> None:
        """Seal to this key from now on."""

    def prepare(self) -> None:
        """Do for the next card what can be done before it comes."""
