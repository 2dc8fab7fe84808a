"""One lane's socket: a connection that is made again whenever it breaks.

    async for received in lane_says(path):   # LaneStatus, Counts, Tap or Gone

Whatever is at the other end: the console sends one request at a time, an answer and a line have
limits, and what it cannot decode ends the connection and not the console. It asks seldom, since
every answer is work for the lane's clerk.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from validator.console.lane_words import LINE_BYTES_MAX, Answer, GarbageError, News, Tap, heard
from validator.ipc.answers import Counts, LaneStatus, Refusal, Watching

STATUS_S = 1.0  # between two requests for its status without any event
COUNTS_S = 10.0  # between two requests for all durations: Prometheus asks every 15 s or less often
HURRY_S = 0.1  # at least, between two requests for its status, however many events come
ANSWER_S = 5.0  # a clerk that reads a slow disk answers late
AGAIN_S = 0.5  # between two connections: a lane that restarts is seen soon
_NO_NEWS = ("passage", "summary")  # events that do not change the status


@dataclass(frozen=True, slots=True)
class Gone:
    """The lane does not answer; `problem` is the reason, in one line."""

    problem: str


class _LostError(Exception):
    """The connection must end; the message is the reason."""


async def lane_says(path: Path) -> AsyncGenerator[LaneStatus | Counts | Tap | Gone, None]:
    """Yield what the lane sends, for ever.

    A LaneStatus comes first on each connection, so that a new run is known before its taps. A Gone
    ends a connection.
    """
    while True:
        try:
            async with aclosing(_connection(path)) as connection:
                async for said in connection:
                    yield said
        except (_LostError, GarbageError) as error:
            yield Gone(str(error))
        await asyncio.sleep(AGAIN_S)


class _Questions:
    """Which request comes next, and when. `asked` is the one under way, or empty."""

    def __init__(self, now_s: float) -> None:
        self.asked: str = ""
        self._until_s = 0.0
        self._due_s = {"status": now_s, "watch": now_s, "histograms": now_s}  # in this order
        self._status_s = now_s

    def next(self, now_s: float) -> str:
        """Return the request to send now, or an empty string."""
        due = [name for name, due_s in self._due_s.items() if due_s <= now_s]
        if self.asked or not due:
            return ""
        self.asked, self._until_s = due[0], now_s + ANSWER_S
        self._due_s[self.asked] = float("inf")
        return self.asked

    def wait_until_s(self) -> float:
        """Return when to check again if no line comes."""
        return self._until_s if self.asked else min(self._due_s.values())

    def late(self, now_s: float) -> bool:
        """Return whether the answer is overdue, whatever else came meanwhile."""
        return bool(self.asked) and now_s >= self._until_s

    def news(self, now_s: float) -> None:
        """Ask for the status soon."""
        self._due_s["status"] = min(self._due_s["status"], max(now_s, self._status_s + HURRY_S))

    def answered(self, answer: Answer, now_s: float) -> None:
        """Go on. Raises _LostError for an answer to no request."""
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
            raise _LostError("it answers what it was not asked")
        self.asked = ""
        self._due_s[name] = min(
            self._due_s[name], now_s + again_s
        )  # an event may have come meanwhile


async def _connection(path: Path) -> AsyncGenerator[LaneStatus | Counts | Tap, None]:
    """Yield what comes on one connection. Ends with a _LostError or GarbageError."""
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
    """Return the next line, or None if none comes by `until_s`."""
    try:
        async with asyncio.timeout_at(until_s):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        return None
    except asyncio.IncompleteReadError:
        raise _LostError("it hung up") from None
    except asyncio.LimitOverrunError:
        raise _LostError(f"it sends more than {LINE_BYTES_MAX} bytes in one line") from None
