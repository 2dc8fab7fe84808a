"""The streams of the open pages: what waits for each. A slow one costs the others nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from validator.console import pages as module
from validator.console.pages import PAGES_MAX, TAPS_MAX, Page, Pages

WAIT_S = 90.0


class Gate:
    """A status that is a number."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> bytes:
        return b"%d" % self.number


def opened(pages: Pages) -> Page:
    page = pages.open()
    assert page is not None
    return page


class Reader:
    """A page that takes one part after the other."""

    def __init__(self, page: Page) -> None:
        self._parts = aiter(page)

    async def next(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await anext(self._parts)


def stream(test: Callable[[Pages, Gate], Awaitable[None]]) -> None:
    async def run() -> None:
        gate = Gate()
        await test(Pages(gate), gate)

    asyncio.run(run())


def test_a_page_begins_with_the_state_and_receives_what_happens() -> None:
    async def test(pages: Pages, gate: Gate) -> None:
        reader = Reader(opened(pages))
        assert await reader.next() == b"retry: 1000\n\n"
        assert await reader.next() == b"event: gate\ndata: 0\n\n"
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        pages.send_tap(b"{7}")
        assert await waiting == b"event: tap\ndata: {7}\n\n"
        gate.number = 1
        pages.state_changed()
        assert await reader.next() == b"event: gate\ndata: 1\n\n"

    stream(test)


def test_a_slow_page_gets_the_newest_state_and_the_newest_taps() -> None:
    async def test(pages: Pages, gate: Gate) -> None:
        slow, quick = Reader(opened(pages)), Reader(opened(pages))
        for _ in range(2):
            await slow.next()
            await quick.next()
        for number in range(10 * TAPS_MAX):
            gate.number = number
            pages.send_tap(b"%d" % number)
            pages.state_changed()
            assert await quick.next() == b"event: tap\ndata: %d\n\nevent: gate\ndata: %d\n\n" % (
                number,
                number,
            )
        told = (await slow.next()).decode().split("\n\n")[:-1]
        last = 10 * TAPS_MAX - 1
        assert told == [
            *(f"event: tap\ndata: {number}" for number in range(last - TAPS_MAX + 1, last + 1)),
            f"event: gate\ndata: {last}",
        ]

    stream(test)


def test_a_page_without_news_gets_a_sign_of_life_and_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)

    async def test(pages: Pages, gate: Gate) -> None:
        reader = Reader(opened(pages))
        await reader.next()
        await reader.next()
        gate.number = 5
        assert await reader.next() == b": still here\n\n"
        assert await reader.next() == b"event: gate\ndata: 5\n\n"

    stream(test)


def test_there_are_so_many_pages_and_no_more_until_one_goes() -> None:
    async def test(pages: Pages, _: Gate) -> None:
        first, *_others = [opened(pages) for _ in range(PAGES_MAX)]
        assert pages.open() is None
        pages.closed(first)
        opened(pages)
        assert pages.open() is None
        assert len(pages) == PAGES_MAX

    stream(test)


def test_a_page_that_is_ended_ends_though_nothing_happens() -> None:
    async def test(pages: Pages, _: Gate) -> None:
        page = opened(pages)
        heard: list[bytes] = []

        async def read() -> None:
            async for part in page:
                heard.append(part)
                if len(heard) == 2:
                    asyncio.get_running_loop().call_soon(pages.end)

        async with asyncio.timeout(WAIT_S):
            await read()
        assert len(heard) == 2

    stream(test)
