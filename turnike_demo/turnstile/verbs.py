"""The verbs that a page may send: one JSON object each, with a `verb`.

    read(b'{"verb":"tap","card":"matched"}')     # Tap(card="matched"); raises VerbError

Cards have their names in the tray (`people.TRAY`); no UID comes from a page or goes to one.
"""

from typing import Literal

import msgspec

from validator.errors import one_line

VERB_BYTES_MAX = 1_024  # many times the longest

Card = Literal["matched", "suspended", "unmatched", "brief", "staff", "phone"]


class VerbError(Exception):
    """Bytes that are no verb; the message is one line."""


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
    """Take away the cards on the reader."""


class Clash(_Verb, frozen=True):
    """Hold two cards to the reader at once."""


class PullEarly(_Verb, frozen=True, tag="pull_early"):
    """Hold a card to the reader, and pull it away before it has answered."""


class Network(_Verb, frozen=True):
    """Cut the network, or restore it."""

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
    """Have the city move the cut-off date of unmatched cards to the past, or to the future."""

    in_force: bool


class Emergency(_Verb, frozen=True):
    """Press or release the button by which the hardware frees the arms."""

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
    """Read one verb.

    Raises:
        VerbError: `content` is not exactly one of the verbs.
    """
    if len(content) > VERB_BYTES_MAX:
        raise VerbError(f"longer than {VERB_BYTES_MAX} bytes, which no verb is")
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise VerbError(one_line(error)) from error
