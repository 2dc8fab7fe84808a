"""The turnstile's page server without a demo: pages, scenes, verbs and answers over real TCP."""

import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from turnike_demo.processes.events import Event
from turnike_demo.turnstile import verbs
from turnike_demo.turnstile.page_server import PAGES_MAX, PageServer

LIMIT_S = 90.0


@pytest.fixture
def turnstile() -> Iterator[PageServer]:
    with closing(PageServer(0)) as served:
        yield served


def port(turnstile: PageServer) -> int:
    return int(turnstile.url.rstrip("/").rpartition(":")[2])


@contextmanager
def page(turnstile: PageServer) -> Iterator[http.client.HTTPResponse]:
    """Open a page; yield its events."""
    with closing(
        http.client.HTTPConnection("127.0.0.1", port(turnstile), timeout=LIMIT_S)
    ) as connection:
        connection.request("GET", "/events")
        yield connection.getresponse()


def next_scene(events: http.client.HTTPResponse) -> dict[str, float]:
    """Return the next scene, with the time at which it was sent; {} at the end."""
    for line in iter(events.readline, b""):
        if line.startswith(b"data: "):
            scene: dict[str, float] = json.loads(line.removeprefix(b"data: "))
            return scene
    return {}


def scene(events: http.client.HTTPResponse) -> object:
    """Return the next scene without the time."""
    return {name: value for name, value in next_scene(events).items() if name != "now_unix_s"}


def events_of(turnstile: PageServer) -> list[Event]:
    """Wait for events of pages, and return them."""
    assert select.select([turnstile], [], [], LIMIT_S)[0]
    return list(turnstile.events())


class Visitor(threading.Thread):
    """A page that sends a verb and waits for the answer."""

    def __init__(self, turnstile: PageServer, verb: str) -> None:
        super().__init__()
        self._turnstile, self._verb = turnstile, verb
        self.answer = (0, b"")
        self.start()

    def run(self) -> None:
        address = port(self._turnstile)
        headers = {"origin": f"http://127.0.0.1:{address}", "content-type": "application/json"}
        with closing(
            http.client.HTTPConnection("127.0.0.1", address, timeout=LIMIT_S)
        ) as connection:
            connection.request("POST", "/do", json.dumps({"verb": self._verb}), headers)
            answer = connection.getresponse()
            self.answer = answer.status, answer.read()


def test_every_page_gets_the_newest_scene_at_once_and_each_that_comes(
    turnstile: PageServer,
) -> None:
    turnstile.publish({"n": 1})
    with page(turnstile) as first:
        assert scene(first) == {"n": 1}
        assert [(what.source, what.line) for what in events_of(turnstile)] == [
            ("visitor", {"event": "page"})
        ]
        turnstile.publish({"n": 2})
        assert scene(first) == {"n": 2}
        with page(turnstile) as second:
            assert scene(second) == {"n": 2}
            turnstile.publish({"n": 3})
            assert (scene(first), scene(second)) == ({"n": 3}, {"n": 3})


def test_a_page_that_opens_late_gets_the_time_of_its_opening(turnstile: PageServer) -> None:
    turnstile.publish({"n": 1})
    with page(turnstile) as first:
        at_first = next_scene(first)["now_unix_s"]
        with page(turnstile) as second:
            assert at_first < next_scene(second)["now_unix_s"] <= time.time()


def test_a_page_that_does_not_read_delays_no_other_page(turnstile: PageServer) -> None:
    with page(turnstile), page(turnstile) as other:
        for n in range(200):
            turnstile.publish({"n": n, "padding": "x" * 100_000})
        turnstile.publish({"n": "last"})
        while scene(other) != {"n": "last"}:
            pass


def test_more_pages_than_the_limit_are_refused(turnstile: PageServer) -> None:
    turnstile.publish({"n": 1})
    opened = []
    try:
        for _ in range(PAGES_MAX):
            opened.append(socket.create_connection(("127.0.0.1", port(turnstile)), LIMIT_S))
            request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port(turnstile)}\r\n\r\n"
            opened[-1].sendall(request.encode())
            assert opened[-1].recv(15) == b"HTTP/1.1 200 OK"
        with page(turnstile) as one_more:
            assert one_more.status == 503
    finally:
        for each in opened:
            each.close()


@pytest.mark.parametrize(
    ("refusal", "answer"), [("", (204, b"")), ("is_so", (409, b'{"refusal":"is_so"}'))]
)
def test_a_verb_is_answered_by_the_demo(
    turnstile: PageServer, refusal: str, answer: tuple[int, bytes]
) -> None:
    visitor = Visitor(turnstile, "push")
    (asked,) = events_of(turnstile)
    assert asked.line["verb"] == verbs.Push()
    asked.line["answer"](refusal)
    visitor.join()
    assert visitor.answer == answer


def test_the_end_closes_the_connections_of_pages_and_verbs() -> None:
    served = PageServer(0)
    with page(served) as events:
        events_of(served)
        visitor = Visitor(served, "push")
        (asked,) = events_of(served)
        served.close()
        assert scene(events) == {}
        asked.line["answer"]("")  # too late: it is dropped
        visitor.join()


def test_only_files_of_the_page_are_served_by_their_names(turnstile: PageServer) -> None:
    with closing(
        http.client.HTTPConnection("127.0.0.1", port(turnstile), timeout=LIMIT_S)
    ) as connection:

        def get(path: str, **headers: str) -> http.client.HTTPResponse:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer

        first = get("/")
        assert first.status == 200
        assert first.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in first.headers["content-security-policy"]
        assert get("/", **{"if-none-match": first.headers["etag"]}).status == 304
        for path in (
            "/static/",
            "/static/../turnstile.py",
            "/static/%2e%2e/turnstile.py",
            "/static//etc/passwd",
        ):
            assert get(path).status == 404
