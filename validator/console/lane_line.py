"""One lane, listened to without an end: a connection to its socket, made anew whenever it breaks.

    async for said in lane_says(Path("/run/turnike/lane-1.sock")):   # LaneStatus, Counts, Tap or Gone

Whatever is at the other end: it is asked one thing at a time, an answer has a limit, a line has a limit, and what cannot be understood ends the
connection and not the console. It asks a little and at a slow pace, since every answer is work for the lane's clerk.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from validator.console.lane_words import LINE_BYTES_MAX, Answer, GarbageError, News, Tap, heard
from validator.ipc.answers import Counts, LaneStatus, Refusal, Watching

STATUS_S = 1.0  # how often to ask how it fares, without being told that something has happened
COUNTS_S = 10.0  # how often to ask for all durations: Prometheus asks us every 15 s or less often
HURRY_S = 0.1  # between two questions how it fares, however much happens
ANSWER_S = 5.0  # a clerk that adopts a list on a slow disk answers late
AGAIN_S = 0.5  # between two connections: a lane that starts anew is seen soon
_NO_NEWS = ("passage", "summary")  # events after which it fares as before


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no lane to hear; why, in one line."""

    problem: str


class _LostError(Exception):
    """The connection is of no more use; the message says why."""


async def lane_says(path: Path) -> AsyncGenerator[LaneStatus | Counts | Tap | Gone, None]:
    """All that it says. A LaneStatus comes first on each connection, so that a new run is known before its taps; a Gone ends it."""
    while True:
        try:
            async with aclosing(_connection(path)) as connection:
                async for said in connection:
                    yield said
        except (_LostError, GarbageError) as error:
            yield Gone(str(error))
        await asyncio.sleep(AGAIN_S)


class _Questions:
    """What to ask next, and when. `asked` is what waits for its answer."""

    def __init__(self, now_s: float) -> None:
        self.asked: str = ""
        self._until_s = 0.0
        self._due_s = {"status": now_s, "watch": now_s, "histograms": now_s}  # in this order
        self._status_s = now_s

    def next(self, now_s: float) -> str:
        """What is to be asked now, or nothing."""
        due = [name for name, due_s in self._due_s.items() if due_s <= now_s]
        if self.asked or not due:
            return ""
        self.asked, self._until_s = due[0], now_s + ANSWER_S
        self._due_s[self.asked] = float("inf")
        return self.asked

    def wait_until_s(self) -> float:
        """When to look again, if nothing is said."""
        return self._until_s if self.asked else min(self._due_s.values())

    def late(self, now_s: float) -> bool:
        """Whether an answer has been waited for long enough, whatever else is said meanwhile."""
        return bool(self.asked) and now_s >= self._until_s

    def news(self, now_s: float) -> None:
        """Ask soon how it fares."""
        self._due_s["status"] = min(self._due_s["status"], max(now_s, self._status_s + HURRY_S))

    def answered(self, answer: Answer, now_s: float) -> None:
        """Go on. Raises _LostError if that was not asked."""
        match answer:
            case LaneStatus():
                name, again_s = "status", STATUS_S
                self._status_s = now_s
            case Counts():
                name, again_s = "histograms", COUNTS_S
            case Watching():
                name, again_s = "watch", float("inf")
            case Refusal():
                raise _LostError(f"it answers: {answer.error[:200]}")
            case _:
                assert_never(answer)
        if name != self.asked:
            raise _LostError("it says what it was not asked")
        self.asked = ""
        self._due_s[name] = min(self._due_s[name], now_s + again_s)  # news may have come meanwhile


async def _connection(path: Path) -> AsyncGenerator[LaneStatus | Counts | Tap, None]:
    """From one connection to its end, which is a _LostError or GarbageError."""
    clock = asyncio.get_running_loop().time
    reader, writer = await _connected(path)
    try:
        questions = _Questions(clock())
        while True:
            if questions.late(clock()):
                raise _LostError(f"no answer in {ANSWER_S:.0f} s")
            if question := questions.next(clock()):
                writer.write(b'{"request":"%s"}\n' % question.encode())
            line = await _line(reader, questions.wait_until_s())
            said = heard(line) if line is not None else None
            match said:
                case None:
                    pass
                case Tap():
                    yield said
                case News():
                    if said.event not in _NO_NEWS:
                        questions.news(clock())
                case _:
                    questions.answered(said, clock())
                    if isinstance(said, LaneStatus | Counts):
                        yield said
    except OSError as error:
        raise _LostError(error.strerror or "the connection broke") from error
    finally:
        writer.close()


async def _connected(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
    except TimeoutError:
        raise _LostError("it takes no connection") from None
    except OSError as error:
        raise _LostError(error.strerror or str(error)) from error


async def _line(reader: asyncio.StreamReader, until_s: float) -> bytes | None:
    """The next line, or None if there is none until then."""
    try:
        async with asyncio.timeout_at(until_s):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        return None
    except asyncio.IncompleteReadError:
        raise _LostError("it hung up") from None
    except asyncio.LimitOverrunError:
        raise _LostError(f"it says more than {LINE_BYTES_MAX} bytes in one line") from None
