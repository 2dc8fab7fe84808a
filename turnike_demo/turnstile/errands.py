"""The visitor's errands at the city, each one of its own commands, and how they stand at the visitor's gate.

    errands.suspend("matched")       # turnike-backoffice suspend UID, in the background
    errands.take(heard)              # each line that is heard
    errands.tray(lane_unix_s)        # what of it the gate decides by

An errand is over when the lane decides by a list that has it. Which list that is, the city says: `turnike-backoffice show UID --json`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from turnike_demo.children import Heard, Line
from turnike_demo.city.office import counted
from turnike_demo.city.people import SUSPENDED_UNIT_S
from turnike_demo.gate import VISITORS_LANE

BRIEF_S = 60
CUT_OFF_DAYS = 30  # from now, when it lies in the future
RULE = "suspended"
RULES_CHANGED = "the rules changed"  # why the publisher publishes another cut-off date
_ISTANBUL = timezone(timedelta(hours=3))
_COUNT = "city-reports"
_GATES = "city-gates"
NS_PER_MS = 1_000_000


class World(Protocol):
    """What errands need of the demo."""

    def city(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; what it prints, and its end, are heard under this name."""

    def say(self, what: str) -> None:
        """Tell a person."""

    def either(self, kind: str) -> None:
        """Tell the crowd that from now on a card of this kind may be admitted or denied: it cannot know which list the gate has."""


class CutOffs(Protocol):
    """Where the cut-off date is written; the publisher sees that it was written anew."""

    def cut_off(self) -> datetime:
        """It."""

    def move_cut_off(self, to: datetime) -> None:
        """Write another date."""


@dataclass(slots=True)
class _Card:
    """How a card stands under the rule: what the gate decides by, and what was asked of the city since."""

    is_in: bool = False
    ends_unix_s: int | None = None
    asked: str | None = None
    asked_ns: int = 0
    published: int = (
        -1
    )  # how many lists had been heard of when the city was asked how the card stands
    standing: Line | None = None  # what the city said of it, with the list in which it went out

    def is_suspended(self, unix_s: int) -> bool:
        """Whether the gate refuses it by this time of its clock."""
        return self.is_in and (self.ends_unix_s is None or unix_s < self.ends_unix_s)


@dataclass(slots=True)
class _CutOff:
    in_force: bool
    unix_s: int
    asked: bool | None = None
    asked_ns: int = 0
    asked_unix_s: int = 0
    version: int | None = None  # the list that has what was asked


class Errands:
    """Everything that the visitor has the city do, one errand a card at a time."""

    def __init__(
        self,
        world: World,
        office: CutOffs,
        uids: Mapping[str, bytes],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`uids` are the cards of the tray."""
        self._now_ns = now_ns
        self._world = world
        self._office = office
        self._past = office.cut_off()
        self._uids = uids
        self._cards = {name: _Card(is_in=name == RULE) for name in uids}
        self._cut_off = _CutOff(in_force=True, unix_s=int(self._past.timestamp()))
        self._published = 0  # lists that were heard of
        self._counted: object = None
        self._to_count: object = None
        self._is_counting = False
        self.reports: Mapping[str, int | None] = {"city_received": None, "city_missing": None}
        """What the city says of the visitor's lane."""
        self.followed: dict[str, dict[str, Any] | None] = {"card": None, "cut_off": None}
        """Of the last card, and of the cut-off date: how long the gate took from the click until it decided
        by the list that has it, which list, and the card's name. `took_ms` None: it is published, no more."""
        self.city_reader: str | None = None
        """What the city says of the reader of the visitor's lane; None as long as nobody has asked."""
        self._is_asking_gates = False

    def asked(self, name: str) -> str | None:
        """What the city was asked to do with this card and the gate does not decide by yet."""
        return self._cards[name].asked

    def is_suspended(self, name: str, unix_s: int) -> bool:
        """Whether the gate refuses this card as suspended, at this time of its clock."""
        return self._cards[name].is_suspended(unix_s)

    def suspend(self, name: str) -> None:
        """Suspend it; `brief` for a minute."""
        lasts = ("--for", f"{BRIEF_S}s") if name == "brief" else ()
        self._cards[name].asked, self._cards[name].asked_ns = "suspend", self._now_ns()
        self._world.city(f"city-change-{name}", "suspend", self._uids[name].hex(), *lasts)

    def reinstate(self, name: str) -> None:
        """Lift its suspension."""
        self._cards[name].asked, self._cards[name].asked_ns = "reinstate", self._now_ns()
        self._world.city(f"city-change-{name}", "lift", self._uids[name].hex())

    @property
    def cut_off_asked(self) -> bool | None:
        """Whether the cut-off date was asked to lie in the past, while the gate does not decide by it yet."""
        return self._cut_off.asked

    @property
    def cut_off_in_force(self) -> bool:
        """Whether the gate refuses unmatched cards."""
        return self._cut_off.in_force

    def move_cut_off(self, *, in_force: bool) -> None:
        """Have the date lie in the past, or the future: another date in the city's configuration."""
        date = self._past if in_force else _days_from_now(CUT_OFF_DAYS)
        self._world.either("unmatched")
        self._office.move_cut_off(date)
        cut_off = self._cut_off
        cut_off.asked, cut_off.asked_unix_s, cut_off.version = in_force, int(date.timestamp()), None
        cut_off.asked_ns, self.followed["cut_off"] = self._now_ns(), None

    def ask_for_reader(self) -> None:
        """Ask the city what it knows of the reader of the visitor's lane, unless it is being asked."""
        if not self._is_asking_gates:
            self._is_asking_gates = True
            self._world.city(_GATES, "gates", "--json")

    def count(self, delivered: object) -> None:
        """Ask the city what it received, if what was delivered is not what it was at the last time."""
        self._to_count = delivered
        if not self._is_counting and self._to_count != self._counted:
            self._is_counting, self._counted = True, delivered
            self._world.city(_COUNT, "reports", "list", "--json")

    def take(self, heard: Heard) -> None:
        """One line."""
        if heard.is_("publisher", "published"):
            self._take_published(heard.line["list_version"], heard.line["why"])
        elif heard.source == _COUNT:
            self._take_count(heard.line)
        elif heard.source == _GATES:
            self._take_gates(heard.line)
        else:
            what, _, name = heard.source.rpartition("-")
            if what in {"city-change", "city-show"} and heard.line.get("code"):
                self._failed(name)
            elif what == "city-change" and heard.line.get("event") == "ended":
                self._ask(name)
            elif what == "city-show" and "text" in heard.line:
                self._take_standing(name, heard.line["text"])

    def adopted(self, version: int) -> None:
        """The lane decides by this list now."""
        for name, card in self._cards.items():
            standing = card.standing
            if standing is not None and version >= standing["list_version"]:
                card.is_in, card.asked, card.standing = standing["in"], None, None
                card.ends_unix_s = _at_the_gate(standing["ends_unix_s"])
                self.followed["card"] = {
                    "name": name,
                    **self._followed(card.asked_ns, standing["list_version"]),
                }
        cut_off = self._cut_off
        if cut_off.asked is not None and cut_off.version is not None and version >= cut_off.version:
            cut_off.in_force, cut_off.unix_s, cut_off.asked = (
                cut_off.asked,
                cut_off.asked_unix_s,
                None,
            )
            self.followed["cut_off"] = self._followed(cut_off.asked_ns, cut_off.version)

    def tray(self, unix_s: int) -> list[dict[str, Any]]:
        """The cards by the gate's clock."""
        return [
            {
                "name": name,
                "suspended": card.is_suspended(unix_s),
                "asked": card.asked,
                "ends_unix_s": card.ends_unix_s if card.is_suspended(unix_s) else None,
            }
            for name, card in self._cards.items()
        ]

    def cut_off(self) -> dict[str, Any]:
        """The cut-off date by which the gate decides."""
        cut_off = self._cut_off
        return {"in_force": cut_off.in_force, "unix_s": cut_off.unix_s, "asked": cut_off.asked}

    def _take_published(self, version: int, why: Sequence[str]) -> None:
        self._published += 1
        if (
            self._cut_off.asked is not None
            and self._cut_off.version is None
            and RULES_CHANGED in why
        ):
            self._cut_off.version = version
            self.followed["cut_off"] = {"list_version": version, "took_ms": None}
        for name, card in self._cards.items():
            if card.published >= 0 and card.standing is None:
                self._ask(name)

    def _failed(self, name: str) -> None:
        self._cards[name].asked, self._cards[name].published = None, -1
        self._world.say("a command of the city's failed; it said why")

    def _ask(self, name: str) -> None:
        """How the card stands, and in which list it went out."""
        self._cards[name].published = self._published
        self._world.city(f"city-show-{name}", "show", self._uids[name].hex(), "--json")

    def _take_standing(self, name: str, told: str) -> None:
        card = self._cards[name]
        if card.published < 0:
            return
        standing = next((each for each in json.loads(told) if each["rule"] == RULE), None)
        if standing is not None and standing["list_version"]:
            card.standing, card.published = standing, -1
        elif card.published < self._published:  # it went out while the city was asked
            self._ask(name)

    def _followed(self, asked_ns: int, version: int) -> dict[str, Any]:
        return {"list_version": version, "took_ms": (self._now_ns() - asked_ns) // NS_PER_MS}

    def _take_gates(self, line: Line) -> None:
        if "text" in line:
            devices = [gate["devices"] for gate in json.loads(line["text"])]
            told = devices[0] if devices else []
            if len(told) >= VISITORS_LANE:
                self.city_reader = told[VISITORS_LANE - 1].get("reader")
        elif line.get("event") == "ended":
            self._is_asking_gates = False

    def _take_count(self, line: Line) -> None:
        if "text" in line:
            told = counted(line["text"], VISITORS_LANE)
            self.reports = {f"city_{name}": count for name, count in told.items()}
        elif line.get("event") == "ended":
            self._is_counting = False
            self.count(self._to_count)


def _at_the_gate(ends_unix_s: int | None) -> int | None:
    """When a gate takes it to end: it keeps ends in steps, rounded up."""
    return None if ends_unix_s is None else -(-ends_unix_s // SUSPENDED_UNIT_S) * SUSPENDED_UNIT_S


def _days_from_now(days: int) -> datetime:
    """The beginning of that day in İstanbul."""
    day = datetime.now(_ISTANBUL) + timedelta(days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)
