"""The connection to a lane that goes and comes back, sends nothing, too much or garbage.

The console receives the next good line.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.gate.console_lane import fake_lane, status_line, tap_line, well
from validator.console import lane_line
from validator.console.lane_line import Gone, lane_says
from validator.console.lane_words import LINE_BYTES_MAX, Tap
from validator.ipc.answers import Counts, LaneStatus

Said = LaneStatus | Counts | Tap | Gone
WAIT_S = 90.0


class Ear:
    """The values received, in order."""

    def __init__(self, says: AsyncGenerator[Said, None]) -> None:
        self._says = says

    async def next(self) -> Said:
        async with asyncio.timeout(WAIT_S):
            return await anext(self._says)

    async def hear(self, kind: type[Said]) -> Said:
        """The next of this kind."""
        async with asyncio.timeout(WAIT_S):
            while not isinstance(said := await anext(self._says), kind):
                pass
            return said


def listen(path: Path, test: Callable[[Ear], Awaitable[None]]) -> None:
    async def run() -> None:
        async with aclosing(lane_says(path)) as says:
            await test(Ear(says))

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again without a pause in these tests."""
    monkeypatch.setattr(lane_line, "AGAIN_S", 0.01)


def test_its_status_comes_first_and_its_counts_after_the_watch(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert isinstance(await ear.next(), LaneStatus)
        assert isinstance(await ear.next(), Counts)
        assert isinstance(await ear.next(), LaneStatus), "a second later, without any event"

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)
        assert lane.asked[:4] == ["status", "watch", "histograms", "status"]


def test_taps_are_received_as_they_happen(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        for number in range(50):
            lane.say(json.dumps(tap_line(tap=number)).encode() + b"\n")
        heard = [await ear.hear(Tap) for _ in range(50)]
        assert [tap.tap for tap in heard if isinstance(tap, Tap)] == list(range(50))

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)
    assert lane.calls == 1


def test_a_tap_in_pieces_is_one_tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_line, "STATUS_S", 3_600.0)  # no answer comes between the pieces

    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        for byte in json.dumps(tap_line()).encode() + b"\n":
            lane.say(bytes([byte]))
            await asyncio.sleep(0)  # the other side may read what there is
        assert isinstance(await ear.hear(Tap), Tap)

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)


def test_news_make_it_ask_for_the_lanes_status_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_line, "STATUS_S", 3_600.0)

    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        lane.say(b'{"event":"reader","state":"lost","reason":"gone"}\n')
        assert isinstance(await ear.next(), LaneStatus)

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)


def test_no_number_of_news_makes_it_ask_faster_than_ten_times_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_line, "STATUS_S", 3_600.0)
    monkeypatch.setattr(lane_line, "HURRY_S", 3_600.0)

    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        lane.say(b'{"event":"reader","state":"lost"}\n' * 1_000)
        lane.say(json.dumps(tap_line()).encode() + b"\n")
        assert isinstance(await ear.next(), Tap)

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)
    assert lane.asked.count("status") == 1


def test_a_lane_that_is_not_there_and_then_comes_is_received(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert await ear.next() == Gone("No such file or directory")
        with fake_lane(tmp_path / "s"):
            await ear.hear(LaneStatus)

    listen(tmp_path / "s", test)


def test_a_lane_that_was_killed_and_comes_back_is_received_again(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        for _ in range(3):
            with fake_lane(tmp_path / "s") as lane:
                await ear.hear(Counts)
                lane.hang_up()
                gone = await ear.hear(Gone)
            assert isinstance(gone, Gone)
            assert gone.problem in ("it hung up", "Connection reset by peer", "Broken pipe")

    listen(tmp_path / "s", test)


GARBAGE = [
    b"\n",
    b"hello\n",
    b"\x00\xff" * 40 + b"\n",
    b'{"status":{"lane":1}}\n',
    b'{"event":"tap","token":"0123456789abcdef"}\n',
    b'{"watching":true}\n{"watching":true}\n',
    b"[" * 50_000 + b"\n",
    b'{"error":"a request has at most 4096 bytes"}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_the_connection_and_the_next_one_is_read(
    tmp_path: Path, garbage: bytes
) -> None:
    async def test(ear: Ear) -> None:
        gone = await ear.hear(Gone)
        assert isinstance(gone, Gone)
        assert "\n" not in gone.problem
        lane.answers = well
        await ear.hear(LaneStatus)
        await ear.hear(Counts)

    with fake_lane(tmp_path / "s", lambda _: garbage) as lane:
        listen(lane.path, test)
    assert lane.calls >= 2


def test_garbage_between_good_words_is_not_believed_either(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        lane.say(b"garbage\n")
        assert isinstance(await ear.hear(Gone), Gone)
        await ear.hear(Counts)

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)


def test_an_answer_without_a_request_is_not_believed(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        await ear.hear(Counts)
        lane.say(json.dumps(status_line()).encode() + b"\n")
        assert await ear.hear(Gone) == Gone("it answers what it was not asked")

    with fake_lane(tmp_path / "s") as lane:
        listen(lane.path, test)


def test_a_line_without_an_end_is_not_kept(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert await ear.hear(Gone) == Gone(
            f"it sends more than {LINE_BYTES_MAX} bytes in one line"
        )

    with fake_lane(tmp_path / "s", lambda _: b"a" * (LINE_BYTES_MAX * 8)) as lane:
        listen(lane.path, test)


@pytest.mark.parametrize("meanwhile", [b"", json.dumps(tap_line()).encode() + b"\n"])
def test_a_lane_that_does_not_answer_is_gone_whatever_else_it_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: bytes
) -> None:
    monkeypatch.setattr(lane_line, "ANSWER_S", 0.5)

    async def test(ear: Ear) -> None:
        said = await ear.next()
        while isinstance(said, Tap):
            lane.say(meanwhile)
            said = await ear.next()
        assert isinstance(said, Gone)
        assert said.problem.startswith("no answer in ")

    with fake_lane(tmp_path / "s", lambda _: meanwhile or b" ") as lane:
        listen(lane.path, test)


def test_what_the_lane_cannot_answer_is_reported(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert await ear.hear(Gone) == Gone("it answers: the disk does not answer")

    with fake_lane(tmp_path / "s", lambda _: b'{"error":"the disk does not answer"}\n') as lane:
        listen(lane.path, test)


def test_a_file_in_place_of_the_socket_is_reported(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert await ear.next() == Gone("Connection refused")

    (tmp_path / "s").touch()
    listen(tmp_path / "s", test)
