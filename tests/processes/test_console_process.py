"""The console as a process beside a lane: it shows the lane's figures, and outlives the lane.

No caller keeps the others from it.
"""

import json
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes.gate_rig import Gate, gate, serving
from tests.support.gate.console_lane import (
    CARDS,
    NOW_UNIX_S,
    FakeLane,
    fake_lane,
    histogram_line,
    status_line,
    tap_line,
)
from tests.support.machine.programs import WAIT_S, Program, lane_config, program
from validator.ipc.client import LaneClient

RSS_KIB_MAX = 35 << 10
PAGES = 5
PAGES_MAX = 32


@dataclass(frozen=True)
class Answered:
    """An answer; its head in lower case."""

    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stream:
    """An open page."""

    def __init__(self, port: int) -> None:
        self.heard = b""
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")

    def status(self) -> int:
        """Of the answer, once its head is here."""
        head = self._line()
        while self._line() != b"\r\n":
            pass
        return int(head.split()[1])

    def event(self, name: str, **fields: object) -> Any:
        """The next such event."""
        while True:
            if self._line() == f"event: {name}\n".encode():
                data = json.loads(self._line().removeprefix(b"data: "))
                if all(data.get(key) == value for key, value in fields.items()):
                    return data

    def gate(self, **fields: object) -> Any:
        """The next state whose first lane is so."""
        while True:
            lane = self.event("gate")["lanes"][0]
            if all(lane[key] == value for key, value in fields.items()):
                return lane

    def is_ended(self) -> bool:
        """Whether the program ends by itself."""
        while self._file.readline():
            pass
        return True

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _line(self) -> bytes:
        line = self._file.readline()
        assert line, f"the stream has ended after {self.heard[-2_000:]!r}"
        self.heard += line
        return line


class Console:
    """The process, and what a browser asks of it."""

    def __init__(self, process: Program) -> None:
        self.program = process
        self.port = int(process.event("started")["address"].rstrip("/").rpartition(":")[2])

    def ask(self, path: str, *, method: str = "GET", host: str = "", head: str = "") -> Answered:
        """One request on a connection of its own."""
        return self.say(
            f"{method} {path} HTTP/1.1\r\nHost: {host or f'localhost:{self.port}'}\r\n"
            f"Connection: close\r\n{head}\r\n".encode()
        )

    def say(self, data: bytes) -> Answered:
        """These bytes; a connection that is broken off has status 0."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), WAIT_S) as caller:
            try:
                caller.sendall(data)
                while part := caller.recv(65_536):
                    said += part
            except (ConnectionResetError, BrokenPipeError):
                pass
        top, _, body = said.partition(b"\r\n\r\n")
        return Answered(int(top.split()[1]) if top else 0, top.decode().lower(), body)

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """All samples."""
        text = self.ask("/metrics").body.decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @contextmanager
    def page(self) -> Iterator[Stream]:
        """An open page that was let in."""
        stream = Stream(self.port)
        try:
            assert stream.status() == 200
            yield stream
        finally:
            stream.close()

    @property
    def rss_kib(self) -> int:
        lines = Path(f"/proc/{self.program.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def with_console(config: Path, socket_path: Path) -> Path:
    path = config.with_name("console.toml")
    table = f'[console]\nlisten = "127.0.0.1:0"\nlanes = ["{socket_path}"]\n'
    path.write_text(config.read_text() + table)
    return path


@contextmanager
def console(config: Path, *module: str) -> Iterator[Console]:
    arguments = module or ("validator", "console", "--config")
    with program(*arguments, str(config)) as process:
        yield Console(process)


@pytest.fixture(scope="module")
def watched(devices: Gate) -> Iterator[tuple[Gate, Program, Console]]:
    """A gate with a lane and a console."""
    with (
        serving(devices) as lane,
        console(with_console(devices.config, devices.folder / "lane.sock")) as made,
    ):
        made.program.event("lane", up=True)
        yield devices, lane, made


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[FakeLane, Console]]:
    """A console with a fake lane that sends what the test gives it."""
    with (
        fake_lane(tmp_path / "lane.sock") as lane,
        console(with_console(lane_config(tmp_path), lane.path)) as made,
    ):
        made.program.event("lane", up=True)
        yield lane, made


def test_a_tap_is_on_every_open_page_without_its_ground(
    watched: tuple[Gate, Program, Console],
) -> None:
    devices, lane, made = watched
    with made.page() as one, made.page() as other:
        for stream in (one, other):
            stream.gate(up=True)
        tapped = devices.tap(lane, devices.card("suspended"))
        assert tapped["ground"] == "in table"
        for stream in (one, other):
            shown = stream.event("tap", token=tapped["token"])
            assert shown == {
                "lane": 1,
                **{key: tapped[key] for key in ("tap", "token", "outcome", "decided_us", "unix_s")},
                "told_us": None,  # a refusal that is reported takes longer than one that is not
            }
            for word in (b"ground", b"in table", b"rule"):
                assert word not in stream.heard


def test_metrics_are_the_lane_s_own_figures(watched: tuple[Gate, Program, Console]) -> None:
    devices, lane, made = watched
    devices.tap(lane, devices.card("suspended"))
    client = LaneClient(devices.folder / "lane.sock")
    status = client.status()
    client.close()
    with made.page() as page:
        while page.gate(up=True)["status"]["told_us"]["count"] < status.told_us.count:
            pass
    metrics = made.metrics()
    one = (("lane", "1"),)
    for tap in status.taps:
        labels = {"lane": "1", "outcome": tap.outcome, "ground": tap.ground}
        assert metrics["turnike_taps_total", tuple(sorted(labels.items()))] == tap.count
    assert {
        name: metrics[name, one]
        for name in ("turnike_lane_up", "turnike_list_version", "turnike_list_cards")
    } == {
        "turnike_lane_up": 1,
        "turnike_list_version": status.list_version,
        "turnike_list_cards": status.list_cards,
    }
    assert metrics["turnike_reports_waiting", one] == status.reports_waiting
    assert metrics["turnike_device_ready", (("device", "reader"), ("lane", "1"))] == 1


def test_a_page_stays_open_through_a_lane_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with (
        gate(tmp_path) as devices,
        console(with_console(devices.config, tmp_path / "lane.sock")) as made,
        made.page() as page,
    ):
        page.gate(up=False)
        with serving(devices) as lane:
            run_id = page.gate(up=True)["status"]["run_id"]
            lane.kill()
            gone = page.gate(up=False)
            assert gone["problem"]
            assert gone["status"]["run_id"] == run_id
        with serving(devices) as lane:
            back = page.gate(up=True)
            assert back["status"]["run_id"] != run_id
            tapped = devices.tap(lane, devices.card("matched"))
            page.event("tap", token=tapped["token"])
        page.gate(up=False)


def test_a_reader_that_is_lost_is_on_the_page(told: tuple[FakeLane, Console]) -> None:
    lane, made = told
    with made.page() as page:
        page.gate(up=True)
        lost = status_line(devices={"reader": "lost", "board": "ready"})
        lane.answers = lambda request: (
            json.dumps(lost if request == "status" else {}).encode() + b"\n"
        )
        lane.say(b'{"event":"reader","state":"lost","reason":"gone"}\n')
        while page.gate(up=True)["status"]["devices"] != {"reader": "lost", "board": "ready"}:
            pass


def test_a_lane_that_sends_garbage_is_shown_as_such_and_read_when_it_is_well(
    told: tuple[FakeLane, Console],
) -> None:
    lane, made = told
    chance = random.Random(7)
    well = lane.answers
    with made.page() as page:
        page.gate(up=True)
        for _ in range(3):
            lane.answers = lambda _: chance.randbytes(4_000) + b"\n"
            lane.say(b'{"event":"tap","token":"%s"}\n' % CARDS[0].encode())
            gone = page.gate(up=False)
            assert gone["problem"]
            lane.answers = well
            page.gate(up=True)
        assert CARDS[0].encode() not in page.heard


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


def test_no_card_is_anywhere_in_its_answers(watched: tuple[Gate, Program, Console]) -> None:
    devices, lane, made = watched
    with made.page() as page:
        page.gate(up=True)
        for kind in ("matched", "suspended"):
            page.event("tap", token=devices.tap(lane, devices.card(kind))["token"])
        said = page.heard + b"".join(
            made.ask(path).body for path in ("/state", "/day", "/metrics", "/")
        )
    said += json.dumps(made.program.catch_up()).encode()
    deck = [
        json.loads(line)["uid"] for line in (devices.folder / "deck.jsonl").read_text().splitlines()
    ]
    assert len(deck) > 10
    assert not [uid for uid in deck if uid.lower().encode() in said.lower()]


def test_five_pages_a_day_of_history_and_prometheus_fit_into_its_memory(tmp_path: Path) -> None:
    lane_time, taps = (
        iter(range(NOW_UNIX_S, NOW_UNIX_S + 10 * 86_400, 100)),
        iter(range(1, 1_000_000)),
    )
    heard: list[int] = []
    chance = random.Random(3)

    def busy(request: str) -> bytes:
        if request == "status":
            said: Any = status_line(unix_s=next(lane_time))
        elif request == "histograms":
            heard.extend(int(chance.lognormvariate(13, 1)) for _ in range(3))
            said = histogram_line(dict.fromkeys(("decided", "filed", "told"), heard))
        else:
            said = {"watching": True}
        tap = json.dumps(tap_line(tap=next(taps))).encode() + b"\n"
        return json.dumps(said).encode() + b"\n" + (b"" if request == "watch" else tap)

    config = with_console(lane_config(tmp_path), tmp_path / "lane.sock")
    with (
        fake_lane(tmp_path / "lane.sock", busy) as lane,
        console(config, "tests.processes.hurried_console") as made,
        ExitStack() as stack,
    ):
        pages = [stack.enter_context(made.page()) for _ in range(PAGES)]
        while True:
            for page in pages:
                page.event("gate")
            slots = made.ask("/day").json["slots"]
            assert made.ask("/metrics").status == 200
            if slots and slots[-1]["unix_s"] - slots[0]["unix_s"] >= 86_400 - 2 * 300:
                break
        assert 280 <= len(slots) <= 288
        lane.wait_for(lambda lane: lane.calls == 1)
        print(f"{made.rss_kib} KiB")  # noqa: T201 — for whoever looks
        assert made.rss_kib < RSS_KIB_MAX


def test_it_ends_when_asked_to_and_so_do_its_pages(told: tuple[FakeLane, Console]) -> None:
    _, made = told
    with made.page() as page:
        page.gate(up=True)
        assert made.program.end() == 0
        assert page.is_ended()


def test_what_an_operator_must_fix_is_one_line(
    told: tuple[FakeLane, Console], tmp_path: Path
) -> None:
    _, made = told
    taken = tmp_path / "taken.toml"
    taken.write_text(
        f'{lane_config(tmp_path).read_text()}[console]\nlisten = "127.0.0.1:{made.port}"\n'
    )
    for config, wrong in (
        (taken, f"console.listen: 127.0.0.1:{made.port}: Address already in use"),
        (
            lane_config(tmp_path),
            "there is no [console] table; config/validator.example.toml explains it",
        ),
    ):
        with program("validator", "console", "--config", str(config)) as failed:
            assert failed.process.wait(WAIT_S) == 2
            assert failed.process.stderr is not None
            assert failed.process.stderr.read().decode() == f"turnike: {wrong}\n"
