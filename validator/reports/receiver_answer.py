"""The receiver's refusals, and the mark by which a gate knows its answers from a proxy's.

    headers = {MARK: MARK_VALUE}                       # on every answer of the receiver
    checked = Checked("POST", host, path)
    body = refusal_body("gate 'a' is not known here", Reason.UNKNOWN_GATE, checked)
    refusal = parse_refusal(headers, body)             # on the gate; None: another server answered

A web server, a proxy or a load balancer answers 401, 403, 404 and 502 too, and knows nothing of
gates. Its answers have no mark. The mark is no proof: an attacker who forges it has broken TLS
already. It only decides the advice to the operator. The bytes may be hostile.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MARK, MARK_VALUE = "turnike-receiver", "1"
SHOWN_CHARACTERS_MAX = 200  # of each text of a refusal

_Text = Annotated[str, Meta(max_length=2_000)]


class Reason(Enum):
    """Why a request was refused, for the gate's advice; the text beside it is for a person."""

    UNKNOWN_GATE = "unknown gate"  # never enrolled here, or struck off
    SIGNATURE = "signature"  # it does not fit what came
    ADDRESS = "address"  # the receiver is not called so, or has no such path


class Checked(Struct, frozen=True):
    """The request as it arrived: the parts that a signature was checked against."""

    method: _Text
    authority: _Text
    path: _Text


class Refusal(Struct, frozen=True):
    """The receiver's reason for a refusal. Receivers of earlier versions send `error` alone."""

    error: _Text
    reason: _Text = ""
    checked: Checked | None = None


_refusal = msgspec.json.Decoder(Refusal, strict=True)


def refusal_body(error: str, reason: Reason, checked: Checked) -> dict[str, object]:
    """The JSON of a refusal, every text of it bounded and in one line."""
    texts = {name: plain(text) for name, text in msgspec.structs.asdict(checked).items()}
    return {"error": plain(error), "reason": reason.value, "checked": texts}


def parse_refusal(headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Decode a refusal, its texts fit for a line; None if another server answered.

    Names in `headers` are in lower case, unless the mapping ignores case.
    """
    if headers.get(MARK, "") != MARK_VALUE:
        return None
    try:
        refusal = _refusal.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Refusal("")
    checked = refusal.checked
    if checked is not None:
        checked = Checked(plain(checked.method), plain(checked.authority), plain(checked.path))
    return Refusal(plain(refusal.error), plain(refusal.reason), checked)


def plain(text: str) -> str:
    """One short line of printable ASCII."""
    shown = text[:SHOWN_CHARACTERS_MAX]
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in shown)
