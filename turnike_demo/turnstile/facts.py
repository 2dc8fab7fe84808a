"""What came of each switch, as it was measured: the page says of a switch what stands here, and nothing else. Pure.

    facts = Facts()
    facts.cut(now_unix_s); facts.decided(3); facts.mended(waited=2)
    facts.picture()

Times are Unix seconds of the demo's clock, durations its monotonic clock's.
"""

from dataclasses import dataclass
from typing import Any

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Cut:
    """The network, cut once."""

    since_unix_s: float
    decided: int = 0  # taps with a verdict while it was cut
    waited: int | None = None  # reports that waited when it was mended


@dataclass(slots=True)
class _Pull:
    """The plug, pulled once."""

    on_disk: frozenset[str] | None  # reports that lay on the lane's disk when its process was dead
    put_in_ns: int | None = None
    took_ms: int | None = None
    kept: int | None = None  # of those, how many the lane had, or had delivered, when it was back


@dataclass(slots=True)
class _Lost:
    """The reader, unplugged once."""

    since_unix_s: float
    city_knows: bool = False
    plugged_ns: int | None = None
    took_ms: int | None = None


@dataclass(slots=True)
class _Forced:
    """Arms that were forced: the board says so, and the lane, each in its own time."""

    count: int = 0
    noticed: bool = False  # the last one, by the lane
    _by_board: int = 0  # both since the lane was started or ended last
    _by_lane: int = 0

    def by_board(self) -> None:
        self.count += 1
        self._by_board += 1
        self.noticed = self._by_lane >= self._by_board

    def by_lane(self) -> None:
        self._by_lane += 1
        if self._by_board:
            self.noticed = self._by_lane >= self._by_board

    def anew(self) -> None:
        self._by_board = self._by_lane = 0


class Facts:
    """Of each switch, what came of it the last time; nothing of one that nobody has touched."""

    def __init__(self) -> None:
        self._cut: _Cut | None = None
        self._pull: _Pull | None = None
        self._lost: _Lost | None = None
        self._forced = _Forced()

    # The network

    def cut(self, now_unix_s: float) -> None:
        """It is cut."""
        self._cut = _Cut(now_unix_s)

    def decided(self) -> None:
        """A tap had a verdict."""
        if self._cut is not None and self._cut.waited is None:
            self._cut.decided += 1

    def mended(self, waited: int) -> None:
        """It is mended, and so many reports waited."""
        if self._cut is not None:
            self._cut.waited = waited

    # The plug

    def pulled(self, on_disk: frozenset[str] | None) -> None:
        """The lane's process is dead, and these reports lie on its disk."""
        self._pull = _Pull(on_disk)
        self._forced.anew()

    def put_in(self, now_ns: int) -> None:
        """Its programs were started."""
        self._forced.anew()
        if self._pull is not None:
            self._pull.put_in_ns = now_ns

    def back(self, now_ns: int, waiting: frozenset[str] | None, delivered: int) -> None:
        """The lane serves again: it has these reports, and has delivered so many since its start."""
        pull = self._pull
        if pull is None or pull.put_in_ns is None or pull.took_ms is not None:
            return
        pull.took_ms = (now_ns - pull.put_in_ns) // NS_PER_MS
        if pull.on_disk is not None and waiting is not None:
            there = len(pull.on_disk & waiting)
            pull.kept = min(there + delivered, len(pull.on_disk))

    # The reader

    def lost(self, now_unix_s: float) -> None:
        """It is unplugged."""
        self._lost = _Lost(now_unix_s)

    def plugged(self, now_ns: int) -> None:
        """It is plugged in again."""
        if self._lost is not None:
            self._lost.plugged_ns = now_ns

    def found(self, now_ns: int) -> None:
        """The lane says that it has its reader."""
        lost = self._lost
        if lost is not None and lost.plugged_ns is not None and lost.took_ms is None:
            lost.took_ms = max(now_ns - lost.plugged_ns, 0) // NS_PER_MS

    @property
    def city_should_know(self) -> bool:
        """Whether the reader is away, and the city has not been heard to know it."""
        return (
            self._lost is not None and self._lost.plugged_ns is None and not self._lost.city_knows
        )

    def city_knows(self) -> None:
        """The city says that the reader is away."""
        if self._lost is not None:
            self._lost.city_knows = True

    # The arms

    def forced_by_board(self) -> None:
        """The board says that its locked arms were forced."""
        self._forced.by_board()

    def forced_by_lane(self) -> None:
        """The lane says that it was told so."""
        self._forced.by_lane()

    def picture(self) -> dict[str, Any]:
        """As the page gets it; None for a switch that was not touched."""
        cut, pull, lost = self._cut, self._pull, self._lost
        return {
            "cut": cut
            and {"since_unix_s": cut.since_unix_s, "decided": cut.decided, "waited": cut.waited},
            "pull": pull
            and {
                "on_disk": None if pull.on_disk is None else len(pull.on_disk),
                "kept": pull.kept,
                "took_ms": pull.took_ms,
            },
            "lost": lost
            and {
                "since_unix_s": lost.since_unix_s,
                "city_knows": lost.city_knows,
                "took_ms": lost.took_ms,
            },
            "forced": {"count": self._forced.count, "noticed": self._forced.noticed},
        }
