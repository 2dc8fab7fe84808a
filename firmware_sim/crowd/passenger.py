"""Plays the passengers, one at a time: present the card, watch the display, walk, take it away.

It sends verbs to the two devices and watches the `Scene`, which has their own events alone: so it
sees what a passenger sees, and not what the lane logs. crowd/score.py judges, crowd/devices.py
starts the devices.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from firmware_sim.crowd.plan import VERDICTS, Play, Tap
from firmware_sim.crowd.score import Sight

NS_PER_MS = 1_000_000
CARD_STAYS_MS = 30  # after the answer: no hand is faster, and the reader still releases the card
VERB_LIMIT_MS = 5_000  # a device that has not done a verb by then hangs
ANSWER_LIMIT_MS = 5_000  # ten times what a passenger accepts; after it, the tap had no outcome
PULLED_LIMIT_MS = 3_000  # until the reader has polled, and the card has left
PULLED_ANSWER_MS = 300  # "try again" comes in this time or not at all
HELD_MS = 2_500  # longer than a reader takes to poll a held card again
PASSAGE_SPARE_MS = 3_000  # added to the hold time
SERVED_LIMIT_MS = 10_000
TRIES_MAX = 5

Detail = Mapping[str, Any]


class Scene:
    """What a passenger sees at the gate now, and saw since the tap began."""

    def __init__(self) -> None:
        self.lane = False
        self.shown = self.resting = "out_of_service"
        self.emergency = False
        self.unplugged: set[str] = set()
        self.passage: int | None = None
        self.cards = 0
        self.hold_ms = 0
        self.begin()

    def begin(self) -> None:
        """Begin a new passenger."""
        self.sight = Sight()
        self.broken = False
        self.ignores_try_again = False
        self._tap: int | None = None

    @property
    def missing(self) -> str | None:
        """What the next passenger waits for; None for a served gate with no passage under way.

        The last passenger's picture may still be shown: the next card may be read meanwhile.
        """
        for device in ("reader", "board"):
            if device in self.unplugged:
                return device
        if self.emergency:
            return "emergency"
        ready = self.lane and self.resting == "ready" and self.shown != "out_of_service"
        return None if ready and self.passage is None else "lane"

    def update(self, device: str, event: Detail) -> None:
        """Take one event of the reader or the board."""
        match event["event"]:
            case "unplugged":
                self.unplugged.add(device)
                self.broken = True
            case "replugged":
                self.unplugged.discard(device)
            case _ if device == "reader":
                self._reader(event)
            case _:
                self._board(event)

    def _reader(self, event: Detail) -> None:
        match event["event"]:
            case "present":
                self.cards += 1
                self.sight.present_ns = event["at_ns"]
            case "clash":
                self.cards += len(event["uids"])
                self.sight.present_ns = event["at_ns"]
            case "removed":
                self.cards -= 1

    def _board(self, event: Detail) -> None:
        match event["event"]:
            case "lane_back":
                self.lane = True
            case "session":
                self._end(None)
                self.lane, self.broken, self.resting = True, True, "out_of_service"
            case "lane_lost" | "started" | "brownout":
                self._end(None)
                self.lane, self.broken = False, True
            case "emergency":
                self._end(None)
                self.emergency = event["on"]
                self.broken = True
            case "open":
                self._open(event)
            case "passed" | "not_passed":
                self._end(event["tap"], passed=event["event"] == "passed")
            case "show":
                self._show(event)

    def _open(self, event: Detail) -> None:
        self.passage = self._tap = event["tap"]
        self.hold_ms = event["hold_ms"]
        self.sight.opens += 1
        self.sight.open_ns = self.sight.open_ns or event["at_ns"]

    def _end(self, tap: int | None, *, passed: bool | None = None) -> None:
        self.passage = None
        if tap is not None and tap == self._tap:
            self.sight.passed = passed

    def _show(self, event: Detail) -> None:
        self.shown = event["outcome"]
        if event["by"] == "lane" and not event["hold_ms"]:
            self.resting = self.shown
        self.broken |= self.shown == "out_of_service"
        if self.sight.saw is not None or self.shown in {"ready", "out_of_service", "emergency"}:
            return
        if self.shown == "try_again" and self.ignores_try_again:
            return
        self.sight.saw = self.shown
        self.sight.told_ns = event["at_ns"]


class Gate(Protocol):
    """The devices as a passenger uses them."""

    scene: Scene

    def verb(self, device: str, line: str) -> None:
        """Send a verb to a device; its events come into the scene during a wait."""

    def wait(self, until: Callable[[], bool], limit_ms: int) -> bool:
        """Take events until `until` is true or the limit has passed; return whether it is true."""

    def wait_served(self) -> None:
        """Take events until the gate is served."""


class Passenger:
    """Plays taps at a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._scene = gate.scene

    def play(self, tap: Tap) -> Sight:
        """Play one tap to its end, and return what the passenger saw.

        If a device or the lane went away before the verdict, the passenger comes again.
        """
        sight = Sight()
        for tries in range(1, TRIES_MAX + 1):
            self._gate.wait_served()
            sight = self._try(tap)
            sight.tries, sight.interrupted = tries, self._scene.broken
            if not self._scene.broken or sight.saw is not None:
                break
        return sight

    def _try(self, tap: Tap) -> Sight:
        scene = self._scene
        scene.begin()
        if tap.play is not Play.PULLED or not self._answered_before_gone(tap):
            self._present(tap)
            self._gate.wait(lambda: scene.sight.saw is not None or scene.broken, ANSWER_LIMIT_MS)
        self._walk(tap)
        self._gate.wait(lambda: scene.broken, HELD_MS if tap.play is Play.HELD else CARD_STAYS_MS)
        self._remove()
        self._gate.wait(lambda: scene.missing is None or scene.broken, SERVED_LIMIT_MS)
        return scene.sight

    def _present(self, tap: Tap, options: str = "") -> None:
        scene = self._scene
        self._gate.verb(
            "reader",
            f"{'present' if len(tap.uids) == 1 else 'clash'} {' '.join(tap.uids)}{options}",
        )
        self._gate.wait(lambda: scene.sight.present_ns is not None, VERB_LIMIT_MS)

    def _answered_before_gone(self, tap: Tap) -> bool:
        """Pull the card away too early; return whether the gate gave a verdict all the same."""
        scene = self._scene
        self._present(tap, f" leaves={tap.leaves}")
        self._gate.wait(lambda: not scene.cards or scene.broken, PULLED_LIMIT_MS)
        self._gate.wait(lambda: scene.sight.saw is not None or scene.broken, PULLED_ANSWER_MS)
        if scene.broken or scene.sight.saw in VERDICTS:
            return True
        self._remove()
        self._gate.wait(lambda: scene.missing is None or scene.broken, SERVED_LIMIT_MS)
        if not scene.broken:
            scene.begin()
            scene.ignores_try_again = True  # a late answer to the first try
        return scene.broken

    def _walk(self, tap: Tap) -> None:
        """Walk through released arms, or wait until they lock."""
        scene = self._scene
        if scene.passage is None:
            return
        if tap.play is not Play.STAYS:
            self._gate.wait(lambda: scene.passage is None, tap.walk_after_ms)
            if scene.passage is not None:
                self._gate.verb("board", "pass")
        self._gate.wait(lambda: scene.passage is None, scene.hold_ms + PASSAGE_SPARE_MS)

    def _remove(self) -> None:
        scene = self._scene
        if scene.cards:
            self._gate.verb("reader", "remove")
            self._gate.wait(lambda: not scene.cards, VERB_LIMIT_MS)
