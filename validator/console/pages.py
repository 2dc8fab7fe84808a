"""The pages that are open, and what each has yet to be sent. A page that is slow loses events, and holds up neither the others nor the console.

page = pages.open()               # None if there are enough
async for part in page: ...       # bytes of the event stream, until `end`
pages.closed(page)

pages.state_changed(); pages.tell_tap(data)     # to all of them
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

PAGES_MAX = 32
TAPS_MAX = 64  # of a page that is slow; the oldest are lost
HEARTBEAT_S = 15.0  # proxies and browsers give up on a stream that is silent for a minute
_AGAIN = b"retry: 1000\n\n"  # a page whose stream breaks comes back after a second


class Page:
    """One page's stream."""

    def __init__(self, state: Callable[[], bytes]) -> None:
        """It begins with the state."""
        self._state = state
        self._is_state_due = True
        self._taps: deque[bytes] = deque(maxlen=TAPS_MAX)
        self._wakened = asyncio.Event()
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Whatever waits, in one piece; a sign of life and the state when nothing has happened for some time."""
        yield _AGAIN
        while not self._ended:
            if part := self._waiting():
                yield part
                continue
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wakened.wait()
            except TimeoutError:
                yield b": still here\n\n"
                self._is_state_due = True  # the time goes by in it
            self._wakened.clear()

    def state_changed(self) -> None:
        """The gate fares otherwise now."""
        self._is_state_due = True
        self._wakened.set()

    def tap(self, data: bytes) -> None:
        """Somebody has tapped."""
        self._taps.append(data)
        self._wakened.set()

    def end(self) -> None:
        """End the stream."""
        self._ended = True
        self._wakened.set()

    def _waiting(self) -> bytes:
        parts = [b"event: tap\ndata: %s\n\n" % tap for tap in self._taps]
        self._taps.clear()
        if self._is_state_due:
            parts.append(b"event: gate\ndata: %s\n\n" % self._state())
            self._is_state_due = False
        return b"".join(parts)


class Pages:
    """All of them."""

    def __init__(self, state: Callable[[], bytes]) -> None:
        """`state` is how the gate fares when it is asked: one line of JSON."""
        self._state = state
        self._open: set[Page] = set()

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> Page | None:
        """One more, unless there are PAGES_MAX."""
        if len(self._open) >= PAGES_MAX:
            return None
        page = Page(self._state)
        self._open.add(page)
        return page

    def closed(self, page: Page) -> None:
        """It is gone."""
        self._open.discard(page)

    def state_changed(self) -> None:
        """The gate fares otherwise now."""
        for page in self._open:
            page.state_changed()

    def tell_tap(self, data: bytes) -> None:
        """Somebody has tapped: one line of JSON."""
        for page in self._open:
            page.tap(data)

    def end(self) -> None:
        """End all streams."""
        for page in self._open:
            page.end()
