"""One slot of a reader: the card that it has chosen in its field, and that card's power."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from firmware_sim.cards import Card
from firmware_sim.ccid.messages import Answer, Command, Error, Icc, Type
from firmware_sim.ccid.picc import FAILED, NOT_SUPPORTED, OK, atr, is_for_the_reader, pseudo_apdu
from firmware_sim.faults import Faults
from firmware_sim.radio.field import Field, Presence, Stage

__all__ = ["ContactlessSlot", "EmptySlot", "Slot", "Timing"]

MS = 1_000_000
GET_UID = b"\xff\xca\x00\x00"
ODD_ATR = bytes.fromhex("3b800e8e")  # offers T=14 alone
FIRMWARE = b"ACR122U214"
GET_FIRMWARE = bytes.fromhex("ff00480000")


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ns: assumptions, not measurements of a reader.

    Attributes:
        poll_ns: between two searches of the field; 0 for a reader that notices a card at once.
        exchange_ns: of one exchange with a card.
        recovery_ns: from a card that left to the next: the field goes off for 5 ms, a card needs
            5 ms to power up (ISO 14443-3, 5), then comes the anticollision.
    """

    poll_ns: int
    exchange_ns: int
    recovery_ns: int = 20 * MS


class EmptySlot:
    """A slot without a card, such as that for a SAM."""

    icc = Icc.ABSENT

    def answer(self, command: Command) -> Answer:
        """Answer a command."""
        return Answer(Icc.ABSENT, error=_refusal(command))


class ContactlessSlot:
    """The slot for cards in the field: of several, the reader's anticollision chooses one.

    A card that is powered down and up begins again: a phone then shows another UID.
    """

    def __init__(self, random: Random, faults: Faults) -> None:
        self.field = Field(random)
        self.chosen: Presence | None = None
        self.powered = False
        self.selected: list[Presence] = []  # since the reader has last made events of them
        self._faults = faults
        self._leaves_at_uid = False

    @property
    def icc(self) -> Icc:
        """The card's state, as the reader knows it."""
        if self.chosen is None:
            return Icc.ABSENT
        return Icc.ACTIVE if self.powered else Icc.INACTIVE

    def switch(self, *, on: bool) -> None:
        """Give the reader power, or take it."""
        self.chosen, self.powered = None, False
        self.field.power(on=on)

    def search(self) -> bool:
        """Search the field; return whether the chosen card has left, or one was chosen."""
        before = self.chosen
        if before is not None and before.gone:
            self.chosen, self.powered = None, False
            return True
        while self.field.on and self.chosen is None:
            answering, _ = self.field.request()
            if not answering:
                break
            self._choose(answering[0])
        return self.chosen is not before

    def swap(self, card: Card) -> Presence:
        """Exchange the chosen card for another so fast that the reader does not notice.

        Raises:
            ValueError: there is none.
        """
        if self.chosen is None:
            raise ValueError("no card is on the reader")
        entered = self.field.enter(card)[0]
        self.field.leave(self.chosen)
        self._choose(entered)
        return entered

    def answer(self, command: Command) -> Answer:
        """Answer a command."""
        if self.chosen is None or command.kind not in _FOR_CARDS:
            return Answer(
                self.icc, error=_refusal(command) if self.chosen is None else _known(command)
            )
        match command.kind:
            case Type.POWER_ON:
                return self._power_on(self.chosen)
            case Type.POWER_OFF:
                self._power_off(self.chosen)
                return Answer(self.icc)
            case Type.ESCAPE:
                return Answer(self.icc, FIRMWARE if command.data == GET_FIRMWARE else FAILED)
            case _:
                return self._exchange(self.chosen, command.data)

    def status(self) -> Mapping[str, object]:
        """Return the details of the `status` event."""
        return {"icc": self.icc.name.lower(), "field": self.field.on, "cards": self.field.about()}

    def _choose(self, there: Presence) -> None:
        self._leaves_at_uid = there.leaves is Stage.BEFORE_REPLY
        if self._leaves_at_uid:
            there.leaves = None  # not in the anticollision: later, before the host's answer
        if self.field.select(there, rats=True) is not None:
            self.chosen = there
            self.selected.append(there)

    def _power_on(self, there: Presence) -> Answer:
        if there.gone or self._faults.strike("mute") is not None:
            return Answer(self.icc, error=Error.MUTE)
        self.powered = True
        made = ODD_ATR if self._faults.strike("odd-atr") is not None else atr(there.card)
        return Answer(Icc.ACTIVE, made)

    def _power_off(self, there: Presence) -> None:
        self.powered = False
        self.field.power(on=False)
        self.field.power(on=True)
        if not there.gone:
            self.field.select(there, rats=True)

    def _exchange(self, there: Presence, apdu: bytes) -> Answer:
        if there.gone or not self.powered:
            return Answer(self.icc, error=Error.MUTE)
        if self._faults.strike("empty") is not None:
            return Answer(self.icc)
        if apdu[:4] == GET_UID:
            return self._uid(there, apdu)
        if is_for_the_reader(apdu):
            made = FIRMWARE if apdu == GET_FIRMWARE else pseudo_apdu(there.card, b"", apdu)
        else:
            made = NOT_SUPPORTED if there.session is None else there.session.apdu(apdu)
        return Answer(self.icc, made)

    def _uid(self, there: Presence, apdu: bytes) -> Answer:
        if self._leaves_at_uid:
            self.field.leave(there, Stage.BEFORE_REPLY)
            return Answer(self.icc, error=Error.MUTE)
        if self._faults.strike("failed") is not None:
            return Answer(self.icc, FAILED)
        if self._faults.strike("no-uid") is not None:
            return Answer(self.icc, NOT_SUPPORTED)
        answer = Answer(self.icc, pseudo_apdu(there.card, there.shown_uid, apdu))
        if self._faults.strike("odd-uid") is not None:
            answer = Answer(self.icc, there.shown_uid[:4] + b"\x00" + OK)
        if there.leaves is Stage.BEFORE_RELEASE:
            self.field.leave(there, Stage.BEFORE_RELEASE)
        return answer


Slot = EmptySlot | ContactlessSlot

_FOR_CARDS = {Type.POWER_ON, Type.POWER_OFF, Type.ESCAPE, Type.XFR_BLOCK}


def _known(command: Command) -> Error:
    return Error.NONE if command.kind in set(Type) else Error.NOT_SUPPORTED


def _refusal(command: Command) -> Error:
    """Return the error of a command for a card that is not there."""
    if command.kind in {Type.POWER_ON, Type.XFR_BLOCK}:
        return Error.MUTE
    return _known(command)
