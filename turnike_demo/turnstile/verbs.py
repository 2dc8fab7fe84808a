"""What a visitor of the demo may do, as it comes from the page: one JSON object with a `verb`. Any bytes give a verb, or one clear line.

    read(b'{"verb":"tap","card":"matched"}')     # Tap(card="matched"); raises VerbError

Cards are named as they lie in the tray (city.TRAY); no card's number comes from a page or goes to one.
"""

from typing import Literal

import msgspec

from validator.errors import one_line

VERB_BYTES_MAX = 1_024  # many times the longest

Card = Literal["matched", "suspended", "unmatched", "brief", "staff", "phone"]


class VerbError(Exception):
    """Not a verb; the message is one clear line."""


class _Verb(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="verb", tag=str.lower
):
    pass


class Tap(_Verb, frozen=True):
    """Lay a card on the reader, and take it away when the gate has answered."""

    card: Card


class Lay(_Verb, frozen=True):
    """Lay a card on the reader, and leave it there."""

    card: Card


class Take(_Verb, frozen=True):
    """Take away what lies on the reader."""


class Clash(_Verb, frozen=True):
    """Hold two cards to the reader at once."""


class PullEarly(_Verb, frozen=True, tag="pull_early"):
    """Hold a card to the reader, and pull it away before it has answered."""


class Network(_Verb, frozen=True):
    """Cut the network, or mend it."""

    up: bool


class Suspend(_Verb, frozen=True):
    """Have the city suspend a card."""

    card: Card


class Reinstate(_Verb, frozen=True):
    """Have the city lift a card's suspension."""

    card: Card


class Plug(_Verb, frozen=True, rename={"is_in": "in"}):
    """Pull the plug of the lane and the courier, or put it back in."""

    is_in: bool


class Reader(_Verb, frozen=True):
    """Plug the reader in, or out."""

    plugged: bool


class CutOff(_Verb, frozen=True, tag="cut_off"):
    """Have the city move the day from which unmatched cards are refused: into the past, or the future."""

    in_force: bool


class Emergency(_Verb, frozen=True):
    """The hardware's release of the arms."""

    on: bool


class Push(_Verb, frozen=True):
    """Push against the arms."""


Verb = (
    Tap
    | Lay
    | Take
    | Clash
    | PullEarly
    | Network
    | Suspend
    | Reinstate
    | Plug
    | Reader
    | CutOff
    | Emergency
    | Push
)
_decoder: msgspec.json.Decoder[Verb] = msgspec.json.Decoder(Verb)


def read(content: bytes) -> Verb:
    """The verb that this is. Raises VerbError."""
    if len(content) > VERB_BYTES_MAX:
        raise VerbError(f"more than {VERB_BYTES_MAX} bytes are no verb")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise VerbError(one_line(error)) from error
