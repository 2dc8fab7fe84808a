"""What this machine's clock is worth: nothing is signed by one that went back, or that jumped ahead, until a person says that it is right.

    now_unix_s = time_to_sign(office, now_unix_s)  # raises ClockError
    say_right(office, now_unix_s)                  # `publish --clock-is-right`

Gates take the signed time for the least time that it is, so a signature by a clock that runs ahead ends suspensions. The witness here is the
last signature: a publisher that works signs several times a day. docs/decisions/0017-a-clock-that-was-wrong.md says why these limits.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from tuf.api.metadata import Metadata, Timestamp  # type: ignore[attr-defined]  # as in roots.py

from backoffice.home.folder import DAY_S, Office, put
from backoffice.signing.roots import required_root
from backoffice.signing.standing import SIGNED_AT, is_signed, standing
from validator.errors import OperatorError
from validator.host.durable import sync_folder

STEP_S_MAX = 300  # how far a clock may go back, as clocks that are set right do; the signed time stays where it was
JUMP_S_MAX = DAY_S  # how long after the last signature the next one may be

_UNIX_S_MAX = (1 << 40) - 1


class ClockError(OperatorError):
    """This clock is wrong, or was: nothing was signed. The message is one clear line, the same for a whole day."""


class _Said(Struct, frozen=True):
    """A person said that the clock was right when it showed this time."""

    right_unix_s: Annotated[int, Meta(ge=0, le=_UNIX_S_MAX)]


def say_right(office: Office, now_unix_s: int) -> None:
    """Keep that a person has looked at a right clock and says that it is this time. Raises OSError."""
    put(_path(office), msgspec.json.encode(_Said(now_unix_s)))


def time_to_sign(office: Office, now_unix_s: int, *, issued_unix_s: int = 0) -> int:
    """The time to sign with, in Unix seconds: now, or the time of the last signature if the clock went back by less than STEP_S_MAX.

    `issued_unix_s` is when the last list was issued, if the caller knows: it counts if timestamp.json is lost. Raises ClockError; RootError if
    there is no root.
    """
    seen, root = standing(office).timestamp, required_root(office).signed
    signed_unix_s = _signed_unix_s(seen) or issued_unix_s
    _refuse_jump(office, signed_unix_s, now_unix_s)
    if seen is None or not is_signed(root, seen):
        return now_unix_s  # gates forget a signed time with the key that signed it
    if now_unix_s < signed_unix_s - STEP_S_MAX:
        raise ClockError(
            f"timestamp was signed at {_moment(signed_unix_s):%Y-%m-%d %H:%M} UTC, which is later than this clock says: set the clock, or, if it"
            " was wrong then, rotate timestamp"
        )
    return max(now_unix_s, signed_unix_s)


def check_clock(office: Office, now_unix_s: int) -> None:
    """See that what counts from now may believe this clock: the end of a span, what has ended. Before the first list it may. Raises ClockError."""
    if standing(office).timestamp is not None:
        time_to_sign(office, now_unix_s)


def check_not_ahead(office: Office, now_unix_s: int) -> None:
    """The same for what is done by a clock that was set back, since it ran ahead before. Raises ClockError."""
    _refuse_jump(office, _signed_unix_s(standing(office).timestamp), now_unix_s)


def _refuse_jump(office: Office, signed_unix_s: int, now_unix_s: int) -> None:
    last_unix_s = max(signed_unix_s, _said_right(office, now_unix_s))
    if last_unix_s and now_unix_s > last_unix_s + JUMP_S_MAX:
        raise ClockError(
            f"the clock says {_moment(now_unix_s):%Y-%m-%d}, and the last signature is of {_moment(last_unix_s):%Y-%m-%d %H:%M} UTC: set the"
            " clock, or, if it is right, say so: turnike-backoffice publish --clock-is-right"
        )


def _signed_unix_s(timestamp: Metadata[Timestamp] | None) -> int:
    said = timestamp.signed.unrecognized_fields.get(SIGNED_AT, 0) if timestamp else 0
    return said if isinstance(said, int) else 0


def _said_right(office: Office, now_unix_s: int) -> int:
    """When a person last said that the clock is right, by that clock; 0 if nobody did, or if it was wrong then.

    It was wrong if the clock has been set back below it since. That is forgotten for good: a battery clock that is wrong by as much at each
    start would else be believed at the next one, without a word.
    """
    try:
        said = msgspec.json.decode(_path(office).read_bytes(), type=_Said).right_unix_s
    except (OSError, msgspec.MsgspecError):
        return 0  # it is asked for again
    if said <= now_unix_s + STEP_S_MAX:
        return said
    with suppress(OSError):  # whoever cannot write here signs nothing either
        _path(office).unlink(missing_ok=True)
        sync_folder(office.home)
    return 0


def _path(office: Office) -> Path:
    return office.home / "clock.json"


def _moment(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
