"""The folder of pieces: what is fetched, what is kept, what makes room."""

import errno
import io
import os
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.support.city.list_making import segment_bytes
from tests.support.machine.planting import PLANTS, PRECIOUS, Plant
from tests.support.web.web_server import Fault, WebServer
from validator.courier.store import piece_cache
from validator.courier.store.piece_cache import CacheLimits, PieceCache
from validator.courier.web.client import Web
from validator.errors import RemoteError, SourceState
from validator.lists.manifest import PieceEntry
from validator.lists.wire import encode


class Piece(NamedTuple):
    """A piece as it is published."""

    content: bytes
    entry: PieceEntry

    @property
    def name(self) -> str:
        """Its file."""
        return f"{self.entry.sha256}.wire"


def piece(
    to_version: int, cards: int = 200, rule: str = "suspended", from_version: int = 0
) -> Piece:
    table = dict.fromkeys(Random(cards).sample(range(1 << 56), cards), 60)
    out = io.BytesIO()
    encode(segment_bytes(table, rule=rule, from_version=from_version, to_version=to_version), out)
    content = out.getvalue()
    digest = sha256(content).hexdigest()
    return Piece(content, PieceEntry(from_version, to_version, len(content), digest))


PIECES = [piece(version, 200 + version) for version in range(1, 6)]
ONE, TWO, THREE = PIECES[:3]


@pytest.fixture
def server(server: WebServer) -> WebServer:
    server.files = {f"segments/{each.name}": each.content for each in PIECES}
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pieces"


@pytest.fixture
def cache(folder: Path, server: WebServer, web: Web) -> PieceCache:
    return PieceCache(folder, server.url, web)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refusal(cache: PieceCache, wanted: Piece) -> RemoteError:
    with pytest.raises(RemoteError) as error:
        cache.fetch(wanted.entry)
    assert str(error.value).isprintable()
    return error.value


class TestFetch:
    """One piece at a time."""

    def test_brings_a_piece_once(self, cache: PieceCache, folder: Path, server: WebServer) -> None:
        for _ in range(3):
            assert cache.fetch(ONE.entry) == folder / ONE.name
        assert (folder / ONE.name).read_bytes() == ONE.content
        assert server.paths() == [f"segments/{ONE.name}"]

    def test_needs_no_network_for_what_is_there(
        self, cache: PieceCache, folder: Path, server: WebServer, web: Web
    ) -> None:
        cache.fetch(ONE.entry)
        server.faults["*"] = Fault.RESET
        again = PieceCache(folder, server.url, web)
        assert again.fetch(ONE.entry) == folder / ONE.name

    @pytest.mark.parametrize("damage", [b"", b"short", bytes(len(ONE.content)), ONE.content + b"x"])
    def test_what_the_sd_card_spoiled_is_fetched_again(
        self, cache: PieceCache, folder: Path, damage: bytes
    ) -> None:
        (folder / ONE.name).write_bytes(damage)
        assert cache.fetch(ONE.entry).read_bytes() == ONE.content

    def test_a_symbolic_link_in_its_place_is_replaced(
        self, cache: PieceCache, folder: Path
    ) -> None:
        precious = folder.parent / "precious"
        precious.write_bytes(ONE.content)
        (folder / ONE.name).symlink_to(precious)
        assert not cache.fetch(ONE.entry).is_symlink()
        assert precious.read_bytes() == ONE.content

    @pytest.mark.parametrize("name", [ONE.name, f"{ONE.name}.part"])
    @pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.__name__)
    def test_anything_in_its_place_is_replaced(
        self, cache: PieceCache, folder: Path, name: str, planted: Plant
    ) -> None:
        precious = planted(folder / name)
        assert cache.fetch(ONE.entry).read_bytes() == ONE.content
        assert not (folder / ONE.name).is_symlink()
        assert precious() == PRECIOUS

    def test_a_tampered_piece_is_refused(
        self, cache: PieceCache, folder: Path, server: WebServer
    ) -> None:
        server.faults["*"] = Fault.TAMPERED
        assert refusal(cache, ONE).state is SourceState.REFUSED
        assert names(folder) == set()

    def test_goes_on_where_the_line_broke(
        self, cache: PieceCache, folder: Path, server: WebServer
    ) -> None:
        server.cut_after_bytes = 300
        server.faults["*"] = Fault.CUT
        assert refusal(cache, ONE).state is SourceState.UNREACHABLE
        assert names(folder) == {f"{ONE.name}.part"}
        server.faults.clear()
        assert cache.fetch(ONE.entry).read_bytes() == ONE.content
        assert server.asked[-1].headers["range"] == "bytes=300-"
        assert names(folder) == {ONE.name}

    @pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", ""])
    def test_a_manifest_that_names_a_path_outside_the_folder(
        self, cache: PieceCache, server: WebServer, name: str
    ) -> None:
        wanted = Piece(b"", PieceEntry(0, 1, 200, name))
        assert refusal(cache, wanted).state is SourceState.REFUSED
        with pytest.raises(RemoteError):
            cache.index(2, name)
        assert server.asked == []


class TestIndex:
    """Small, and not kept."""

    INDEX = b'{"rules": {}}'
    SHA256 = sha256(INDEX).hexdigest()

    @pytest.fixture(autouse=True)
    def published(self, server: WebServer) -> None:
        server.files[f"indexes/{self.SHA256}.json"] = self.INDEX

    def test_comes_as_signed(self, cache: PieceCache, folder: Path) -> None:
        assert cache.index(len(self.INDEX), self.SHA256) == self.INDEX
        assert names(folder) == set()

    @pytest.mark.parametrize("fault", [Fault.TAMPERED, Fault.OVERLONG, Fault.ENDLESS_BODY])
    def test_tampered_or_longer_is_refused(
        self, cache: PieceCache, server: WebServer, fault: Fault
    ) -> None:
        server.faults["*"] = fault
        with pytest.raises(RemoteError) as error:
            cache.index(len(self.INDEX), self.SHA256)
        assert error.value.state is SourceState.REFUSED

    def test_of_another_length_is_refused(self, cache: PieceCache) -> None:
        with pytest.raises(RemoteError) as error:
            cache.index(len(self.INDEX) + 1, self.SHA256)
        assert error.value.state is SourceState.REFUSED

    def test_of_a_megabyte_is_not_asked_for(self, cache: PieceCache, server: WebServer) -> None:
        with pytest.raises(RemoteError) as error:
            cache.index(1_000_000, self.SHA256)
        assert error.value.state is SourceState.REFUSED
        assert server.asked == []


class TestKept:
    """What stays after a power cut, and what goes."""

    def test_what_is_held_is_listed_by_rule(
        self, cache: PieceCache, folder: Path, server: WebServer, web: Web
    ) -> None:
        staff = piece(3, rule="staff", from_version=2)
        server.files[f"segments/{staff.name}"] = staff.content
        for each in (THREE, staff, ONE):
            cache.fetch(each.entry)
        again = PieceCache(folder, server.url, web)
        assert again.held() == {"suspended": [ONE.entry, THREE.entry], "staff": [staff.entry]}

    def test_neither_begun_nor_damaged_nor_other_files_are_held(
        self, cache: PieceCache, folder: Path
    ) -> None:
        (folder / f"{ONE.name}.part").write_bytes(ONE.content)
        (folder / TWO.name).write_bytes(TWO.content[:50])
        (folder / f"{'0' * 64}.wire").write_bytes(bytes(500))
        (folder / f"{'1' * 64}.wire").symlink_to(folder / TWO.name)
        (folder / f"{'2' * 64}.wire").mkdir()
        (folder / "notes.txt").write_bytes(THREE.content)
        assert cache.held() == {}

    def test_only_what_is_named_is_kept(self, cache: PieceCache, folder: Path) -> None:
        for each in (ONE, TWO, THREE):
            cache.fetch(each.entry)
        (folder / f"{PIECES[3].name}.part").write_bytes(b"begun")
        (folder / f"{PIECES[4].name}.part").write_bytes(b"begun")
        (folder / "notes.txt").touch()
        cache.keep_only({TWO.entry.sha256, PIECES[4].entry.sha256})
        assert names(folder) == {TWO.name, f"{PIECES[4].name}.part", "notes.txt"}

    def test_a_folder_that_vanished_holds_nothing_and_is_made_again(
        self, cache: PieceCache, folder: Path
    ) -> None:
        folder.rmdir()
        assert cache.held() == {}
        cache.keep_only(())
        assert cache.fetch(ONE.entry).parent == folder

    def test_a_folder_that_cannot_be_made_is_reported_as_the_disks_fault(
        self, cache: PieceCache, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_only(path: Path) -> None:
            raise OSError(errno.EROFS, "Read-only file system", str(path))

        folder.rmdir()
        monkeypatch.setattr(piece_cache, "make_folder", read_only)
        with pytest.raises(RemoteError, match="Read-only file system; check the disk") as error:
            cache.fetch(ONE.entry)
        assert error.value.state is SourceState.DISK


class TestRoom:
    """Limits, and who goes first."""

    def limited(
        self, cache: PieceCache, server: WebServer, web: Web, limits: CacheLimits
    ) -> PieceCache:
        return PieceCache(cache._folder, server.url, web, limits)

    @pytest.mark.parametrize(
        "limits",
        [
            CacheLimits(files_max=2, reserve_bytes=0),
            CacheLimits(bytes_max=TWO.entry.bytes + THREE.entry.bytes, reserve_bytes=0),
        ],
    )
    def test_the_oldest_of_an_earlier_day_goes_first_and_begun_ones_before_it(
        self, cache: PieceCache, folder: Path, server: WebServer, web: Web, limits: CacheLimits
    ) -> None:
        for age, each in enumerate((ONE, TWO)):
            cache.fetch(each.entry)
            os.utime(folder / each.name, (age, age))
        (folder / f"{PIECES[4].name}.part").write_bytes(b"begun")
        self.limited(cache, server, web, limits).fetch(THREE.entry)
        assert names(folder) == {TWO.name, THREE.name}

    def test_what_this_chain_needs_is_never_thrown_away(
        self, cache: PieceCache, folder: Path, server: WebServer, web: Web
    ) -> None:
        limited = self.limited(cache, server, web, CacheLimits(files_max=2))
        limited.fetch(ONE.entry)
        limited.fetch(TWO.entry)
        error = refusal(limited, THREE)
        assert error.state is SourceState.DISK
        assert "2 are the most" in str(error)
        assert names(folder) == {ONE.name, TWO.name}
        limited.keep_only({TWO.entry.sha256})
        limited.fetch(THREE.entry)
        assert names(folder) == {TWO.name, THREE.name}
        limited.fetch(PIECES[3].entry)
        assert names(folder) == {THREE.name, PIECES[3].name}

    def test_what_no_poll_asked_for_in_a_day_is_no_chain_of_today(
        self, folder: Path, server: WebServer, web: Web
    ) -> None:
        now_s = 1_000.0
        limits = CacheLimits(files_max=2)
        limited = PieceCache(folder, server.url, web, limits, lambda: now_s)
        limited.fetch(ONE.entry)
        limited.fetch(TWO.entry)
        now_s += 90_000
        limited.fetch(TWO.entry)
        limited.fetch(THREE.entry)
        assert names(folder) == {TWO.name, THREE.name}

    def test_a_disk_that_is_nearly_full_keeps_its_reserve(
        self, cache: PieceCache, folder: Path, server: WebServer, web: Web
    ) -> None:
        error = refusal(self.limited(cache, server, web, CacheLimits(reserve_bytes=1 << 60)), ONE)
        assert error.state is SourceState.DISK
        assert "make room" in str(error)
        assert server.asked == []
        assert names(folder) == set()

    def test_what_is_begun_needs_room_for_the_rest_only(
        self,
        cache: PieceCache,
        folder: Path,
        server: WebServer,
        web: Web,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (folder / f"{ONE.name}.part").write_bytes(ONE.content[:-10])
        status = os.statvfs(folder)
        fields = list(status)
        fields[1], fields[4] = 1, 10 + 1_000  # block size, free blocks
        monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(fields))
        limits = CacheLimits(reserve_bytes=1_000)
        assert self.limited(cache, server, web, limits).fetch(ONE.entry).exists()
        assert refusal(self.limited(cache, server, web, limits), TWO).state is SourceState.DISK
