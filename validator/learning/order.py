"""The order to learn a card: one gate, one lane, one run of it, one card, one key to seal it to.

    order = read_order(signed, key_ids)      # signed by a key that the root names for `targets`

The city's command makes it and signs it with the key that signs lists. The receiver and the courier
carry it, and can neither make nor change one. The lane checks the rest (lane/learning.py): an order
is good for the run of the lane that it names, once.
"""

from collections.abc import Callable, Collection
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from validator.errors import one_line
from validator.learning.signed_text import (
    LearningError,
    Purpose,
    SignedText,
    sign,
    tuf_key_id,
    verified,
)

WAIT_S_MAX = 180  # for the card; with ACCEPT_S nobody waits for longer than 5 minutes
ACCEPT_S = 120  # for the gate to take the order: a gate sends its status each minute
REQUEST_ID = r"^[0-9a-f]{32}\Z"
_UnixSeconds = Annotated[int, Meta(ge=0, lt=1 << 40)]


class Order(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the city asks. `public_key` is an X25519 key, made for this card alone."""

    request_id: Annotated[str, Meta(pattern=REQUEST_ID)]
    gate_id: Annotated[str, Meta(max_length=64)]
    lane: Annotated[int, Meta(ge=1, le=99)]
    run_id: Annotated[str, Meta(max_length=64)]
    """The run of the lane, as its status names it: after a restart the order is void."""
    public_key: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    issued_unix_s: _UnixSeconds
    accept_until_unix_s: _UnixSeconds
    wait_s: Annotated[int, Meta(ge=1, le=WAIT_S_MAX)]


_decoder = msgspec.json.Decoder(Order, strict=True)


def signed_order(order: Order, key: str, sign_bytes: Callable[[bytes], bytes]) -> SignedText:
    """Sign an order; see signed_text.sign for the key."""
    return sign(Purpose.ORDER, msgspec.json.encode(order).decode(), key, sign_bytes)


def read_order(signed: SignedText, key_ids: Collection[str]) -> Order:
    """Return the order if one of these keys signed it (ids as in a TUF root).

    Raises LearningError, and no other error.
    """
    if tuf_key_id(signed.key) not in key_ids:
        raise LearningError("it is signed by no key that this gate trusts for lists")
    text = verified(signed, Purpose.ORDER)
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise LearningError(f"no order: {one_line(error)}") from None
