"""What tests of learning share: keys of a city, orders signed by them, and a lane that learns."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from validator.domain.cards import CardUid
from validator.domain.trusted_time import Now
from validator.ipc.answers import LearningAnswer
from validator.ipc.requests import Learn, Learned
from validator.lane.learning import Learning
from validator.learning.order import Order, signed_order
from validator.learning.signed_text import SignedText, tuf_key_id

NOW_UNIX_S = 1_800_000_000
GATE, LANE, RUN = "kadikoy-03", 1, "00112233aabbccdd"
CARD, NEXT = CardUid(bytes.fromhex("04112233445566")), CardUid(bytes.fromhex("04998877665544"))
NUMBER = "1234567890123456"
CITY = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
OPERATOR = PrivateKey(bytes([9]) * 32)


def public(key: Ed25519PrivateKey) -> str:
    """The public half in hex."""
    return key.public_key().public_bytes_raw().hex()


ORDER = Order(
    request_id="0" * 31 + "1",
    gate_id=GATE,
    lane=LANE,
    run_id=RUN,
    public_key=bytes(OPERATOR.public_key).hex(),
    issued_unix_s=NOW_UNIX_S,
    accept_until_unix_s=NOW_UNIX_S + 120,
    wait_s=60,
)


def order(key: Ed25519PrivateKey = CITY, **change: Any) -> SignedText:
    """An order with these fields changed, signed by this key."""
    return signed_order(msgspec.structs.replace(ORDER, **change), public(key), key.sign)


@dataclass
class Lane:
    """A lane that learns, in a time that only the test moves. It trusts CITY."""

    unix_s: int = NOW_UNIX_S
    monotonic_s: float = 1_000.0
    learning: Learning = field(init=False)

    def __post_init__(self) -> None:
        self.restart(RUN)

    def restart(self, run_id: str) -> None:
        """As after a kill: another run, which remembers nothing."""
        self.learning = Learning(
            GATE,
            LANE,
            run_id,
            lambda: Now(self.unix_s, synchronised=True),
            lambda: self.monotonic_s,
        )
        self.learning.trust((tuf_key_id(public(CITY)),))

    def _now(self) -> Now:
        return Now(self.unix_s, synchronised=True)

    def learn(self, signed: SignedText) -> LearningAnswer:
        """The courier hands over an order. It is not the lane's owner here, and need not be."""
        return self.learning.take(Learn(signed), by_owner=False)

    def learned(self) -> LearningAnswer:
        """The courier asks."""
        return self.learning.take(Learned(), by_owner=False)

    def lay(self, card: CardUid, number: str = "") -> None:
        """A refused card comes: the loop hands it over if learning is on."""
        if self.learning.is_on:
            self.learning.card(card, number)
