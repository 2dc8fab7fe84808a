"""What the page shows: reader, board, lane, list and taps, from the programs' events alone. Pure.

    scene = Scene(uids)
    scene.take(event)                # each event of the demo
    scene.picture()                  # all of it, as the page gets it

An event may name a card by its UID; a picture never does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import asdict

from turnike_demo.processes.events import Event, Line
from turnike_demo.turnstile.scene_taps import Taps
from validator.ipc.answers import LaneStatus

_FIGURES = ("decided_us", "told_us")


@dataclass(slots=True)
class BoardSeen:
    """The state of the board, from its own events."""

    linked: bool = False
    shows: str = "out_of_service"
    date: str | None = None
    text_tr: str = ""  # the text on its display
    text_en: str = ""
    lamp: str = "off"
    tone: str | None = None
    arms: str = "locked"
    passed: int = 0
    forced: int = 0
    walked_free: int = 0
    pushed: str = ""  # the result of the last push against the arms: `held` or `through`
    emergency: bool = False
    emergencies: int = 0
    walked_since: int = 0  # passengers who walked through since the last emergency began

    def take(self, line: Line) -> None:
        """Take one event's line."""
        match line.get("event"):
            case "session":
                self.linked = True
                self._lock()
            case "lane_back":
                self.linked = True
            case "lane_lost":
                self.linked = False
            case "show":
                self.shows, self.date = line["outcome"], line["date"]
                self.text_tr, self.text_en = line.get("text_tr", ""), line.get("text_en", "")
                self.lamp, self.tone = line.get("lamp", "off"), line.get("tone")
            case "open":
                self.arms = "released"
            case "passed" | "not_passed" as end:
                self.passed += end == "passed"
                self._lock()
            case "forced":
                self.forced += 1
                self.pushed = "held"
            case "walked_free":
                self.walked_free += 1
                self.walked_since += 1
                self.pushed = "through"
            case "emergency":
                self.emergency = line["on"]
                if self.emergency:
                    self.emergencies, self.walked_since = self.emergencies + 1, 0
                self._lock()

    def picture(self) -> dict[str, Any]:
        """Return the scene's `board`."""
        return {name: getattr(self, name) for name in self.__slots__}

    def _lock(self) -> None:
        self.arms = "free" if self.emergency else "locked"


@dataclass(slots=True)
class ReaderSeen:
    """The state of the reader, from its own events. Cards by their names in the tray."""

    names: Mapping[str, str]  # by UID in hex
    plugged: bool = True
    cards: list[str] = field(default_factory=list)
    came_ns: int = 0  # when the last card came
    left_early: int = 0  # cards that left before they had answered; the gate knows none of them

    def take(self, line: Line) -> None:
        """Take one event's line."""
        match line.get("event"):
            case "present":
                self.cards.append(self.names[line["uid"]])
                self.came_ns = line.get("at_ns", 0)
            case "clash":
                self.cards += [self.names[uid] for uid in line["uids"]]
                self.came_ns = line.get("at_ns", 0)
            case "removed":
                self.cards.remove(self.names[line["uid"]])
                self.left_early += "stage" in line
            case "unplugged" | "replugged" as what:
                self.plugged = what == "replugged"

    def picture(self) -> dict[str, Any]:
        """Return the scene's `reader`."""
        return {"plugged": self.plugged, "cards": [*self.cards], "left_early": self.left_early}


@dataclass(slots=True)
class LaneSeen:
    """The state of the lane, from its log and its socket. Counts go on over its restarts."""

    is_up: bool = False
    devices: dict[str, str] = field(default_factory=dict)
    list_version: int = 0
    status: LaneStatus | None = None  # its last answer
    _delivered_before: int = 0  # by its earlier runs

    def take(self, line: Line) -> None:
        """Take one line of its log."""
        match line.get("event"):
            case "reader" | "board" as device:
                self.devices[device] = line["state"]
            case "list":
                self.list_version = line["list_version"] or 0

    def take_status(self, status: LaneStatus) -> None:
        """Take its answer to `status`."""
        if self.status is not None and status.run_id != self.status.run_id:
            self._delivered_before += self.status.reports_delivered
        self.status = status
        self.is_up = True

    def gone(self) -> None:
        """Note that it does not run."""
        self.is_up, self.list_version = False, 0
        self.devices.clear()

    @property
    def waiting(self) -> int:
        """How many reports waited at its last answer."""
        return (self.status and self.status.reports_waiting) or 0

    @property
    def delivered(self) -> int:
        """How many reports the city has confirmed, all runs of the lane together."""
        return self._delivered_before + (self.status.reports_delivered if self.status else 0)

    @property
    def knows_devices(self) -> bool:
        """Whether the lane has logged a state of both devices."""
        return self.devices.keys() == {"reader", "board"}

    @property
    def serves(self) -> bool:
        """Whether the lane has logged both devices as ready."""
        return self.devices == {"reader": "ready", "board": "ready"}


class Scene:
    """The visitor's lane, its devices, and its taps."""

    def __init__(self, uids: Mapping[str, bytes]) -> None:
        """`uids` are the cards of the tray by name."""
        self.board = BoardSeen()
        self.reader = ReaderSeen({uid.hex(): name for name, uid in uids.items()})
        self.lane = LaneSeen()
        self.taps = Taps()
        self.courier = "starting"
        self.answer_ns = 0
        """When the board last showed the lane's answer to a tap."""

    def take(self, event: Event) -> None:
        """Take an event; those of other sources change nothing."""
        line = event.line
        match event.source:
            case "visitor-reader":
                if line.get("event") in {"present", "clash"} and self.lane.serves:
                    self.taps.present(line["at_ns"])
                self.reader.take(line)
            case "visitor-board":
                self._board(line)
            case "visitor-lane":
                self.lane.take(line)
                if line.get("event") == "tap":
                    self.taps.lane(line)
            case "courier" if line.get("event") == "courier":
                self.courier = line["state"]

    def _board(self, line: Line) -> None:
        self.board.take(line)
        self.taps.board(line)
        if line.get("event") == "show" and line["by"] == "lane" and line["hold_ms"]:
            self.answer_ns = line["at_ns"]

    def picture(self) -> dict[str, Any]:
        """Return the parts of the scene that this class knows."""
        lane, status = self.lane, self.lane.status
        return {
            "board": self.board.picture(),
            "reader": self.reader.picture(),
            "lane": {
                "up": lane.is_up,
                "reader": lane.devices.get("reader", "unknown"),
                "board": lane.devices.get("board", "unknown"),
            },
            **self.taps.picture(),
            "tap_is_past": self.taps.is_before(self.reader.came_ns),
            "percentiles": {
                name: asdict(getattr(status, name)) if status else None for name in _FIGURES
            },
            "list": self._list(),
            "courier": self.courier,
        }

    def _list(self) -> dict[str, Any]:
        """Return the scene's `list`; a value is None until the lane answers about this list."""
        lane, status = self.lane, self.lane.status
        is_current = lane.is_up and status is not None and status.list_version == lane.list_version
        about = status if is_current else None
        return {
            "version": lane.list_version or None,
            "issued_unix_s": about and about.list_issued_unix_s,
            "cards": about and about.list_cards,
            "state": (about and about.list_state)
            if lane.list_version
            else "missing"
            if lane.is_up
            else None,
        }
