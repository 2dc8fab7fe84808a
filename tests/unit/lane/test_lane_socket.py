"""The lane socket against callers that are slow, rude, many, or gone."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.ipc.answers import Forgotten, Looking
from validator.ipc.requests import (
    LINE_BYTES_MAX,
    Delivered,
    ListChanged,
    Reports,
    RequestError,
    Status,
    Watch,
    parse,
)
from validator.lane.lane_socket import CLIENTS_MAX, LaneSocket

LIMIT_S = 90.0


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[LaneSocket]:
    made = LaneSocket(tmp_path / "run" / "lane.sock")
    yield made
    made.close()


def call(tmp_path: Path) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(LIMIT_S)
    caller.connect(str(tmp_path / "run" / "lane.sock"))
    return caller


def serve(lane: LaneSocket, turns: int = 20) -> list[Any]:
    """Turn until nothing comes any more; what was asked."""
    asked = []
    for _ in range(turns):
        lane.wait(0.0)
        while (one := lane.take()) is not None:
            asked.append(one.request)
            lane.answer(one.client, Forgotten(len(asked)))
    return asked


def heard(caller: socket.socket, count: int) -> list[dict[str, Any]]:
    with caller.makefile("rb") as file:
        return [json.loads(file.readline()) for _ in range(count)]


def test_no_caller_who_has_asked_waits_for_the_next_one_to_ask(
    lane: LaneSocket, tmp_path: Path
) -> None:
    """One is answered a turn. The others' requests are read already, so no line ends a wait."""
    callers = [call(tmp_path) for _ in range(3)]
    lane.wait(0.0)
    for caller in callers:
        caller.sendall(b'{"request":"status"}\n{"request":"status"}\n')
    began_s, answered = time.monotonic(), 0
    while answered < 2 * len(callers):
        lane.wait(LIMIT_S)
        if (asked := lane.take()) is not None:
            answered += 1
            lane.answer(asked.client, Looking())
    assert time.monotonic() - began_s < LIMIT_S
    for caller in callers:
        caller.close()


def test_a_request_is_answered(lane: LaneSocket, tmp_path: Path) -> None:
    with call(tmp_path) as caller:
        caller.sendall(b'{"request":"reports","max":3}\n')
        assert serve(lane) == [Reports(3)]
        assert heard(caller, 1) == [{"forgotten": 1}]


def test_requests_in_pieces_and_many_at_once_are_answered_in_their_order(
    lane: LaneSocket, tmp_path: Path
) -> None:
    with call(tmp_path) as caller:
        for byte in b'{"request":"status"}\n':
            caller.sendall(bytes([byte]))
            lane.wait(0.0)
        caller.sendall(
            b'{"request":"list_changed"}\n{"request":"delivered","ids":["a"]}\n'
            b'{"request":"status"}\n'
        )
        assert serve(lane) == [Status(), ListChanged(), Delivered(("a",)), Status()]
        assert [told["forgotten"] for told in heard(caller, 4)] == [1, 2, 3, 4]


def test_one_who_asks_without_end_does_not_keep_others_waiting(
    lane: LaneSocket, tmp_path: Path
) -> None:
    with call(tmp_path) as greedy, call(tmp_path) as other:
        greedy.sendall(b'{"request":"status"}\n' * 50)
        other.sendall(b'{"request":"list_changed"}\n')
        for _ in range(5):
            lane.wait(0.0)
        assert {type(asked.request) for asked in (lane.take(), lane.take()) if asked} == {
            Status,
            ListChanged,
        }


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"hello\n",
        b"{}\n",
        b'{"request":"reports","max":21}\n',
        b'{"request":"open"}\n',
        b"x" * (LINE_BYTES_MAX + 1),
        b"[" * 4_000 + b"\n",
    ],
)
def test_an_invalid_line_is_answered_with_an_error_and_the_caller_is_dropped(
    line: bytes, lane: LaneSocket, tmp_path: Path
) -> None:
    with call(tmp_path) as caller:
        caller.sendall(line)
        assert serve(lane) == []
        assert set(heard(caller, 1)[0]) == {"error"}
        assert caller.recv(1) == b""


def test_a_line_that_never_ends_takes_no_memory(lane: LaneSocket, tmp_path: Path) -> None:
    with call(tmp_path) as caller:
        caller.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 100 << 20:
                sent += caller.send(b"x" * 4_096)
        asked = serve(lane)
        assert asked == []
        caller.settimeout(LIMIT_S)
        assert b"error" in caller.recv(4_096)


def test_a_watcher_that_does_not_read_loses_events_and_receives_how_many(
    lane: LaneSocket, tmp_path: Path
) -> None:
    with call(tmp_path) as watcher:
        watcher.sendall(b'{"request":"watch"}\n')
        assert serve(lane) == [Watch()]
        for number in range(20_000):
            lane.tell({"event": "tap", "number": number})
        told: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: told.extend(_until(watcher, 30_000)))
        reader.start()
        number = 20_000
        until_s = time.monotonic() + LIMIT_S
        while reader.is_alive() and time.monotonic() < until_s:
            lane.wait(0.001)
            lane.tell({"event": "tap", "number": number})
            number = 30_000 if any(each.get("event") == "dropped" for each in told) else number + 1
        reader.join(LIMIT_S)
        dropped = sum(each["count"] for each in told if each.get("event") == "dropped")
        assert dropped > 0
        numbers = [
            each["number"]
            for each in told
            if each.get("event") == "tap" and each["number"] < 30_000
        ]
        assert numbers == sorted(set(numbers))


def _until(watcher: socket.socket, number: int) -> Iterator[dict[str, Any]]:
    with watcher.makefile("rb") as file:
        for line in file:
            told = json.loads(line)
            yield told
            if told.get("number") == number:
                return


def test_no_more_callers_than_there_are_programs_on_a_gate(
    lane: LaneSocket, tmp_path: Path
) -> None:
    callers = [call(tmp_path) for _ in range(CLIENTS_MAX)]
    callers[0].sendall(b'{"request":"status"}\n')
    assert serve(lane) == [Status()]
    callers[0].recv(100)
    callers += [call(tmp_path) for _ in range(2)]
    serve(lane)
    for gone in callers[1:3]:
        assert gone.recv(1) == b"", "those who have asked nothing for the longest time make room"
    for caller in (callers[0], callers[-1]):
        caller.sendall(b'{"request":"reports"}\n')
        assert serve(lane) == [Reports()]
    for caller in callers:
        caller.close()


def test_a_caller_that_has_gone_is_forgotten(lane: LaneSocket, tmp_path: Path) -> None:
    for _ in range(3 * CLIENTS_MAX):
        with call(tmp_path) as caller:
            caller.sendall(b'{"request":"reports"}\n{"request":"status"}\n')
        serve(lane)


def test_wake_ends_the_wait_from_another_thread(lane: LaneSocket) -> None:
    lane.wake()
    lane.wait(60.0)
    thread = threading.Thread(target=lane.wake)
    thread.start()
    lane.wait(60.0)
    thread.join()


def test_the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not(
    lane: LaneSocket, tmp_path: Path
) -> None:
    del lane
    path = tmp_path / "run" / "lane.sock"
    with pytest.raises(OSError, match="another process listens here"):
        LaneSocket(path)
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(dead))
    second = LaneSocket(dead)
    assert dead.stat().st_mode & 0o777 == 0o660
    second.close()
    assert not dead.exists()


def test_a_file_in_its_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(OSError, match="is no socket"):
        LaneSocket(path)
    assert path.read_text() == "mine"


def turned(lane: LaneSocket) -> None:
    """A turn at which the lane checks that its file is there."""
    lane._check_s = 0.0
    lane.wait(0.0)


def removed(path: Path) -> None:
    path.unlink()


def folder_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def replaced_by_a_dead_one(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))


def moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


@pytest.mark.parametrize("gone", [removed, folder_removed, replaced_by_a_dead_one, moved])
def test_a_socket_whose_file_goes_is_made_again_and_who_was_connected_stays_so(
    gone: Callable[[Path], None], lane: LaneSocket, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "lane.sock"
    with call(tmp_path) as before:
        serve(lane)
        gone(path)
        turned(lane)
        assert lane.news == [f"{path}: was removed or replaced, and is made again"]
        assert path.stat().st_mode & 0o777 == 0o660
        with call(tmp_path) as after:
            for caller in (before, after):
                caller.sendall(b'{"request":"status"}\n')
                assert serve(lane) == [Status()]
    turned(lane)
    assert len(lane.news) == 1


def test_a_file_in_the_place_of_a_removed_socket_is_logged_once_and_not_removed(
    lane: LaneSocket, tmp_path: Path
) -> None:
    path = tmp_path / "run" / "lane.sock"
    path.unlink()
    path.write_text("mine")
    for _ in range(3):
        turned(lane)
    assert lane.news == [
        f"{path}: the lane cannot be asked: is no socket, and is where the lane's should be"
    ]
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen(0)
        for _ in range(3):
            turned(lane)
        assert lane.news[1:] == [f"{path}: the lane cannot be asked: another process listens here"]
        lane.close()
        assert path.exists(), "it is the other's"
        path.unlink()
    lane.__init__(path)  # type: ignore[misc]  # for the fixture's close


def test_a_listener_whose_queue_is_full_is_a_living_one(tmp_path: Path) -> None:
    path = tmp_path / "busy.sock"
    with ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        busy.bind(str(path))
        busy.listen(0)
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        waiting.connect(str(path))
        with pytest.raises(OSError, match="another process listens here"):
            LaneSocket(path)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_request_error(line: bytes) -> None:
    with suppress(RequestError):
        parse(line)


def test_the_kernel_says_whether_a_caller_is_the_owner(lane: LaneSocket, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can call as another user")
    path = tmp_path / "run" / "lane.sock"
    path.chmod(0o666)
    folders = [folder for folder in path.parents if folder != folder.parent]
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o055)
    mine = call(tmp_path)
    try:
        os.seteuid(65_534)
        other = call(tmp_path)
    finally:
        os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)
    by_owner: list[bool] = []
    for caller in (mine, other):
        caller.sendall(b'{"request":"learned"}\n')
        until_s = time.monotonic() + LIMIT_S
        while (one := lane.take()) is None:
            assert time.monotonic() < until_s
            lane.wait(0.1)
        by_owner.append(one.by_owner)
        lane.answer(one.client, Looking())
        caller.close()
    assert by_owner == [True, False]
