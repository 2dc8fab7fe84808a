"""Each port of the courier: the real adapter and the stand-ins of tests keep the same promises.

What a stand-in simplifies is left out here and tested on the real adapter alone: damage, full
disks, hostile bytes, broken connections.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.reports.store import ReportStore
from tests.contracts.courier_kinds import KINDS, RULE, a_line, accepted
from tests.simulation.fleet.city import EPOCH_UNIX_S, City, CityPlan
from tests.simulation.fleet.lives import Kind, Life, Span, steady
from tests.simulation.fleet.ports import (
    Line,
    SimClock,
    SimLanes,
    SimMetadata,
    SimPieces,
)
from tests.simulation.fleet.tally import Load, Of, Tally
from tests.support.city.list_making import KEY
from tests.support.city.town import uid, wire
from tests.support.city.tuf_making import NOW_UNIX_S as TUF_UNIX_S
from tests.support.city.tuf_making import TufRepository
from tests.support.gate.console_lane import fake_lane, status_line
from tests.support.gate.courier_world import (
    NOW_UNIX_S,
    FakeClock,
    FakeMetadata,
    FakePieces,
    World,
)
from tests.support.gate.memory_uploads import MemoryLane, MemoryReceiver
from tests.support.gate.outboxes import ids, outbox, report
from tests.support.gate.reports import stored
from tests.support.web.web_server import Fault, WebServer
from validator.courier.lane_lists import LaneLists
from validator.courier.ports import (
    CourierClock,
    Lanes,
    MetadataSource,
    Pieces,
    ReportReceiver,
    Result,
)
from validator.courier.receiver_client import ReceiverClient
from validator.courier.signed_metadata import TufMetadata
from validator.courier.store.piece_cache import PieceCache
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState
from validator.host.clock import Clock
from validator.lists.manifest import PieceEntry
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import decode as decode_index
from validator.lists.piece_index import encode as encode_index
from validator.lists.segment import NO_END


@pytest.fixture(scope="module")
def city() -> City:
    return City(CityPlan(days=0.01, history_days=1))


# --- published files by their hash ---


@dataclass
class Offer:
    """A source of pieces, two that it offers under one rule, and its index."""

    pieces: Pieces
    rule: str
    first: PieceEntry
    second: PieceEntry
    index: tuple[int, str]


def _real_offer(folder: Path, server: WebServer, web: Web) -> Offer:
    entries = []
    for version in (1, 2):
        content = wire({uid(version): NO_END}, 0, version, rule=RULE, key=KEY)
        entry = PieceEntry(0, version, len(content), sha256(content).hexdigest())
        server.files[f"segments/{entry.file_name}"] = content
        entries.append(entry)
    index = encode_index(PieceIndex({RULE: tuple(entries)}))
    digest = sha256(index).hexdigest()
    server.files[f"indexes/{digest}.json"] = index
    cache = PieceCache(folder, server.url, web)
    return Offer(cache, RULE, entries[0], entries[1], (len(index), digest))


def _world_offer() -> Offer:
    world = World()
    first, second, *_ = world.offered[RULE]
    named = world.manifest().index
    assert named is not None
    return Offer(FakePieces(world), RULE, first, second, (named.bytes, named.sha256))


def _fleet_offer(city: City) -> Offer:
    tally = Tally([[0] * len(Of)], [True])
    public = city.published[-1]
    index = city.index(public)
    rule = "suspended"
    first, *_, second = decode_index(index).rules[rule]
    line = Line(steady(), tally, Load(10))
    pieces = SimPieces(city, line, tally)
    return Offer(pieces, rule, first, second, (public.index_bytes, public.index_sha256))


@pytest.fixture(params=KINDS)
def offer(
    request: pytest.FixtureRequest, tmp_path: Path, server: WebServer, web: Web, city: City
) -> Offer:
    made: dict[str, Callable[[], Offer]] = {
        "real": lambda: _real_offer(tmp_path / "pieces", server, web),
        "world": _world_offer,
        "fleet": lambda: _fleet_offer(city),
    }
    return made[request.param]()


def held(offer: Offer) -> set[str]:
    return {entry.sha256 for entry in offer.pieces.held().get(offer.rule, ())}


def test_a_piece_is_kept_under_its_rule_until_it_is_given_up(offer: Offer) -> None:
    assert held(offer) == set()
    path = offer.pieces.fetch(offer.first)
    offer.pieces.fetch(offer.second)
    assert offer.first.sha256 in path.name
    assert held(offer) == {offer.first.sha256, offer.second.sha256}
    offer.pieces.keep_only({offer.second.sha256})
    assert held(offer) == {offer.second.sha256}
    offer.pieces.keep_only(set())
    assert held(offer) == set()


def test_a_piece_that_is_kept_is_given_again_from_the_same_path(offer: Offer) -> None:
    assert offer.pieces.fetch(offer.first) == offer.pieces.fetch(offer.first)
    assert held(offer) == {offer.first.sha256}


def test_the_index_names_every_piece_on_offer(offer: Offer) -> None:
    offered = decode_index(offer.pieces.index(*offer.index)).rules[offer.rule]
    assert {offer.first, offer.second} <= set(offered)


# --- the signed metadata ---


@dataclass
class Source:
    """A metadata source, its time, and how it becomes unreachable."""

    source: MetadataSource
    now_unix_s: int
    breaks: Callable[[], object]


def _real_source(folder: Path, server: WebServer, web: Web) -> Source:
    repository = TufRepository(folder / "published")
    server.folder = repository.folder

    def breaks() -> None:
        server.faults["*"] = Fault.RESET

    source = TufMetadata(folder / "memory", server.url, web, repository.root)
    return Source(source, TUF_UNIX_S, breaks)


def _world_source() -> Source:
    world = World()
    gone = RemoteError(SourceState.UNREACHABLE, "no network")
    return Source(FakeMetadata(world), NOW_UNIX_S, lambda: world.fails.update(ask=gone))


def _fleet_source(city: City) -> Source:
    life = Life(Kind.STEADY, (Span(500.0, 900.0),), (), 0.0)
    line = a_line(life)
    source = SimMetadata(city, line)
    return Source(source, EPOCH_UNIX_S, lambda: setattr(line, "now_s", 600.0))


@pytest.fixture(params=KINDS)
def source(
    request: pytest.FixtureRequest, tmp_path: Path, server: WebServer, web: Web, city: City
) -> Source:
    made: dict[str, Callable[[], Source]] = {
        "real": lambda: _real_source(tmp_path, server, web),
        "world": _world_source,
        "fleet": lambda: _fleet_source(city),
    }
    return made[request.param]()


def test_what_is_signed_is_the_same_until_something_is_published(source: Source) -> None:
    assert source.source.root, "the one to begin with"
    signed = source.source.signed(source.now_unix_s)
    assert source.source.signed(source.now_unix_s) == signed
    assert signed.root == source.source.root
    assert signed.expires_unix_s > source.now_unix_s
    assert min(signed.versions) > 0
    assert all(signed.keys)


def test_a_source_that_is_out_of_reach_raises_and_keeps_its_root(source: Source) -> None:
    root = source.source.signed(source.now_unix_s).root
    source.breaks()
    with pytest.raises(RemoteError) as caught:
        source.source.signed(source.now_unix_s)
    assert caught.value.state is SourceState.UNREACHABLE
    assert source.source.root == root


# --- the lanes of the gate ---


@pytest.fixture(params=KINDS)
def lanes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lanes]:
    if request.param != "real":
        yield World().lanes if request.param == "world" else SimLanes()
        return
    with fake_lane(tmp_path / "lane.sock") as lane:
        yield LaneLists([lane.path])


def test_a_lane_that_uses_its_list_refuses_none(lanes: Lanes) -> None:
    version = status_line()["status"]["list_version"]
    lanes.list_changed()
    assert lanes.refused(1, version) == ""


# --- the clock ---


@pytest.fixture(params=KINDS)
def clock(request: pytest.FixtureRequest) -> CourierClock:
    made: dict[str, Callable[[], CourierClock]] = {
        "real": Clock,
        "world": lambda: FakeClock(World()),
        "fleet": lambda: SimClock(a_line()),
    }
    return made[request.param]()


def test_the_clock_never_falls_below_a_time_that_was_signed(clock: CourierClock) -> None:
    signed_unix_s = clock.now().unix_s - 5
    clock.begin_with(accepted(7, max(signed_unix_s, EPOCH_UNIX_S)))
    assert clock.now().unix_s >= signed_unix_s


def test_the_boot_stays_the_same_and_its_time_goes_on(clock: CourierClock) -> None:
    first, second = clock.boot(), clock.boot()
    assert first[0] == second[0] != ""
    assert 0 < first[1] <= second[1]
    assert clock.system().boottime_ns >= first[1]


# --- the reports of a lane, and who takes them ---

GATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture(params=["real", "memory"])
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, server: WebServer, web: Web
) -> Iterator[ReportReceiver]:
    if request.param == "memory":
        yield MemoryReceiver()
        return
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        token = store.invite("gate", NOW_UNIX_S)
        store.enrol("gate", token, GATE_KEY.public_key().public_bytes_raw(), NOW_UNIX_S)
        server.app = Starlette(routes=Receiver(store, now_unix_s=lambda: NOW_UNIX_S).routes)
        yield ReceiverClient(server.url, web, "gate", GATE_KEY, lambda: NOW_UNIX_S)


def test_a_receiver_answers_for_each_report_and_stores_it_once(receiver: ReportReceiver) -> None:
    first, second, third = (stored(seq) for seq in range(1, 4))
    answers = receiver.send([first, second])
    assert {report_id: answer.result for report_id, answer in answers.items()} == {
        first.report_id: Result.STORED,
        second.report_id: Result.STORED,
    }
    answers = receiver.send([second, third])
    assert answers[second.report_id].result is Result.ALREADY
    assert answers[third.report_id].result is Result.STORED


def test_a_lane_in_memory_hands_out_its_reports_as_a_lanes_outbox_does(tmp_path: Path) -> None:
    """LaneReports: LaneClient only transports the answers of the lane's outbox."""
    box = outbox(tmp_path)
    for tap in range(5):
        assert box.append(report(tap))
    memory = MemoryLane(list(box.oldest(20)))
    for skipped in (0, 2, 5):
        assert memory.oldest(2, skipped) == list(box.oldest(2, skipped))
    gone = ids(box)[:2]
    memory.delivered(gone)
    assert box.forget(gone) == 2
    poison = memory.reports[0].report_id
    memory.rejected(poison, "422")
    assert box.reject(poison, "422") == 1
    assert memory.oldest(20, 0) == list(box.oldest(20))
    assert memory.aside == {poison: "422"}
