"""The open pages, and what each has yet to be sent. A slow page loses events and delays no other.

page = pages.open()               # None if there are enough
async for part in page: ...       # bytes of the event stream, until `end`
pages.closed(page)

pages.state_changed(); pages.send_tap(data)     # to all of them
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

PAGES_MAX = 32
TAPS_MAX = 64  # waiting for one slow page; the oldest are dropped
HEARTBEAT_S = 15.0  # proxies and browsers give up on a stream that is silent for a minute
_AGAIN = b"retry: 1000\n\n"  # a page whose stream breaks reconnects after a second


class Page:
    """One page's stream."""

    def __init__(self, state: Callable[[], bytes]) -> None:
        """The stream begins with `state()`."""
        self._state = state
        self._is_state_due = True
        self._taps: deque[bytes] = deque(maxlen=TAPS_MAX)
        self._wakened = asyncio.Event()
        self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what waits, as one piece; after HEARTBEAT_S of silence a comment and the state."""
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
                self._is_state_due = True  # ages on the page are counted from it
            self._wakened.clear()

    def state_changed(self) -> None:
        """Send the state again."""
        self._is_state_due = True
        self._wakened.set()

    def tap(self, data: bytes) -> None:
        """Send a tap: one line of JSON."""
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
    """All open pages."""

    def __init__(self, state: Callable[[], bytes]) -> None:
        """`state` returns the gate's state now: one line of JSON."""
        self._state = state
        self._open: set[Page] = set()

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> Page | None:
        """Open a page; None if PAGES_MAX are open."""
        if len(self._open) >= PAGES_MAX:
            return None
        page = Page(self._state)
        self._open.add(page)
        return page

    def closed(self, page: Page) -> None:
        """Forget a page whose stream has ended."""
        self._open.discard(page)

    def state_changed(self) -> None:
        """Send the state again."""
        for page in self._open:
            page.state_changed()

    def send_tap(self, data: bytes) -> None:
        """Send a tap to all pages: one line of JSON."""
        for page in self._open:
            page.tap(data)

    def end(self) -> None:
        """End all streams."""
        for page in self._open:
            page.end()
