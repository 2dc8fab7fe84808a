"""The measured result of each of the page's switches; the page shows nothing else. Pure.

    results = SwitchResults()
    results.network_cut(now_unix_s); results.decided(); results.network_restored(waited=2)
    results.picture()

Points in time are Unix seconds of the demo's clock, durations of its monotonic clock.
"""

from dataclasses import dataclass
from typing import Any

NS_PER_MS = 1_000_000


@dataclass(slots=True)
class _Cut:
    """The last cut of the network.

    Attributes:
        since_unix_s: when it began.
        decided: taps with a verdict during the cut.
        waited: reports that waited when the network was restored; None during the cut.
    """

    since_unix_s: float
    decided: int = 0
    waited: int | None = None


@dataclass(slots=True)
class _Pull:
    """The last pull of the plug.

    Attributes:
        on_disk: the ids of the reports on the lane's disk once its process was dead.
        put_in_ns: when its programs were started again.
        took_ms: how long until the lane served again.
        kept: how many of `on_disk` the lane then had, or had delivered.
    """

    on_disk: frozenset[str] | None
    put_in_ns: int | None = None
    took_ms: int | None = None
    kept: int | None = None


@dataclass(slots=True)
class _Unplugged:
    """The last time that the reader was unplugged."""

    since_unix_s: float
    city_knows: bool = False
    plugged_ns: int | None = None
    took_ms: int | None = None


@dataclass(slots=True)
class _Forced:
    """Arms that were forced; board and lane report each of them, in any order."""

    count: int = 0
    noticed: bool = False  # whether the lane has reported the last one
    _by_board: int = 0  # both since the lane last started or ended
    _by_lane: int = 0

    def by_board(self) -> None:
        self.count += 1
        self._by_board += 1
        self.noticed = self._by_lane >= self._by_board

    def by_lane(self) -> None:
        self._by_lane += 1
        if self._by_board:
            self.noticed = self._by_lane >= self._by_board

    def lane_changed(self) -> None:
        self._by_board = self._by_lane = 0


class SwitchResults:
    """The last result of each switch; None for a switch that was not touched."""

    def __init__(self) -> None:
        self._cut: _Cut | None = None
        self._pull: _Pull | None = None
        self._unplugged: _Unplugged | None = None
        self._forced = _Forced()

    # The network

    def network_cut(self, now_unix_s: float) -> None:
        """Note that the network was cut."""
        self._cut = _Cut(now_unix_s)

    def decided(self) -> None:
        """Note that a tap got a verdict."""
        if self._cut is not None and self._cut.waited is None:
            self._cut.decided += 1

    def network_restored(self, waited: int) -> None:
        """Note that the network was restored while `waited` reports waited at the gate."""
        if self._cut is not None:
            self._cut.waited = waited

    # The plug

    def plug_pulled(self, on_disk: frozenset[str] | None) -> None:
        """Note that the lane's process is dead.

        `on_disk` has the ids of the reports on its disk; None if the disk could not be read.
        """
        self._pull = _Pull(on_disk)
        self._forced.lane_changed()

    def plug_put_in(self, now_ns: int) -> None:
        """Note that the lane's programs were started."""
        self._forced.lane_changed()
        if self._pull is not None:
            self._pull.put_in_ns = now_ns

    def lane_back(self, now_ns: int, waiting: frozenset[str] | None, delivered: int) -> None:
        """Note that the lane serves again.

        Args:
            now_ns: the monotonic time.
            waiting: the ids of the reports that it has; None if it does not answer.
            delivered: how many reports it has delivered since its start.
        """
        pull = self._pull
        if pull is None or pull.put_in_ns is None or pull.took_ms is not None:
            return
        pull.took_ms = (now_ns - pull.put_in_ns) // NS_PER_MS
        if pull.on_disk is not None and waiting is not None:
            there = len(pull.on_disk & waiting)
            pull.kept = min(there + delivered, len(pull.on_disk))

    # The reader

    def reader_unplugged(self, now_unix_s: float) -> None:
        """Note that the reader was unplugged."""
        self._unplugged = _Unplugged(now_unix_s)

    def reader_plugged(self, now_ns: int) -> None:
        """Note that the reader was plugged in again."""
        if self._unplugged is not None:
            self._unplugged.plugged_ns = now_ns

    def reader_ready(self, now_ns: int) -> None:
        """Note that the lane reported its reader as ready."""
        last = self._unplugged
        if last is not None and last.plugged_ns is not None and last.took_ms is None:
            last.took_ms = max(now_ns - last.plugged_ns, 0) // NS_PER_MS

    @property
    def city_should_know(self) -> bool:
        """Whether the reader is unplugged, and the city has not reported that it knows."""
        last = self._unplugged
        return last is not None and last.plugged_ns is None and not last.city_knows

    def city_knows(self) -> None:
        """Note that the city reported the reader as lost."""
        if self._unplugged is not None:
            self._unplugged.city_knows = True

    # The arms

    def forced_by_board(self) -> None:
        """Note that the board reported locked arms as forced."""
        self._forced.by_board()

    def forced_by_lane(self) -> None:
        """Note that the lane logged locked arms as forced."""
        self._forced.by_lane()

    def picture(self) -> dict[str, Any]:
        """Return the scene's `facts`; None for a switch that was not touched."""
        cut, pull, unplugged = self._cut, self._pull, self._unplugged
        return {
            "cut": cut
            and {"since_unix_s": cut.since_unix_s, "decided": cut.decided, "waited": cut.waited},
            "pull": pull
            and {
                "on_disk": None if pull.on_disk is None else len(pull.on_disk),
                "kept": pull.kept,
                "took_ms": pull.took_ms,
            },
            "lost": unplugged
            and {
                "since_unix_s": unplugged.since_unix_s,
                "city_knows": unplugged.city_knows,
                "took_ms": unplugged.took_ms,
            },
            "forced": {"count": self._forced.count, "noticed": self._forced.noticed},
        }
