"""The hand in front of a simulated reader: the verbs that lay cards on it and take them away."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from firmware_sim.cards import Card, Kind, card_of, parse_uid
from firmware_sim.faults import ALWAYS, Faults
from firmware_sim.faults import Kind as FaultKind
from firmware_sim.outcomes import Event
from firmware_sim.radio.field import CARDS_MAX, Field, Presence, Stage

__all__ = ["CARD_FAULTS", "CARD_VERBS", "Hand"]

CARD_VERBS = {
    "present": "present UID [number=DIGITS] [leaves=STAGE]",
    "remove": "remove [UID]",
    "clash": "clash UID UID",
}
CARD_FAULTS = {
    "two-cards": FaultKind(None, ALWAYS, "a card that is presented brings a second one along"),
    "leaves": FaultKind(
        "stage",
        ALWAYS,
        "a card that is presented leaves at STAGE of the exchange",
        value_required=True,
        stages=tuple(stage.value for stage in Stage),
    ),
}


class Place(Protocol):
    """Where cards lie: a reader's field."""

    @property
    def field(self) -> Field:
        """The cards that are there."""

    def enter(self, now_ns: int, *cards: Card) -> list[Presence]:
        """Put cards there at once. Raises ValueError: one is there already, or there is no room."""

    def leave(self, now_ns: int, *leaving: Presence) -> None:
        """Take cards away, all at once."""


class Hand:
    """Does the verbs of CARD_VERBS and the faults of CARD_FAULTS."""

    def __init__(self, place: Place, faults: Faults, random: Random) -> None:
        """`random` draws the UID of a card that a fault adds."""
        self._place = place
        self._faults = faults
        self._random = random

    def obey(self, words: Sequence[str], now_ns: int) -> list[Event]:
        """Do one verb.

        Returns:
            Its events.

        Raises:
            ValueError: the verb or an argument is wrong; nothing has changed. The text has what is
                wrong, and what to write.
        """
        match words:
            case ["present", uid, *options]:
                chosen = _options(options, CARD_VERBS["present"])
                return self._present(parse_uid(uid), chosen, now_ns)
            case ["remove"]:
                return self._remove(list(self._place.field.present), now_ns)
            case ["remove", uid]:
                return self._remove([self._there(parse_uid(uid))], now_ns)
            case ["clash", first, second]:
                return self._clash(parse_uid(first), parse_uid(second), now_ns)
            case _:
                raise ValueError(f"write {CARD_VERBS[words[0]]}")

    def _present(self, uid: bytes, options: Mapping[str, str], now_ns: int) -> list[Event]:
        first, *others = self._place.enter(
            now_ns, card_of(uid, options.get("number")), *self._companion()
        )
        first.leaves = Stage(options["leaves"]) if "leaves" in options else self._leaving()
        return [Event("present", now_ns, _about(there)) for there in (first, *others)]

    def _companion(self) -> list[Card]:
        """Return the second card that a fault adds, if there is room for two."""
        if (
            len(self._place.field.present) + 2 > CARDS_MAX
            or self._faults.strike("two-cards") is None
        ):
            return []
        return [Card(b"\x04" + self._random.randbytes(6), Kind.DESFIRE)]

    def _leaving(self) -> Stage | None:
        fault = self._faults.strike("leaves")
        return None if fault is None else Stage(fault.value)

    def _clash(self, first: bytes, second: bytes, now_ns: int) -> list[Event]:
        both = self._place.enter(now_ns, card_of(first), card_of(second))
        return [Event("clash", now_ns, {"uids": [there.card.uid.hex() for there in both]})]

    def _there(self, uid: bytes) -> Presence:
        for there in self._place.field.present:
            if there.card.uid == uid:
                return there
        raise ValueError(f"card {uid.hex()} is not on the reader")

    def _remove(self, leaving: Sequence[Presence], now_ns: int) -> list[Event]:
        """Take cards away; the field reports that they have left."""
        if not leaving:
            raise ValueError("no card is on the reader")
        self._place.leave(now_ns, *leaving)
        return []


def _about(there: Presence) -> dict[str, object]:
    return {
        "uid": there.card.uid.hex(),
        "shown": there.shown_uid.hex(),
        "kind": there.card.kind.value,
    }


def _options(words: Sequence[str], usage: str) -> dict[str, str]:
    """Parse `key=value` words.

    Raises:
        ValueError: an unknown key, one twice, or an unknown stage.
    """
    options: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in {"number", "leaves"} or key in options:
            raise ValueError(f"{word!r} is not understood; write {usage}")
        options[key] = value
    if "leaves" in options and options["leaves"] not in {stage.value for stage in Stage}:
        raise ValueError(
            f"no stage is called {options['leaves']!r};"
            f" there are {', '.join(stage.value for stage in Stage)}"
        )
    return options
