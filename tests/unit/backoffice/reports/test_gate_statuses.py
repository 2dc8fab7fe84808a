"""Gate statuses: taken whatever the clocks of gate and city do, and once, whoever repeats them."""

import gzip
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.reports.gate_statuses import NONCE_S
from backoffice.reports.gate_views import GateView, views
from backoffice.reports.store import ReportStore
from tests.support.web.asgi import ask
from validator.courier.receiver_client import ReceiverClient
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState
from validator.reports.signed_request import Speaker, sign

HOST = "https://reports.example.org"
PATH = "/v1/gates/gate/status"
NOW_UNIX_S = 1_800_000_000
HOUR_S, DAY_S, YEAR_S = 3_600, 86_400, 365 * 86_400
KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


class Sent(NamedTuple):
    """A request as it was seen on its way."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Way(Web):
    """The way to the receiver, without a socket. An attacker on it keeps what passes."""

    def __init__(self, app: Starlette) -> None:
        super().__init__()
        self.app = app
        self.seen: list[Sent] = []
        self.loses: list[bool] = []
        """For the requests to come, whether the answer to each is lost."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> bytes:
        """See Web."""
        self.seen.append(Sent(url, headers, body))
        answered = ask(self.app, "POST", url, headers, body)
        assert answered.status == 200, answered.body
        assert len(answered.body) <= bytes_max
        if self.loses and self.loses.pop(0):
            raise RemoteError(SourceState.UNREACHABLE, "the connection broke")
        return answered.body


@dataclass
class World:
    """A city with one gate, each with its own clock."""

    store: ReportStore
    city_unix_s: int = NOW_UNIX_S
    gate_unix_s: int = NOW_UNIX_S
    said: int = 0
    client: ReceiverClient = field(init=False)

    def __post_init__(self) -> None:
        self.way = Way(
            Starlette(routes=Receiver(self.store, now_unix_s=lambda: self.city_unix_s).routes)
        )
        self.enrol()
        self.start()

    def enrol(self) -> None:
        """With the same key each time."""
        token = self.store.invite("gate", self.city_unix_s)
        self.store.enrol("gate", token, KEY.public_key().public_bytes_raw(), self.city_unix_s)

    def start(self) -> None:
        """The gate's courier starts: it knows nothing but its key."""
        self.client = ReceiverClient(HOST, self.way, "gate", KEY, lambda: self.gate_unix_s)

    def pass_time(self, seconds: int = 60) -> None:
        """On both clocks."""
        self.city_unix_s += seconds
        self.gate_unix_s += seconds

    def speaks(self) -> bool:
        """Send a new status. Returns whether the city has it then."""
        self.said += 1
        self.client.tell_status({"said": self.said})
        return self.known() == (self.said, self.city_unix_s)

    def known(self) -> tuple[int, int]:
        """What the city has of the gate, and since when."""
        (row,) = self.store.gate_rows()
        return json.loads(row["status"])["said"], row["received_unix_s"]

    def again(self, sent: Sent) -> bool:
        """An attacker sends that again. Returns whether it is kept."""
        kept = ask(self.way.app, "POST", sent.url, sent.headers, sent.body).json["kept"]
        assert isinstance(kept, bool)
        return kept

    def view(self) -> GateView:
        """As `turnike-backoffice gates` shows it."""
        (view,) = views(self.store.gate_rows(), self.city_unix_s)
        return view


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield World(store)


@pytest.mark.parametrize("ahead_s", [HOUR_S, 20 * HOUR_S, 40 * DAY_S, YEAR_S, 10 * YEAR_S, -YEAR_S])
def test_the_status_of_a_gate_whose_clock_was_wrong_is_taken_at_once_when_it_is_right(
    world: World, ahead_s: int
) -> None:
    assert world.speaks()
    world.pass_time()
    world.gate_unix_s += ahead_s
    assert world.speaks()
    world.pass_time()
    world.gate_unix_s -= ahead_s
    assert world.speaks()
    assert world.view().troubles == ()


@pytest.mark.parametrize("gate_unix_s", [0, 60, NOW_UNIX_S - DAY_S, NOW_UNIX_S, 4_070_908_800])
def test_the_status_of_a_gate_that_starts_again_is_taken_whatever_its_clock_is(
    world: World, gate_unix_s: int
) -> None:
    assert world.speaks()
    world.pass_time()
    world.start()
    world.gate_unix_s = gate_unix_s
    assert world.speaks()
    assert world.speaks(), "in the same second, too"


@pytest.mark.parametrize("ahead_s", [HOUR_S, YEAR_S])
def test_a_status_is_taken_when_the_citys_clock_was_wrong(world: World, ahead_s: int) -> None:
    world.city_unix_s += ahead_s
    assert world.speaks()
    world.city_unix_s -= ahead_s
    assert "the clock here ran" in world.view().troubles[0], (
        "it would not be called silent for a year"
    )
    assert world.speaks()
    assert world.view().troubles == ()


def test_a_replayed_status_replaces_none_and_is_no_sign_of_life(
    world: World,
) -> None:
    for _ in range(4):
        world.pass_time()
        assert world.speaks()
    known = world.known()
    world.pass_time(NONCE_S // 3)
    for sent in world.way.seen:
        assert not world.again(sent)
    assert world.known() == known
    assert "silent" in world.view().troubles[0]
    assert world.speaks()


def test_replays_do_not_spoil_the_nonce_that_the_gate_is_about_to_use(world: World) -> None:
    assert world.speaks()
    old = list(world.way.seen)
    for _ in range(20):
        world.pass_time()
        for sent in old:
            assert not world.again(sent)
        before = len(world.way.seen)
        assert world.speaks()
        assert len(world.way.seen) == before + 1


def test_of_two_copies_at_once_one_is_kept(world: World) -> None:
    assert world.speaks()
    nonce = world.store.keep_status(Speaker("gate", 1, "none"), world.city_unix_s, "{}").next_nonce
    assert nonce is not None

    def keep(_copy: int) -> bool:
        return world.store.keep_status(Speaker("gate", 1, nonce), world.city_unix_s, "{}").kept

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(keep, range(8))) == [False] * 7 + [True]


@pytest.mark.parametrize("loses", [[True], [True, True], [False, True]])
def test_the_next_status_of_a_gate_that_missed_the_answer_is_taken(
    world: World, loses: list[bool]
) -> None:
    assert world.speaks()
    world.start()
    world.way.loses = loses
    while world.way.loses:
        with pytest.raises(RemoteError):
            world.speaks()
    assert world.speaks()


def test_a_status_that_was_held_back_is_worth_nothing_an_hour_later(world: World) -> None:
    assert world.speaks()
    nonce = world.store.keep_status(Speaker("gate", 1, "none"), world.city_unix_s, "{}").next_nonce
    world.city_unix_s += NONCE_S + 1
    assert not world.store.keep_status(Speaker("gate", 1, str(nonce)), world.city_unix_s, "{}").kept
    assert world.speaks()


def test_the_status_of_a_gate_that_was_away_for_days_is_taken_at_once(world: World) -> None:
    assert world.speaks()
    world.pass_time(9 * DAY_S)
    assert world.speaks()


def raw(created_unix_s: int, said: int) -> Sent:
    """As a program signs that knows of no nonces."""
    body = gzip.compress(json.dumps({"said": said}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return Sent(
        HOST + PATH, sign("POST", HOST + PATH, headers, body, KEY, "gate", created_unix_s), body
    )


def test_a_gate_without_nonces_is_ordered_by_its_clock_until_it_has_them(
    world: World,
) -> None:
    first, second = raw(NOW_UNIX_S, 1), raw(NOW_UNIX_S + 60, 2)
    assert world.again(first)
    assert world.again(second)
    assert not world.again(first)
    assert world.speaks()
    assert not world.again(raw(NOW_UNIX_S + 120, 3)), (
        "it has signed with one: this was captured before"
    )
    assert world.known()[0] == world.said


def test_the_status_of_a_gate_that_is_enrolled_again_with_its_old_program_is_taken(
    world: World,
) -> None:
    assert world.speaks()
    world.store.strike_off("gate", world.city_unix_s)
    world.enrol()
    assert world.again(raw(NOW_UNIX_S, 1))
    world.start()
    assert world.speaks()


def test_a_gates_nonce_is_no_other_gates(world: World) -> None:
    token = world.store.invite("another", NOW_UNIX_S)
    world.store.enrol("another", token, bytes(32), NOW_UNIX_S)
    nonce = world.store.keep_status(Speaker("gate", 1, "none"), NOW_UNIX_S, "{}").next_nonce
    assert nonce is not None
    assert not world.store.keep_status(Speaker("another", 1, nonce), NOW_UNIX_S, "{}").kept
    assert world.store.keep_status(Speaker("gate", 1, nonce), NOW_UNIX_S, "{}").kept
