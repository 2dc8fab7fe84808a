"""The answer of a gate to an order, and the card in it, sealed to the key of the order.

    sealed = seal(LearnedCard("04112233445566", ""), public_key)       # on the lane
    signed = signed_answer(Answer(request_id, State.SHOWN, sealed), key_hex, sign_bytes)  # courier
    card = open_card(answer.sealed, private_key)                       # the operator's command

Anyone could seal a card to the order's key, which the receiver sees. So the gate signs its answer
with the key that it enrolled, and the operator's command checks who signed.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from validator.errors import one_line
from validator.learning.order import REQUEST_ID
from validator.learning.signed_text import LearningError, Purpose, SignedText, sign, verified

SEALED_CHARACTERS_MAX = 256  # a card takes 140
PROBLEM_CHARACTERS_MAX = 200


class State(Enum):
    """How far a gate is with an order."""

    WAITING = "waiting"
    """For the card."""
    SHOWN = "shown"
    """A card was shown; `sealed` has it."""
    ENDED = "ended"
    """No card came in time, or the lane stopped."""
    REFUSED = "refused"
    """The lane did not take the order."""

    @property
    def is_final(self) -> bool:
        """Whether no other state follows."""
        return self is not State.WAITING


class LearnedCard(Struct, frozen=True, forbid_unknown_fields=True):
    """The UID in hex, and the printed number or "". Nothing tells why the card was refused."""

    uid: Annotated[str, Meta(pattern=r"^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})\Z")]
    number: Annotated[str, Meta(pattern=r"^([0-9]{16})?\Z")] = ""

    def __repr__(self) -> str:
        """Return a text without the card: a repr ends up in logs and tracebacks."""
        return "LearnedCard()"


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """What a gate answers; `problem` is one line about why it ended or was refused."""

    request_id: Annotated[str, Meta(pattern=REQUEST_ID)]
    state: State
    sealed: Annotated[str, Meta(max_length=SEALED_CHARACTERS_MAX)] = ""
    problem: Annotated[str, Meta(max_length=PROBLEM_CHARACTERS_MAX)] = ""


_answer = msgspec.json.Decoder(Answer, strict=True)
_card = msgspec.json.Decoder(LearnedCard, strict=True)


def signed_answer(answer: Answer, key: str, sign_bytes: Callable[[bytes], bytes]) -> SignedText:
    """Sign an answer; see signed_text.sign for the key."""
    return sign(Purpose.ANSWER, msgspec.json.encode(answer).decode(), key, sign_bytes)


def read_answer(signed: SignedText) -> Answer:
    """Return the answer if `signed.key` signed it; whose key that is, the caller has to know.

    Raises LearningError, and no other error.
    """
    text = verified(signed, Purpose.ANSWER)
    try:
        return _answer.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise LearningError(f"no answer: {one_line(error)}") from None


def seal(card: LearnedCard, public_key: str) -> str:
    """Seal a card to an X25519 key in hex (libsodium, "Sealed boxes"). Returns base64.

    Raises LearningError for a key of small order, whose boxes anyone could open.
    """
    try:
        box = SealedBox(PublicKey(bytes.fromhex(public_key)))
        return b64encode(box.encrypt(msgspec.json.encode(card))).decode()
    except CryptoError:
        raise LearningError("its key is weak") from None


def open_card(sealed: str, private_key: bytes) -> LearnedCard:
    """Open a sealed card with the 32 bytes of the private key.

    Raises LearningError, and no other error; its text shows nothing of the card.
    """
    try:
        content = SealedBox(PrivateKey(private_key)).decrypt(b64decode(sealed, validate=True))
    except (CryptoError, ValueError):
        raise LearningError("the card is not sealed to the key of this order") from None
    try:
        return _card.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise LearningError("what the gate sealed is no card") from None
