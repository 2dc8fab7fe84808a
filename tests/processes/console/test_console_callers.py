"""Callers of the console as a process: hostile, many, slow and silent ones."""

import json
import socket
from contextlib import ExitStack

import pytest

from tests.processes.gate_rig import Gate
from tests.support.gate.console_lane import (
    FakeLane,
    tap_line,
)
from tests.support.gate.console_process import Console
from tests.support.machine.programs import Program

PAGES_MAX = 32


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"path": "/state", "host": "evil.example"}, 421),
        ({"path": "/", "host": "localhost"}, 421),
        ({"path": "/events", "head": "Origin: http://evil.example\r\n"}, 403),
        ({"path": "/state", "head": "Origin: null\r\n"}, 403),
        ({"path": "/state", "head": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"}, 403),
        (
            {
                "path": "/metrics",
                "head": "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n",
            },
            403,
        ),
        ({"path": "/state", "method": "POST"}, 403),
        ({"path": "/state", "method": "PUT"}, 405),
        ({"path": "/state", "method": "OPTIONS"}, 405),
        ({"path": "/static/../app.py"}, 404),
        ({"path": "/static/%2e%2e/app.py"}, 404),
        ({"path": "/static/%2e%2e%2fapp.py"}, 404),
        ({"path": "/static/..%5capp.py"}, 404),
        ({"path": "//etc/passwd"}, 404),
        ({"path": "http://evil.example/"}, 404),
        ({"path": "/state", "head": f"X: {'a' * 1_000_000}\r\n"}, 400),
    ],
)
def test_hostile_requests_are_refused_and_the_rest_goes_on(
    watched: tuple[Gate, Program, Console], asked: dict[str, str], status: int
) -> None:
    _, _, made = watched
    assert made.ask(**asked).status in (status, 0 if status == 400 else status)
    assert made.ask("/state").status == 200


def test_every_path_is_answered_by_its_head_alone_when_asked_so(
    watched: tuple[Gate, Program, Console],
) -> None:
    _, _, made = watched
    for path in ("/state", "/day", "/metrics", "/events"):
        answered = made.ask(path, method="HEAD")
        assert (answered.status, answered.body) == (200, b"")
        assert (
            "content-security-policy: default-src 'self'; frame-ancestors 'none';" in answered.head
        )
        assert "access-control" not in answered.head


def test_a_page_too_many_is_refused_until_another_goes(told: tuple[FakeLane, Console]) -> None:
    _, made = told
    with ExitStack() as stack:
        first, *_others = [stack.enter_context(made.page()) for _ in range(PAGES_MAX)]
        refused = made.ask("/events")
        assert refused.status == 503
        assert "retry-after: 5" in refused.head
        assert made.ask("/state").status == 200
        first.close()
        while made.ask("/events", method="HEAD").status == 503:
            pass  # until it was seen to have gone


def test_a_page_that_takes_nothing_costs_the_others_nothing(told: tuple[FakeLane, Console]) -> None:
    lane, made = told
    taps = 5_000
    with made.page() as page, made.page() as deaf:
        deaf.gate(up=True)
        before_kib = made.rss_kib
        for number in range(1, taps + 1):
            lane.say(json.dumps(tap_line(tap=number)).encode() + b"\n")
            if number % 50 == 0:
                page.event("tap", tap=number)
        assert made.ask("/state").json["lanes"][0]["taps"][0]["tap"] == taps
        assert made.rss_kib - before_kib < 4 << 10


def test_callers_that_send_nothing_keep_no_other_out(told: tuple[FakeLane, Console]) -> None:
    _, made = told
    with ExitStack() as stack:
        page = stack.enter_context(made.page())
        for _ in range(200):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", made.port)))
            caller.sendall(b"GET /state HT")
        for path in ("/state", "/metrics", "/"):
            assert made.ask(path).status == 200
        page.gate(up=True)
