"""The radio field of a simulated reader: the cards in it and their states (ISO 14443-3 and -4).

A card is IDLE, READY while it is being selected, ACTIVE, in PROTOCOL once it answered RATS, or
HALT. A halted card stays silent until the field is switched off and on: so one tap is one event.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from firmware_sim.cards import Card, Session

__all__ = ["CARDS_MAX", "Field", "Presence", "Stage", "State"]

CARDS_MAX = 8  # a wallet; more is a mistake of the script


class State(Enum):
    """The state of a card in the field."""

    IDLE = auto()
    READY = auto()
    ACTIVE = auto()
    PROTOCOL = auto()
    HALT = auto()


class Stage(Enum):
    """The moment of the exchange at which a card leaves the field."""

    BEFORE_ANTICOLLISION = "before-anticollision"
    IN_ANTICOLLISION = "in-anticollision"
    BEFORE_SELECT = "before-select"
    BEFORE_RATS = "before-rats"
    BEFORE_REPLY = "before-reply"
    BEFORE_RELEASE = "before-release"


_NEVER_SELECTED = (Stage.BEFORE_ANTICOLLISION, Stage.IN_ANTICOLLISION, Stage.BEFORE_SELECT)


@dataclass(slots=True, eq=False)
class Presence:
    """One card in the field.

    Attributes:
        card: which one.
        shown_uid: the UID of this stay.
        leaves: when it leaves by itself; None for never.
        state: its state.
        session: its session at ISO 14443-4, in PROTOCOL.
        gone: whether it has left.
        left_at: the stage at which it has left by itself.
        level: the cascade level that it is at, from 0, while READY.
        was_halted: whether WUPA woke it from HALT: then an error puts it back there.
        awake_ns: from when on it has power enough to answer.
    """

    card: Card
    shown_uid: bytes
    leaves: Stage | None = None
    state: State = State.IDLE
    session: Session | None = None
    gone: bool = False
    left_at: Stage | None = field(default=None)
    level: int = 0
    was_halted: bool = False
    awake_ns: int = 0

    def ready(self) -> None:
        """Answer REQA or WUPA: begin anticollision at the first level."""
        self.was_halted = self.state is State.HALT
        self.state, self.level = State.READY, 0

    def fall_back(self) -> None:
        """Take a frame that is none for this state (ISO 14443-3, figure 7)."""
        if self.state in {State.READY, State.ACTIVE}:
            self.state = State.HALT if self.was_halted else State.IDLE

    def activate(self) -> bytes:
        """Send RATS: return the ATS without its length byte, and enter PROTOCOL.

        Empty, and no change, for a card without ISO 14443-4.
        """
        if self.card.ats:
            self.state = State.PROTOCOL
            self.session = Session(self.card, self.shown_uid)
        return self.card.ats

    def halt(self) -> None:
        """Send HLTA or S(DESELECT)."""
        self.state, self.session, self.was_halted = State.HALT, None, False


class Field:
    """The cards in the field; `random` draws phones' UIDs and which card answers first."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._left: list[Presence] = []
        self.present: list[Presence] = []
        self.on = False

    def enter(self, *cards: Card) -> list[Presence]:
        """Put cards into the field, all or none.

        Raises:
            ValueError: one is there already, or there is no room.
        """
        uids = [there.card.uid for there in self.present]
        for card in cards:
            if card.uid in uids:
                raise ValueError(f"card {card.uid.hex()} is on the reader already")
            uids.append(card.uid)
        if len(uids) > CARDS_MAX:
            raise ValueError(f"there is room for {CARDS_MAX} cards on the reader; remove some")
        entered = [Presence(card, card.shown_uid(self._random)) for card in cards]
        self.present += entered
        return entered

    def leave(self, presence: Presence, stage: Stage | None = None) -> None:
        """Take a card out of the field; `take_left` returns it."""
        presence.gone, presence.left_at, presence.session = True, stage, None
        self.present.remove(presence)
        self._left.append(presence)

    def take_left(self) -> list[Presence]:
        """Return the cards that have left since the last call, in order."""
        left, self._left = self._left, []
        return left

    def about(self) -> list[dict[str, object]]:
        """Return what the `status` event says about the cards."""
        return [
            {
                "uid": there.card.uid.hex(),
                "shown": there.shown_uid.hex(),
                "state": there.state.name,
            }
            for there in self.present
        ]

    def power(self, *, on: bool) -> None:
        """Switch the RF field; off resets every card, and a phone draws another UID."""
        if self.on and not on:
            for presence in self.present:
                presence.state, presence.session = State.IDLE, None
                presence.was_halted = False
                presence.shown_uid = presence.card.shown_uid(self._random)
        self.on = on

    def request(self) -> tuple[list[Presence], bool]:
        """Send REQA.

        An ACTIVE card does not answer and falls back to IDLE; HALT and PROTOCOL ignore REQA.

        Returns:
            The cards that answer, in the order of anticollision; and whether another REQA would
            find more.
        """
        answering = [there for there in self.present if there.state is State.IDLE]
        stirred = [there for there in self.present if there.state is State.ACTIVE]
        for there in stirred:
            there.state = State.IDLE
        if len(answering) > 1:
            self._random.shuffle(answering)
        return answering, bool(stirred)

    def select(self, presence: Presence, *, rats: bool) -> bytes | None:
        """Send anticollision and SELECT, and with `rats` RATS.

        Returns:
            The ATS, empty without RATS; None when the card left on the way.
        """
        if presence.gone:
            return None
        if presence.leaves in _NEVER_SELECTED or (rats and presence.leaves is Stage.BEFORE_RATS):
            self.leave(presence, presence.leaves)
            return None
        presence.state = State.ACTIVE
        ats = presence.activate() if rats and presence.card.ats else b""
        if presence.leaves in {Stage.BEFORE_RATS, Stage.BEFORE_REPLY}:
            self.leave(presence, presence.leaves)
        return ats

    def wake(self, presence: Presence, *, rats: bool) -> bool:
        """Send WUPA and SELECT to a card whose UID is known, halted or not; return its answer."""
        return not presence.gone and self.select(presence, rats=rats) is not None

    def release(self, presence: Presence) -> None:
        """Deselect one card."""
        if not presence.gone and presence.leaves is Stage.BEFORE_RELEASE:
            self.leave(presence, presence.leaves)
        presence.halt()
