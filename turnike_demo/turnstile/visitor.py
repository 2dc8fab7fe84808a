"""The visitor: a lane of the same gate with a simulated reader and board of its own, and what a visitor can do there and in the city.

    visitor = Visitor(world, gate, office, people.tray, timing)
    visitor.start()
    visitor.do(verb)                 # raises RefusedError
    visitor.take(heard)              # each line of each child
    visitor.turn(now_ns)             # between two waits
    visitor.picture()                # the whole scene, as the page gets it

Nothing is made up here: a tap goes to the simulated chip as the verb that anybody can type, and what is seen of it is what the programs said.
"""

import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol, assert_never

from turnike_demo.children import Child, Heard, Line
from turnike_demo.gate import VISITORS_LANE, Gate
from turnike_demo.lane_watch import LaneWatch
from turnike_demo.on_disk import reports_on_disk
from turnike_demo.turnstile import verbs
from turnike_demo.turnstile.errands import CutOffs, Errands
from turnike_demo.turnstile.errands import World as City
from turnike_demo.turnstile.facts import Facts
from turnike_demo.turnstile.hand import Hand, Lying
from turnike_demo.turnstile.scene import Scene
from validator.errors import LaneGoneError
from validator.ipc.client import LaneClient
from validator.ipc.requests import BATCH_MAX

NEVER_NS = 1 << 62
_STATUS = "visitor-lane-status"
ASK_NS = 2_000_000_000  # how often the city is asked what it knows, as long as it does not
WALKS_MS = 1_500  # a visitor who is let in walks through by himself, or at once with a push
# The card has answered to its name and is gone before it has told all: nothing of it may be decided.
PULLED_AT = "before-rats"
DAEMONS = ("visitor-lane", "courier")  # what the plug has


# Why a verb cannot be done now. The page has the words for each of them, in its two languages (turnstile_words.js).
Refusal = Literal["is_so", "card_lies", "no_card", "city_is_busy", "no_list_can_name_it"]


class RefusedError(Exception):
    """It cannot be done now; the message is the refusal's name."""

    def __init__(self, why: Refusal) -> None:
        """Refuse for this reason."""
        super().__init__(why)


class World(City, Protocol):
    """What the visitor can do, and see, of the demo."""

    @property
    def network(self) -> str:
        """Whether it is up or cut."""

    @property
    def courier(self) -> str:
        """What the courier said last of how it stands."""

    @property
    def story(self) -> list[str]:
        """What was said last, newest last."""

    def begin(self, name: str) -> None:
        """Start this daemon."""

    def pull(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End this daemon by a signal."""

    def listen(self, child: Child) -> Child:
        """Hear this child from now on, and end it at the end."""

    def cut(self) -> None:
        """Cut the network."""

    def mend(self) -> None:
        """Mend it."""


class Visitor:
    """The visitor's lane, hand and errands."""

    def __init__(
        self, world: World, gate: Gate, office: CutOffs, uids: Mapping[str, bytes], timing: str
    ) -> None:
        """`uids` are the cards of the tray."""
        self._world = world
        self._gate = gate
        self._uids = uids
        self._timing = timing
        self._scene = Scene(uids)
        self._errands = Errands(world, office, uids)
        self._facts = Facts()
        self._decided = 0  # taps of which the facts know that they had a verdict
        self._tap_unix_s: tuple[int, float] = (
            0,
            0.0,
        )  # the number of the last tap, and when it was heard of
        self._asked_reader_ns = 0
        self._hand = Hand()
        self._lying = Lying()
        self._plug = "starting"
        self._plugged_ns = 0
        self._lane = LaneClient(gate.socket(VISITORS_LANE))
        self.watch = LaneWatch(_STATUS, gate.socket(VISITORS_LANE))
        """To be heard."""
        self._status_page: str | None = None
        self._run = secrets.token_hex(8)

    def start(self) -> None:
        """Start the devices, their lane, and the gate's console."""
        self._scene.courier = self._world.courier
        both = ("--timing", self._timing)
        reader, board = self._gate.reader(VISITORS_LANE), self._gate.board(VISITORS_LANE)
        walks = ("--walk-ms", str(WALKS_MS))
        self._reader = self._device("visitor-reader", "pn532", "--link", str(reader), *both)
        self._board = self._device("visitor-board", "board", "--link", str(board), *walks, *both)
        for name in ("visitor-lane", "console"):
            self._world.begin(name)

    def _device(self, name: str, *command: str) -> Child:
        return self._world.listen(Child(name, "firmware_sim", *command))

    @property
    def due_ns(self) -> int:
        """When `turn` has something to do, at the latest."""
        return NEVER_NS if self._hand.due_ns is None else self._hand.due_ns

    def take(self, heard: Heard) -> None:
        """One line of one of the demo's children."""
        scene, answered_ns = self._scene, self._scene.answer_ns
        scene.take(heard)
        self._note(heard)
        self._errands.take(heard)
        if scene.answer_ns != answered_ns:
            self._hand.answered(scene.answer_ns)
        if heard.is_("visitor-reader", "removed"):
            name = scene.reader.names[heard.line["uid"]]
            if self._lying.gone(name):
                self._hand.left(name)
        if heard.source == "visitor-lane":
            self.watch.nudge()
        if (
            heard.source == _STATUS
            and self._plug != "pulled"
            and heard.line["asked_ns"] >= self._plugged_ns
        ):
            self._take_status(heard.line["status"])
        if heard.source == "console":
            self._hear_console(heard.line)

    def _note(self, heard: Heard) -> None:
        """What of it is a fact about a switch."""
        facts, taps = self._facts, self._scene.taps
        match heard.source, heard.line.get("event"):
            case "visitor-lane", "tap":
                self._tap_unix_s = (self._tap_unix_s[0] + 1, time.time())
                for _ in range(taps.decided - self._decided):
                    facts.decided()
                self._decided = taps.decided
            case "visitor-lane", "forced":
                facts.forced_by_lane()
            case "visitor-board", "forced":
                facts.forced_by_board()
            case "visitor-reader", "unplugged":
                facts.lost(time.time())
                self._errands.city_reader = None
            case "visitor-reader", "replugged":
                facts.plugged(time.monotonic_ns())
            case "visitor-lane", "reader" if heard.line["state"] == "ready":
                facts.found(time.monotonic_ns())

    def _hear_console(self, line: Line) -> None:
        match line.get("event"):
            case "started":
                self._status_page = line["address"]
            case "ended":
                self._status_page = None
                self._world.say("the gate's console has ended; it said why")

    def turn(self, now_ns: int) -> None:
        """What is due: the hand goes, and what the lane says is followed up."""
        self._remove(self._hand.taken(now_ns))
        self._errands.adopted(self._scene.lane.list_version)
        if self._facts.city_should_know:
            if self._errands.city_reader not in {None, "ready"}:
                self._facts.city_knows()
            elif now_ns - self._asked_reader_ns >= ASK_NS:
                self._asked_reader_ns = now_ns
                self._errands.ask_for_reader()

    def page_opened(self) -> None:
        """Somebody looks: the suspension that ends in a minute begins anew if it is over."""
        if not self._errands.asked("brief") and not self._is_suspended("brief"):
            self._errands.suspend("brief")

    def do(self, verb: verbs.Verb) -> None:
        """What the visitor does. Raises RefusedError."""
        match verb:
            case verbs.Tap():
                self._present((verb.card,), f"present {self._uids[verb.card].hex()}", by_hand=True)
            case verbs.Lay():
                self._present((verb.card,), f"present {self._uids[verb.card].hex()}", by_hand=False)
            case verbs.PullEarly():
                card = self._uids["matched"].hex()
                self._present(("matched",), f"present {card} leaves={PULLED_AT}", by_hand=True)
            case verbs.Clash():
                both = ("matched", "unmatched")
                self._present(
                    both,
                    " ".join(["clash", *(self._uids[name].hex() for name in both)]),
                    by_hand=True,
                )
            case verbs.Take():
                self._take()
            case verbs.Push():
                self._board.say("pass")
            case verbs.Network() | verbs.Plug() | verbs.Reader() | verbs.Emergency():
                self._switch(verb)
            case verbs.Suspend() | verbs.Reinstate() | verbs.CutOff():
                self._ask_city(verb)
            case _:
                assert_never(verb)

    def picture(self) -> dict[str, Any]:
        """The scene."""
        scene, errands, status = self._scene.picture(), self._errands, self._scene.lane.status
        scene["lane"]["plug"] = self._plug
        facts = self._facts.picture()
        return scene | {
            "run": self._run,
            "timing": self._timing,
            "tap_unix_s": self._tap_unix_s[1],
            "facts": facts,
            "followed": {**errands.followed},
            "tray": errands.tray(self._lane_unix_s),
            "reports": {
                "waiting": facts["pull"]["on_disk"]
                if self._plug == "pulled"
                else status.get("reports_waiting")
                if self._scene.lane.is_up
                else None,
                "delivered": self._scene.lane.delivered,
                **errands.reports,
            },
            "network": self._world.network,
            "cut_off": errands.cut_off(),
            "story": self._world.story,
            "status_page": self._status_page,
        }

    # On the reader

    def _present(self, names: Sequence[str], words: str, *, by_hand: bool) -> None:
        """A hand that still holds cards takes them away first; what was left lying stays."""
        _unless(
            any(name in self._lying.cards and name not in self._hand.cards for name in names),
            "card_lies",
        )
        self._remove(self._hand.take())
        self._reader.say(words)
        self._lying.lay(names)
        if by_hand:
            self._hand.hold(names, time.monotonic_ns())

    def _take(self) -> None:
        _unless(not self._lying.cards, "no_card")
        self._hand.take()
        self._remove([*self._lying.cards])

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._lying.cards:
                self._lying.take(name)
                self._reader.say(f"remove {self._uids[name].hex()}")

    # Switches

    def _switch(self, verb: verbs.Network | verbs.Plug | verbs.Reader | verbs.Emergency) -> None:
        match verb:
            case verbs.Network(up):
                _unless((self._world.network == "up") is up, "is_so")
                self._switch_network(up=up)
            case verbs.Plug(is_in):
                _unless((self._plug != "pulled") is is_in, "is_so")
                self.put_in() if is_in else self._pull()
            case verbs.Reader(plugged):
                _unless(self._scene.reader.plugged is plugged, "is_so")
                self._reader.say("replug" if plugged else "unplug")
            case verbs.Emergency(on):
                _unless(self._scene.board.emergency is on, "is_so")
                self._board.say(f"emergency {'on' if on else 'off'}")

    def _switch_network(self, *, up: bool) -> None:
        if up:
            self._facts.mended(self._scene.lane.waiting)
            self._world.mend()
        else:
            self._world.cut()
            self._facts.cut(time.time())
        self._world.say(f"the network is {'mended' if up else 'cut'}")

    def put_in(self) -> None:
        """Put the plug in, if it is not."""
        if self._plug == "pulled":
            self._plug = self._scene.courier = "starting"
            self._plugged_ns = time.monotonic_ns()
            self._facts.put_in(self._plugged_ns)
            for name in DAEMONS:
                self._world.begin(name)
            self._world.say("the plug is in again: lane and courier start")

    def _pull(self) -> None:
        with suppress(LaneGoneError):  # what it has delivered until now would be forgotten with it
            self._scene.lane.told(self._lane.status())
        for name in DAEMONS:
            self._world.pull(name)
        self._plug, self._scene.courier = "pulled", "off"
        self._lane.close()
        self._scene.lane.gone()
        on_disk = reports_on_disk(self._gate.outbox(VISITORS_LANE))
        self._facts.pulled(on_disk)
        self._world.say("the plug is pulled: SIGKILL for lane and courier")

    def _take_status(self, status: Mapping[str, Any] | None) -> None:
        """What the lane tells of itself; and ask the city what it received, if the lane has been told of more."""
        if status is None:
            self._scene.lane.is_up = False
            return
        self._scene.lane.told(status)
        if (
            self._plug == "starting"
            and self._scene.courier != "starting"
            and self._scene.lane.has_looked
        ):
            self._plug = "in"
            self._facts.back(time.monotonic_ns(), self._waiting(), int(status["reports_delivered"]))
        self._errands.count(self._scene.lane.delivered)

    def _waiting(self) -> frozenset[str] | None:
        """The ids of the reports that the lane has, by its own answer; None if it does not answer."""
        found: list[str] = []
        with suppress(LaneGoneError):
            while some := self._lane.oldest(BATCH_MAX, len(found)):
                found += [report.report_id for report in some]
            return frozenset(found)
        return None

    # The city

    @property
    def _lane_unix_s(self) -> int:
        return int(self._scene.lane.status.get("unix_s", 0))

    def _is_suspended(self, name: str) -> bool:
        return self._errands.is_suspended(name, self._lane_unix_s)

    def _ask_city(self, verb: verbs.Suspend | verbs.Reinstate | verbs.CutOff) -> None:
        errands = self._errands
        match verb:
            case verbs.CutOff(in_force):
                _unless(errands.cut_off_asked is not None, "city_is_busy")
                _unless(errands.cut_off_in_force is in_force, "is_so")
                errands.move_cut_off(in_force=in_force)
                self._world.say(
                    f"the cut-off date was moved to the {'past' if in_force else 'future'}"
                )
            case verbs.Suspend(card) | verbs.Reinstate(card):
                suspends = isinstance(verb, verbs.Suspend)
                _unless(card == "phone", "no_list_can_name_it")
                _unless(errands.asked(card) is not None, "city_is_busy")
                _unless(self._is_suspended(card) is suspends, "is_so")
                (errands.suspend if suspends else errands.reinstate)(card)
                self._world.say(
                    f"the city was asked to {'suspend' if suspends else 'reinstate'} the {card} card"
                )


def _unless(is_so: bool, why: Refusal) -> None:
    """Raises RefusedError if it is so."""
    if is_so:
        raise RefusedError(why)
