"""The visitor's lane: the gate's second lane with simulated devices, and what each verb does.

    lane = VisitorLane(demo, gate, back_office, people.tray, timing)
    lane.start()
    lane.do(verb)                 # raises RefusedError
    lane.take(event)              # each event of the demo
    lane.turn(now_ns)             # between two waits
    lane.picture()                # the whole scene, as the page gets it

A verb goes to the simulated device as the line that an operator can type, and the scene has only
what the programs reported of it.
"""

import secrets
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, assert_never

from turnike_demo.gate.gate import VISITORS_LANE, Gate
from turnike_demo.gate.lane_watch import LaneWatch
from turnike_demo.gate.outbox_on_disk import reports_on_disk
from turnike_demo.processes.child import Child
from turnike_demo.processes.events import Event, Line
from turnike_demo.turnstile import verbs
from turnike_demo.turnstile.cards_on_reader import CardsOnReader, Hand
from turnike_demo.turnstile.city_requests import CityControls, CityRequests, CutOffStore
from turnike_demo.turnstile.refusals import refuse_if
from turnike_demo.turnstile.scene import Scene
from turnike_demo.turnstile.switch_results import SwitchResults
from validator.errors import LaneGoneError
from validator.ipc.answers import LaneStatus
from validator.ipc.client import LaneClient
from validator.ipc.requests import BATCH_MAX

NEVER_NS = 1 << 62
_STATUS = "visitor-lane-status"
ASK_NS = 2_000_000_000  # between two questions to the city about an unplugged reader
WALKS_MS = 1_500  # after OPEN, the simulated passenger walks through; or at once with a push
# The card has sent its UID and leaves before RATS: the gate may not decide about it.
PULLED_AT = "before-rats"
PROGRAMS_ON_PLUG = ("visitor-lane", "courier")  # what loses its power with the plug


class VisitorControls(CityControls, Protocol):
    """What the visitor's lane can do to the demo, and see of it."""

    @property
    def network(self) -> str:
        """`up` or `cut`."""

    @property
    def courier(self) -> str:
        """The state that the courier logged last."""

    @property
    def story(self) -> list[str]:
        """The lines announced last, newest last."""

    def start(self, name: str) -> None:
        """Start one of the gate's programs."""

    def end_unseen(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a program by a signal; no event `ended` comes of it."""

    def add(self, child: Child) -> Child:
        """Take events of this child from now on, and end it with the demo."""

    def cut(self) -> None:
        """Cut the network."""

    def restore(self) -> None:
        """Restore the network."""


class VisitorLane:
    """The visitor's lane, the cards on its reader, and the visitor's requests at the city."""

    def __init__(
        self,
        demo: VisitorControls,
        gate: Gate,
        cut_off_store: CutOffStore,
        uids: Mapping[str, bytes],
        timing: str,
    ) -> None:
        """Prepare the lane; `start` starts it.

        Args:
            demo: starts and ends programs.
            gate: has the visitor's lane.
            cut_off_store: has the cut-off date.
            uids: the cards of the tray by name.
            timing: `ideal` or `real`, of the simulated devices.
        """
        self._demo = demo
        self._gate = gate
        self._uids = uids
        self._timing = timing
        self._scene = Scene(uids)
        self._requests = CityRequests(demo, cut_off_store, uids)
        self._results = SwitchResults()
        self._decided = 0  # taps with a verdict that `_results` has counted
        self._tap_unix_s = 0.0  # when the lane logged its last tap
        self._asked_reader_ns = 0
        self._hand = Hand()
        self._on_reader = CardsOnReader()
        self._plug = "starting"
        self._plugged_ns = 0
        self._lane = LaneClient(gate.socket(VISITORS_LANE))
        self.watch = LaneWatch(_STATUS, gate.socket(VISITORS_LANE))
        """The lane's status, for the demo's event sources."""
        self._status_page: str | None = None
        self._run = secrets.token_hex(8)

    def start(self) -> None:
        """Start the devices, the lane, and the gate's console."""
        self._scene.courier = self._demo.courier
        timing = ("--timing", self._timing)
        board = ("board", "--link", str(self._gate.board(VISITORS_LANE)))
        reader = self._gate.visitors_reader
        command = (*reader.prefix, "firmware_sim", *reader.command(), *timing)
        self._reader = self._demo.add(Child("visitor-reader", *command))
        walks = ("--walk-ms", str(WALKS_MS))
        command = ("firmware_sim", *board, *walks, *timing)
        self._board = self._demo.add(Child("visitor-board", *command))
        for name in ("visitor-lane", "console"):
            self._demo.start(name)

    @property
    def due_ns(self) -> int:
        """When `turn` next has something to do, on the monotonic clock."""
        return NEVER_NS if self._hand.due_ns is None else self._hand.due_ns

    def take(self, event: Event) -> None:
        """Take an event; those of other sources change nothing."""
        scene, answered_ns = self._scene, self._scene.answer_ns
        scene.take(event)
        self._note_result(event)
        self._requests.take(event)
        if scene.answer_ns != answered_ns:
            self._hand.answered(scene.answer_ns)
        if event.is_("visitor-reader", "removed"):
            name = scene.reader.names[event.line["uid"]]
            if self._on_reader.removed(name):
                self._hand.left(name)
        if event.source == "visitor-lane":
            self.watch.nudge()
        if (
            event.source == _STATUS
            and self._plug != "pulled"
            and event.line["asked_ns"] >= self._plugged_ns
        ):
            self._take_status(event.line["status"])
        if event.source == "console":
            self._take_console(event.line)

    def _note_result(self, event: Event) -> None:
        """Note the result of a switch that the event shows."""
        results, taps = self._results, self._scene.taps
        match event.source, event.line.get("event"):
            case "visitor-lane", "tap":
                self._tap_unix_s = time.time()
                for _ in range(taps.decided - self._decided):
                    results.decided()
                self._decided = taps.decided
            case "visitor-lane", "forced":
                results.forced_by_lane()
            case "visitor-board", "forced":
                results.forced_by_board()
            case "visitor-reader", "unplugged":
                results.reader_unplugged(time.time())
                self._requests.city_reader = None
            case "visitor-reader", "replugged":
                results.reader_plugged(time.monotonic_ns())
            case "visitor-lane", "reader" if event.line["state"] == "ready":
                results.reader_ready(time.monotonic_ns())

    def _take_console(self, line: Line) -> None:
        match line.get("event"):
            case "started":
                self._status_page = line["address"]
            case "ended":
                self._status_page = None
                self._demo.announce("the gate's console has ended; the reason is above")

    def turn(self, now_ns: int) -> None:
        """Take away cards that are due, and follow the lane's list and reader."""
        self._remove(self._hand.take_away_if_due(now_ns))
        self._requests.adopted(self._scene.lane.list_version)
        if self._results.city_should_know:
            if self._requests.city_reader not in {None, "ready"}:
                self._results.city_knows()
            elif now_ns - self._asked_reader_ns >= ASK_NS:
                self._asked_reader_ns = now_ns
                self._requests.ask_for_reader()

    def page_opened(self) -> None:
        """Suspend the amber card for another minute if its suspension is over."""
        if not self._requests.asked("brief") and not self._is_suspended("brief"):
            self._requests.suspend("brief")

    def do(self, verb: verbs.Verb) -> None:
        """Do what a page asked for. Raises RefusedError."""
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
                self._take_away()
            case verbs.Push():
                self._board.send("pass")
            case verbs.Network() | verbs.Plug() | verbs.Reader() | verbs.Emergency():
                self._switch(verb)
            case verbs.Suspend() | verbs.Reinstate() | verbs.CutOff():
                self._ask_city(verb)
            case _:
                assert_never(verb)

    def picture(self) -> dict[str, Any]:
        """Return the scene."""
        scene, requests, status = self._scene.picture(), self._requests, self._scene.lane.status
        scene["lane"]["plug"] = self._plug
        results = self._results.picture()
        return scene | {
            "run": self._run,
            "timing": self._timing,
            "reader_kind": self._gate.visitors_reader.kind,
            "tap_unix_s": self._tap_unix_s,
            "facts": results,
            "followed": {**requests.followed},
            "tray": requests.tray(self._lane_unix_s),
            "reports": {
                "waiting": results["pull"]["on_disk"]
                if self._plug == "pulled"
                else status.reports_waiting
                if status is not None and self._scene.lane.is_up
                else None,
                "delivered": self._scene.lane.delivered,
                **requests.reports,
            },
            "network": self._demo.network,
            "cut_off": requests.cut_off(),
            "story": self._demo.story,
            "status_page": self._status_page,
        }

    # On the reader

    def _present(self, names: Sequence[str], line: str, *, by_hand: bool) -> None:
        """Send a line to the reader that presents these cards.

        A hand that still holds cards takes them away first; cards that lie on the reader stay.
        """
        on_reader, held = self._on_reader.cards, self._hand.cards
        refuse_if(any(name in on_reader and name not in held for name in names), "card_lies")
        self._remove(self._hand.take_away())
        self._reader.send(line)
        self._on_reader.add(names)
        if by_hand:
            self._hand.hold(names, time.monotonic_ns())

    def _take_away(self) -> None:
        refuse_if(not self._on_reader.cards, "no_card")
        self._hand.take_away()
        self._remove([*self._on_reader.cards])

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._on_reader.cards:
                self._on_reader.remove(name)
                self._reader.send(f"remove {self._uids[name].hex()}")

    # Switches

    def _switch(self, verb: verbs.Network | verbs.Plug | verbs.Reader | verbs.Emergency) -> None:
        match verb:
            case verbs.Network(up):
                refuse_if((self._demo.network == "up") is up, "is_so")
                self._switch_network(up=up)
            case verbs.Plug(is_in):
                refuse_if((self._plug != "pulled") is is_in, "is_so")
                self.put_plug_in() if is_in else self._pull_plug()
            case verbs.Reader(plugged):
                refuse_if(self._scene.reader.plugged is plugged, "is_so")
                self._reader.send("replug" if plugged else "unplug")
            case verbs.Emergency(on):
                refuse_if(self._scene.board.emergency is on, "is_so")
                self._board.send(f"emergency {'on' if on else 'off'}")

    def _switch_network(self, *, up: bool) -> None:
        if up:
            self._results.network_restored(self._scene.lane.waiting)
            self._demo.restore()
        else:
            self._demo.cut()
            self._results.network_cut(time.time())
        self._demo.announce(f"the network is {'restored' if up else 'cut'}")

    def put_plug_in(self) -> None:
        """Put the plug in if it is pulled."""
        if self._plug == "pulled":
            self._plug = self._scene.courier = "starting"
            self._plugged_ns = time.monotonic_ns()
            self._results.plug_put_in(self._plugged_ns)
            for name in PROGRAMS_ON_PLUG:
                self._demo.start(name)
            self._demo.announce("the plug is in again: lane and courier start")

    def _pull_plug(self) -> None:
        with suppress(LaneGoneError):  # its count of delivered reports ends with its process
            self._scene.lane.take_status(self._lane.status())
        for name in PROGRAMS_ON_PLUG:
            self._demo.end_unseen(name)
        self._plug, self._scene.courier = "pulled", "off"
        self._lane.close()
        self._scene.lane.gone()
        self._results.plug_pulled(reports_on_disk(self._gate.outbox(VISITORS_LANE)))
        self._demo.announce("the plug is pulled: SIGKILL for lane and courier")

    def _take_status(self, status: LaneStatus | None) -> None:
        """Take the lane's status, None without an answer; ask the city for its counts."""
        if status is None:
            self._scene.lane.is_up = False
            return
        self._scene.lane.take_status(status)
        if (
            self._plug == "starting"
            and self._scene.courier != "starting"
            and self._scene.lane.knows_devices
        ):
            self._plug = "in"
            self._results.lane_back(time.monotonic_ns(), self._waiting(), status.reports_delivered)
        self._requests.count(self._scene.lane.delivered)

    def _waiting(self) -> frozenset[str] | None:
        """Return the ids of the reports that the lane has; None if it does not answer."""
        found: list[str] = []
        with suppress(LaneGoneError):
            while some := self._lane.oldest(BATCH_MAX, len(found)):
                found += [report.report_id for report in some]
            return frozenset(found)
        return None

    # The city

    @property
    def _lane_unix_s(self) -> int:
        status = self._scene.lane.status
        return status.unix_s if status else 0

    def _is_suspended(self, name: str) -> bool:
        return self._requests.is_suspended(name, self._lane_unix_s)

    def _ask_city(self, verb: verbs.Suspend | verbs.Reinstate | verbs.CutOff) -> None:
        requests = self._requests
        match verb:
            case verbs.CutOff(in_force):
                refuse_if(requests.cut_off_asked is not None, "city_is_busy")
                refuse_if(requests.cut_off_in_force is in_force, "is_so")
                requests.move_cut_off(in_force=in_force)
                self._demo.announce(
                    f"the cut-off date was moved to the {'past' if in_force else 'future'}"
                )
            case verbs.Suspend(card) | verbs.Reinstate(card):
                suspends = isinstance(verb, verbs.Suspend)
                refuse_if(card == "phone", "no_list_can_name_it")
                refuse_if(requests.asked(card) is not None, "city_is_busy")
                refuse_if(self._is_suspended(card) is suspends, "is_so")
                (requests.suspend if suspends else requests.reinstate)(card)
                change = "suspend" if suspends else "reinstate"
                self._demo.announce(f"the city was asked to {change} the {card} card")
