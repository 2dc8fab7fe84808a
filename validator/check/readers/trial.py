"""A reader tried at once: open it with the lane's own driver, and show what it reports of a card.

Without `identify` no UID and no printed number is shown: the person at the terminal needs to see
that cards are read, and others may see it.
"""

import select
import time
import tomllib
from collections.abc import Callable, Iterator

import msgspec

from validator.config.devices import ReaderConfig
from validator.domain.events import (
    CardSeen,
    Clash,
    LaidBefore,
    LeftEarly,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Unsupported,
)
from validator.lane.ports import Reader
from validator.lane.readers.printed_number import ReadsNumbers, may_have_number

NS_PER_S = 1_000_000_000
READY_S = 10.0  # an adapter that resets its chip, or pcscd that starts


def config_of(lines: tuple[str, ...]) -> ReaderConfig:
    """Return the configuration that these lines of [reader] are."""
    return msgspec.convert(tomllib.loads("\n".join(lines))["reader"], ReaderConfig)


def try_reader(
    reader: Reader,
    limit_s: float,
    *,
    identify: bool = False,
    clock: Callable[[], int] | None = None,
) -> Iterator[str]:
    """Yield one line for each event of the reader, until a card was read or the time ends.

    The last line shows whether a card was read.

    Args:
        reader: just made; it is closed at the end.
        limit_s: how long to wait for a card.
        identify: show UID and printed number.
        clock: monotonic time in ns.
    """
    now_ns = clock or time.monotonic_ns
    try:
        yield from _try(reader, now_ns, limit_s, identify=identify)
    finally:
        reader.close()


def _try(
    reader: Reader, now_ns: Callable[[], int], limit_s: float, *, identify: bool
) -> Iterator[str]:
    end_ns = now_ns() + int(READY_S * NS_PER_S)
    is_ready = False
    while (event := _next(reader, now_ns, end_ns)) is not None:
        match event:
            case ReaderBack():
                if not is_ready:
                    end_ns = now_ns() + int(limit_s * NS_PER_S)
                    yield f"ready; lay a card on it within {limit_s:.0f} s"
                is_ready = True
            case CardSeen():
                yield _card(event, reader, identify=identify)
                return
            case _:
                yield told(event)
        reader.arm()
    yield "no card was read" if is_ready else "it is not ready; the line above has the reason"


def told(event: ReaderEvent) -> str:
    """Return what an event other than a card means, in one line."""
    match event:
        case ReaderLost(reason=reason):
            return reason
        case Clash():
            return "two cards at once: lay one"
        case LeftEarly():
            return "the card left before it had answered in full: hold it still"
        case LaidBefore():
            return "a card lay there already: take it away, and lay it again"
        case Unsupported():
            return "an answer that no card gives: another kind of card, or a phone"
        case _:
            return "ready"


def _card(event: CardSeen, reader: Reader, *, identify: bool) -> str:
    uid = event.card.uid
    kind = "a random UID, as phones have: no list can name it" if uid.is_random else ""
    if may_have_number(event):
        kind = kind or "a card that takes APDUs, such as a DESFire"
    line = f"read: a UID of {len(uid.raw)} bytes{f'; {kind}' if kind else ''}"
    if not identify:
        return f"{line} (--identify shows it)"
    number = reader.read_number() if isinstance(reader, ReadsNumbers) else None
    line = f"{line}; UID {uid.raw.hex()}"
    return f"{line}; printed number {number}" if number else line


def _next(reader: Reader, now_ns: Callable[[], int], end_ns: int) -> ReaderEvent | None:
    """Wait for the reader's next event; None when the time is over."""
    while True:
        event = reader.take()
        if event is not None:
            return event
        if now_ns() >= end_ns:
            return None
        poll = select.poll()
        if reader.fileno() >= 0:
            poll.register(reader.fileno(), select.POLLIN)
        due_ns = min(reader.deadline_ns(), end_ns)
        poll.poll(max(due_ns - now_ns(), 0) / 1e6)
