"""The web side of the virtual turnstile, without a demo behind it: pages, scenes, verbs and their answers, over real connections."""

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
    """The events of a page that was opened."""
    with closing(
        http.client.HTTPConnection("127.0.0.1", port(turnstile), timeout=LIMIT_S)
    ) as connection:
        connection.request("GET", "/events")
        yield connection.getresponse()


def told(events: http.client.HTTPResponse) -> dict[str, float]:
    """The next scene, with the time at which it was told; nothing when there is none."""
    for line in iter(events.readline, b""):
        if line.startswith(b"data: "):
            scene: dict[str, float] = json.loads(line.removeprefix(b"data: "))
            return scene
    return {}


def scene(events: http.client.HTTPResponse) -> object:
    """The next one."""
    return {name: value for name, value in told(events).items() if name != "now_unix_s"}


def heard(turnstile: PageServer) -> list[Event]:
    """What comes next of pages, at least one."""
    assert select.select([turnstile], [], [], LIMIT_S)[0]
    return list(turnstile.events())


class Visitor(threading.Thread):
    """Somebody who does something and waits for the answer."""

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
        assert [(what.source, what.line) for what in heard(turnstile)] == [
            ("visitor", {"event": "page"})
        ]
        turnstile.publish({"n": 2})
        assert scene(first) == {"n": 2}
        with page(turnstile) as second:
            assert scene(second) == {"n": 2}
            turnstile.publish({"n": 3})
            assert (scene(first), scene(second)) == ({"n": 3}, {"n": 3})


def test_a_page_that_opens_late_is_told_what_time_it_is_then(turnstile: PageServer) -> None:
    turnstile.publish({"n": 1})
    with page(turnstile) as first:
        at_first = told(first)["now_unix_s"]
        with page(turnstile) as second:
            assert at_first < told(second)["now_unix_s"] <= time.time()


def test_a_page_that_does_not_read_holds_up_nobody(turnstile: PageServer) -> None:
    with page(turnstile), page(turnstile) as other:
        for n in range(200):
            turnstile.publish({"n": n, "padding": "x" * 100_000})
        turnstile.publish({"n": "last"})
        while scene(other) != {"n": "last"}:
            pass


def test_there_are_pages_enough(turnstile: PageServer) -> None:
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
    (asked,) = heard(turnstile)
    assert asked.line["verb"] == verbs.Push()
    asked.line["answer"](refusal)
    visitor.join()
    assert visitor.answer == answer


def test_pages_and_visitors_are_let_go_at_the_end() -> None:
    served = PageServer(0)
    with page(served) as events:
        heard(served)
        visitor = Visitor(served, "push")
        (asked,) = heard(served)
        served.close()
        assert scene(events) == {}
        asked.line["answer"]("")  # too late, and nobody's fault
        visitor.join()


def test_files_are_asked_for_by_their_names_alone(turnstile: PageServer) -> None:
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
