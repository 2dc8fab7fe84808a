"""The check of this machine's clock before it signs.

    now_unix_s = time_to_sign(home, now_unix_s)  # raises ClockError
    say_right(home, now_unix_s)                  # `publish --clock-is-right`

A clock that went back, or jumped ahead, signs nothing until the operator confirms it. Gates take
the signed time for the least time that it is, so a signature by a clock that runs ahead ends
suspensions. The witness is the last signature: a publisher signs several times a day.
docs/decisions/0017-a-clock-that-was-wrong.md gives the reasons for the limits.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from tuf.api.metadata import Metadata, Timestamp  # type: ignore[attr-defined]  # as in roots.py

from backoffice.home.folder import DAY_S, Home, put
from backoffice.signing.published_state import SIGNED_AT, is_signed, standing
from backoffice.signing.roots import required_root
from validator.errors import OperatorError
from validator.host.durable import sync_folder

# How far a clock may go back, as clocks do that are set right. The signed time does not go back.
STEP_S_MAX = 300
JUMP_S_MAX = DAY_S  # how long after the last signature the next one may be

_UNIX_S_MAX = (1 << 40) - 1


class ClockError(OperatorError):
    """This clock is wrong, or was: nothing was signed. The message is the same for a whole day."""


class _Said(Struct, frozen=True):
    """The operator confirmed the clock when it showed this time."""

    right_unix_s: Annotated[int, Meta(ge=0, le=_UNIX_S_MAX)]


def say_right(home: Home, now_unix_s: int) -> None:
    """Record that the operator has confirmed this time. Raises OSError."""
    put(_path(home), msgspec.json.encode(_Said(now_unix_s)))


def time_to_sign(home: Home, now_unix_s: int, *, issued_unix_s: int = 0) -> int:
    """The time to sign with, in Unix seconds: now, or the last signature's if the clock went back.

    Args:
        home: The home.
        now_unix_s: This clock's time.
        issued_unix_s: When the last list was issued, if known; it counts if timestamp.json is lost.

    Raises:
        ClockError: The clock went back by more than STEP_S_MAX, or ahead by more than JUMP_S_MAX.
        RootError: There is no root.
    """
    seen, root = standing(home).timestamp, required_root(home).signed
    signed_unix_s = _signed_unix_s(seen) or issued_unix_s
    _refuse_jump(home, signed_unix_s, now_unix_s)
    if seen is None or not is_signed(root, seen):
        return now_unix_s  # gates forget a signed time with the key that signed it
    if now_unix_s < signed_unix_s - STEP_S_MAX:
        raise ClockError(
            f"timestamp was signed at {_moment(signed_unix_s):%Y-%m-%d %H:%M} UTC, which is later"
            " than this clock shows: set the clock, or, if it was wrong then, rotate timestamp"
        )
    return max(now_unix_s, signed_unix_s)


def check_clock(home: Home, now_unix_s: int) -> None:
    """Check the clock for what counts from now: the end of a span, what has ended.

    Raises ClockError.

    Before the first list any clock will do.
    """
    if standing(home).timestamp is not None:
        time_to_sign(home, now_unix_s)


def check_not_ahead(home: Home, now_unix_s: int) -> None:
    """Check that the clock did not jump ahead; it may have been set back. Raises ClockError."""
    _refuse_jump(home, _signed_unix_s(standing(home).timestamp), now_unix_s)


def _refuse_jump(home: Home, signed_unix_s: int, now_unix_s: int) -> None:
    last_unix_s = max(signed_unix_s, _said_right(home, now_unix_s))
    if last_unix_s and now_unix_s > last_unix_s + JUMP_S_MAX:
        raise ClockError(
            f"the clock shows {_moment(now_unix_s):%Y-%m-%d}, and the last signature is of"
            f" {_moment(last_unix_s):%Y-%m-%d %H:%M} UTC: set the clock, or, if it is right:"
            " turnike-backoffice publish --clock-is-right"
        )


def _signed_unix_s(timestamp: Metadata[Timestamp] | None) -> int:
    signed = timestamp.signed.unrecognized_fields.get(SIGNED_AT, 0) if timestamp else 0
    return signed if isinstance(signed, int) else 0


def _said_right(home: Home, now_unix_s: int) -> int:
    """The time that the operator last confirmed, in Unix seconds.

    0 if there is none, or if the clock was wrong then: it has been set back below it since. That
    confirmation is deleted: else a battery clock that is wrong by as much at each start would be
    believed at the next one.
    """
    try:
        right_unix_s = msgspec.json.decode(_path(home).read_bytes(), type=_Said).right_unix_s
    except (OSError, msgspec.MsgspecError):
        return 0  # the operator is asked again
    if right_unix_s <= now_unix_s + STEP_S_MAX:
        return right_unix_s
    with suppress(OSError):  # a user who cannot write here cannot sign either
        _path(home).unlink(missing_ok=True)
        sync_folder(home.folder)
    return 0


def _path(home: Home) -> Path:
    return home.folder / "clock.json"


def _moment(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
