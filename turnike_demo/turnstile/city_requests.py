"""The visitor's requests at the city, each one of its commands, and when the gate follows them.

    requests = CityRequests(demo, back_office, uids)
    requests.suspend("matched")       # turnike-backoffice suspend UID, in the background
    requests.take(event)              # each event of the demo
    requests.adopted(list_version)    # the list by which the lane decides now
    requests.tray(lane_unix_s)        # the cards as the gate decides about them

A request is done when the lane decides by a list that has it. Which list that is, the city
answers: `turnike-backoffice show UID --json`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from turnike_demo.city.back_office import counted
from turnike_demo.city.people import SUSPENDED_UNIT_S
from turnike_demo.gate.gate import VISITORS_LANE
from turnike_demo.processes.events import Event, Line

BRIEF_S = 60
CUT_OFF_DAYS = 30  # from today, when the cut-off date is moved to the future
RULE = "suspended"
RULES_CHANGED = "the rules changed"  # the publisher's reason for a list with another cut-off date
_ISTANBUL = timezone(timedelta(hours=3))
_CHANGE, _SHOW, _COUNT, _GATES = "city-change", "city-show", "city-reports", "city-gates"
NS_PER_MS = 1_000_000


class CityControls(Protocol):
    """What requests need of the demo."""

    def start_command(self, name: str, *arguments: str) -> None:
        """Start a command of the city's; its events have the source `name`."""

    def announce(self, text: str) -> None:
        """Show a line to the operator."""

    def accept_either(self, kind: str) -> None:
        """Make the crowd accept that a card of this kind is admitted, and that it is denied.

        The crowd cannot know which list the gate has.
        """


class CutOffStore(Protocol):
    """Where the cut-off date is configured; the publisher notices a change."""

    def cut_off(self) -> datetime:
        """Return the date."""

    def move_cut_off(self, to: datetime) -> None:
        """Write another date."""


@dataclass(slots=True)
class _Card:
    """One card: by what the gate decides, and what was asked of the city since.

    Attributes:
        is_in: whether the list in force has the card under the rule `suspended`.
        ends_unix_s: when that ends by the gate's clock; None for never.
        asked: `suspend` or `reinstate` while the gate does not decide by it; else None.
        asked_ns: when it was asked.
        published_when_asked: how many lists were published when the city was asked for the card's
            state; None while it is not being asked.
        state: the city's answer, with the list in which the change was published.
    """

    is_in: bool = False
    ends_unix_s: int | None = None
    asked: str | None = None
    asked_ns: int = 0
    published_when_asked: int | None = None
    state: Line | None = None

    def is_suspended(self, unix_s: int) -> bool:
        """Return whether the gate refuses it at this time of its clock."""
        return self.is_in and (self.ends_unix_s is None or unix_s < self.ends_unix_s)


@dataclass(slots=True)
class _CutOff:
    """The cut-off date in force, and the one that was asked for since."""

    in_force: bool
    unix_s: int
    asked: bool | None = None
    asked_ns: int = 0
    asked_unix_s: int = 0
    version: int | None = None  # the list that has what was asked


class CityRequests:
    """Everything that the visitor asks of the city, one request a card at a time."""

    def __init__(
        self,
        demo: CityControls,
        cut_off_store: CutOffStore,
        uids: Mapping[str, bytes],
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`uids` are the cards of the tray by name; `now_ns` is the monotonic clock."""
        self._now_ns = now_ns
        self._demo = demo
        self._cut_off_store = cut_off_store
        self._past = cut_off_store.cut_off()
        self._uids = uids
        self._cards = {name: _Card(is_in=name == RULE) for name in uids}
        self._cut_off = _CutOff(in_force=True, unix_s=int(self._past.timestamp()))
        self._published = 0  # how many lists the publisher has published
        self._counted: object = None
        self._to_count: object = None
        self._is_counting = False
        self.reports: Mapping[str, int | None] = {"city_received": None, "city_missing": None}
        """The city's counts for the visitor's lane; None until it has answered."""
        self.followed: dict[str, dict[str, Any] | None] = {"card": None, "cut_off": None}
        """The last request for a card, and for the cut-off date, that was published: the list's
        version, the card's name, and `took_ms` from the request until the lane decided by it (None
        until then)."""
        self.city_reader: str | None = None
        """The state of the lane's reader as the city knows it; None before it was asked."""
        self._is_asking_gates = False

    def asked(self, name: str) -> str | None:
        """Return the request for this card by which the gate does not decide yet."""
        return self._cards[name].asked

    def is_suspended(self, name: str, unix_s: int) -> bool:
        """Return whether the gate refuses this card as suspended, at this time of its clock."""
        return self._cards[name].is_suspended(unix_s)

    def suspend(self, name: str) -> None:
        """Suspend the card; `brief` for a minute."""
        lasts = ("--for", f"{BRIEF_S}s") if name == "brief" else ()
        self._cards[name].asked, self._cards[name].asked_ns = "suspend", self._now_ns()
        self._demo.start_command(f"{_CHANGE}-{name}", "suspend", self._uids[name].hex(), *lasts)

    def reinstate(self, name: str) -> None:
        """Lift the card's suspension."""
        self._cards[name].asked, self._cards[name].asked_ns = "reinstate", self._now_ns()
        self._demo.start_command(f"{_CHANGE}-{name}", "lift", self._uids[name].hex())

    @property
    def cut_off_asked(self) -> bool | None:
        """Whether a past date was asked for; None once the gate decides by what was asked."""
        return self._cut_off.asked

    @property
    def cut_off_in_force(self) -> bool:
        """Whether the gate refuses unmatched cards."""
        return self._cut_off.in_force

    def move_cut_off(self, *, in_force: bool) -> None:
        """Configure the date that was there at first, or one in the future."""
        date = self._past if in_force else _days_from_now(CUT_OFF_DAYS)
        self._demo.accept_either("unmatched")
        self._cut_off_store.move_cut_off(date)
        cut_off = self._cut_off
        cut_off.asked, cut_off.asked_unix_s, cut_off.version = in_force, int(date.timestamp()), None
        cut_off.asked_ns, self.followed["cut_off"] = self._now_ns(), None

    def ask_for_reader(self) -> None:
        """Ask the city for the state of the lane's reader, unless an answer is under way."""
        if not self._is_asking_gates:
            self._is_asking_gates = True
            self._demo.start_command(_GATES, "gates", "--json")

    def count(self, delivered: object) -> None:
        """Ask the city for its counts if `delivered` changed since it was last asked."""
        self._to_count = delivered
        if not self._is_counting and self._to_count != self._counted:
            self._is_counting, self._counted = True, delivered
            self._demo.start_command(_COUNT, "reports", "list", "--json")

    def take(self, event: Event) -> None:
        """Take an event; those of other sources change nothing."""
        if event.is_("publisher", "published"):
            self._take_published(event.line["list_version"], event.line["why"])
        elif event.source == _COUNT:
            self._take_count(event.line)
        elif event.source == _GATES:
            self._take_gates(event.line)
        else:
            command, _, name = event.source.rpartition("-")
            if command in {_CHANGE, _SHOW} and event.line.get("code"):
                self._failed(name)
            elif command == _CHANGE and event.line.get("event") == "ended":
                self._ask_state(name)
            elif command == _SHOW and "text" in event.line:
                self._take_state(name, event.line["text"])

    def adopted(self, version: int) -> None:
        """Note that the lane decides by this list now."""
        for name, card in self._cards.items():
            state = card.state
            if state is not None and version >= state["list_version"]:
                card.is_in, card.asked, card.state = state["in"], None, None
                card.ends_unix_s = _at_the_gate(state["ends_unix_s"])
                self.followed["card"] = {
                    "name": name,
                    **self._followed(card.asked_ns, state["list_version"]),
                }
        cut_off = self._cut_off
        if cut_off.asked is not None and cut_off.version is not None and version >= cut_off.version:
            cut_off.in_force, cut_off.unix_s = cut_off.asked, cut_off.asked_unix_s
            cut_off.asked = None
            self.followed["cut_off"] = self._followed(cut_off.asked_ns, cut_off.version)

    def tray(self, unix_s: int) -> list[dict[str, Any]]:
        """Return the scene's `tray`: the cards, by the gate's clock."""
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
        """Return the scene's `cut_off`: the date by which the gate decides."""
        cut_off = self._cut_off
        return {"in_force": cut_off.in_force, "unix_s": cut_off.unix_s, "asked": cut_off.asked}

    def _take_published(self, version: int, why: Sequence[str]) -> None:
        self._published += 1
        cut_off = self._cut_off
        if cut_off.asked is not None and cut_off.version is None and RULES_CHANGED in why:
            cut_off.version = version
            self.followed["cut_off"] = {"list_version": version, "took_ms": None}
        for name, card in self._cards.items():
            if card.published_when_asked is not None and card.state is None:
                self._ask_state(name)

    def _failed(self, name: str) -> None:
        self._cards[name].asked, self._cards[name].published_when_asked = None, None
        self._demo.announce("a command of the city's failed; the reason is above")

    def _ask_state(self, name: str) -> None:
        """Ask the city for the card's state, and the list in which it was published."""
        self._cards[name].published_when_asked = self._published
        self._demo.start_command(f"{_SHOW}-{name}", "show", self._uids[name].hex(), "--json")

    def _take_state(self, name: str, answer: str) -> None:
        card = self._cards[name]
        if card.published_when_asked is None:
            return
        state = next((each for each in json.loads(answer) if each["rule"] == RULE), None)
        if state is not None and state["list_version"]:
            card.state, card.published_when_asked = state, None
        elif card.published_when_asked < self._published:  # published while the city was asked
            self._ask_state(name)

    def _followed(self, asked_ns: int, version: int) -> dict[str, Any]:
        return {"list_version": version, "took_ms": (self._now_ns() - asked_ns) // NS_PER_MS}

    def _take_gates(self, line: Line) -> None:
        if "text" in line:
            gates = [gate["devices"] for gate in json.loads(line["text"])]
            lanes = gates[0] if gates else []
            if len(lanes) >= VISITORS_LANE:
                self.city_reader = lanes[VISITORS_LANE - 1].get("reader")
        elif line.get("event") == "ended":
            self._is_asking_gates = False

    def _take_count(self, line: Line) -> None:
        if "text" in line:
            counts = counted(line["text"], VISITORS_LANE)
            self.reports = {f"city_{name}": count for name, count in counts.items()}
        elif line.get("event") == "ended":
            self._is_counting = False
            self.count(self._to_count)


def _at_the_gate(ends_unix_s: int | None) -> int | None:
    """Return when an end takes effect at a gate, which keeps ends in steps, rounded up."""
    return None if ends_unix_s is None else -(-ends_unix_s // SUSPENDED_UNIT_S) * SUSPENDED_UNIT_S


def _days_from_now(days: int) -> datetime:
    """Return the beginning of the day `days` from now, in İstanbul."""
    day = datetime.now(_ISTANBUL) + timedelta(days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)
