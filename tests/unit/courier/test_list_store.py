"""Pieces become tables of at most three segments.

What changes often stays in memory, and what is damaged is fetched again.
"""

import errno
import os
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.city.list_making import KEY, OTHER_KEY
from tests.support.city.town import uid, wire
from validator.courier.ports import Fetched
from validator.courier.store import list_store
from validator.courier.store.list_store import DiskListStore
from validator.domain.cards import CardUid
from validator.domain.rules import Effect
from validator.errors import RemoteError, SourceState
from validator.lane.lists_in_force import ListFolder
from validator.lists.fingerprint_keys import key_id, keyring
from validator.lists.manifest import Manifest, PieceEntry, RuleEntry
from validator.lists.segment import NO_END, REMOVED

NOW_UNIX_S = 1_800_000_000
KEY_HEX = key_id(KEY).hex()
RULE = "suspended"


class Folders:
    """A gate's two folders, a place for pieces, and the list store over them."""

    def __init__(self, path: Path) -> None:
        """Make the folders."""
        self.disk, self.memory, self.pieces = path / "disk", path / "memory", path / "pieces"
        for made in (self.disk, self.pieces):
            made.mkdir()
        self.store = DiskListStore(self.disk, self.memory)

    def again(self) -> None:
        """Start the courier again."""
        self.store = DiskListStore(self.disk, self.memory)

    def piece(
        self, cards: Mapping[bytes, int], from_version: int, to_version: int, key: bytes = KEY
    ) -> Fetched:
        """A piece that was fetched."""
        content = wire(cards, from_version, to_version, rule=RULE, key=key)
        path = self.pieces / f"{from_version}-{to_version}.wire"
        path.write_bytes(content)
        return Fetched(
            PieceEntry(from_version, to_version, len(content), f"{to_version:064x}"), path
        )

    def bring(
        self, *pieces: Fetched, version: int | None = None, era: int = 1, key: str = KEY_HEX
    ) -> None:
        """Install a list made of what is held and these."""
        version = version or pieces[-1].entry.to_version
        newest = pieces[-1].entry if pieces else PieceEntry(0, version, 200, "0" * 64)
        rule = RuleEntry(RULE, Effect.REFUSE, (newest,))
        manifest = Manifest(version, NOW_UNIX_S, NOW_UNIX_S + 500_000, (rule,), fingerprint_key=key)
        self.store.install(manifest, era, {RULE: pieces})

    def levels(self) -> list[tuple[str, int, int]]:
        """The segments of the table that the lane finds, newest first: the folder, from and to."""
        rules = self.lane().settled().rules
        assert rules is not None
        entries = self.store._segments(RULE)
        return [
            (
                "disk" if (self.disk / entry.file_name).exists() else "memory",
                entry.from_version,
                entry.to_version,
            )
            for entry in entries
        ]

    def lane(self, *keys: bytes) -> ListFolder:
        """The lane's eyes."""
        return ListFolder(self.disk, keyring(keys or (KEY,)), self.memory)

    def held_cards(self, *numbers: int) -> set[int]:
        """Which of these cards the lane finds in the table."""
        rules = self.lane().settled().rules
        assert rules is not None
        table = rules.rules[0].table
        return {
            number
            for number in numbers
            if table.holds(CardUid(uid(number)).fingerprint(KEY), NOW_UNIX_S)
        }


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_the_first_list_goes_to_the_disk(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    assert folders.store.held == (1, 5)
    assert folders.levels() == [("disk", 0, 5)]
    assert folders.held_cards(1, 2) == {1}


def test_a_small_change_goes_to_memory_and_writes_nothing_to_the_disk(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    before = sorted(path.name for path in folders.disk.iterdir()), folders.store.disk_bytes
    for version in range(5, 25):
        folders.bring(folders.piece({uid(version): NO_END}, version, version + 1))
    assert folders.levels() == [("memory", 5, 25), ("disk", 0, 5)]
    assert (
        sorted(path.name for path in folders.disk.iterdir()),
        folders.store.disk_bytes,
    ) == before
    assert folders.held_cards(*range(30)) == {1, *range(5, 25)}
    assert len(list(folders.memory.iterdir())) <= 4  # two lists of one segment


def test_after_a_power_cut_more_pieces_are_folded_than_files_may_be_open(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END, uid(2): NO_END}, 0, 5))
    pieces = [
        folders.piece({uid(version): NO_END}, version, version + 1) for version in range(5, 305)
    ]
    pieces.append(folders.piece({uid(2): REMOVED}, 305, 306))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (sum(1 for _ in Path("/proc/self/fd").iterdir()) + 300, hard)
    )
    try:
        folders.bring(*pieces)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert folders.levels() == [("memory", 5, 306), ("disk", 0, 5)]
    assert folders.held_cards(*range(400)) == {1, *range(5, 305)}
    assert len(list(folders.memory.iterdir())) <= 4


def test_a_card_taken_out_by_a_small_change_is_out_although_the_base_knows_it(
    folders: Folders,
) -> None:
    folders.bring(folders.piece({uid(1): NO_END, uid(2): NO_END}, 0, 5))
    folders.bring(folders.piece({uid(1): REMOVED}, 5, 6))
    assert folders.held_cards(1, 2) == {2}


def test_a_top_that_has_grown_large_goes_to_the_disk(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_store, "TOP_CARDS_MAX", 3)
    folders.bring(folders.piece({uid(number): NO_END for number in range(1_000)}, 0, 5))
    for version in range(5, 9):
        folders.bring(folders.piece({uid(1_000 + version): NO_END}, version, version + 1))
    assert folders.levels() == [("disk", 5, 9), ("disk", 0, 5)]
    folders.bring(folders.piece({uid(2_000): NO_END}, 9, 10))
    assert folders.levels() == [("memory", 9, 10), ("disk", 5, 9), ("disk", 0, 5)]
    assert folders.held_cards(0, 999, 1_005, 1_008, 2_000, 3_000) == {0, 999, 1_005, 1_008, 2_000}


def test_a_middle_that_has_grown_to_an_eighth_is_folded_into_the_base(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_store, "TOP_CARDS_MAX", 3)
    folders.bring(folders.piece({uid(number): NO_END for number in range(20)}, 0, 5))
    folders.bring(folders.piece({uid(number): REMOVED for number in range(5)}, 5, 6))
    assert folders.levels() == [("disk", 0, 6)]
    assert folders.held_cards(*range(25)) == set(range(5, 20))


def test_several_pieces_are_applied_in_order(folders: Folders) -> None:
    folders.bring(
        folders.piece({uid(1): NO_END}, 0, 5),
        folders.piece({uid(1): REMOVED, uid(2): NO_END}, 5, 7),
        folders.piece({uid(1): NO_END, uid(3): NO_END}, 7, 8),
    )
    assert folders.held_cards(1, 2, 3) == {1, 2, 3}


def test_a_list_without_a_change_is_installed_by_what_is_there(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    folders.bring(version=9)
    assert folders.store.held == (1, 9)
    assert folders.store.standing(RULE, KEY_HEX, 1) == 9
    assert folders.held_cards(1) == {1}


def test_after_a_power_cut_the_disk_has_a_whole_list(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    folders.bring(folders.piece({uid(2): NO_END}, 5, 6))
    assert folders.store.kept(RULE) == 5
    for path in folders.memory.iterdir():
        path.unlink()
    folders.again()
    assert folders.store.held == (1, 5)
    assert folders.held_cards(1, 2) == {1}


def test_a_list_of_a_newer_era_begins_at_a_snapshot_and_the_older_era_is_gone(
    folders: Folders,
) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 500))
    assert folders.store.standing(RULE, KEY_HEX, 2) == 0
    folders.bring(folders.piece({uid(2): NO_END}, 0, 7), era=2)
    assert folders.store.held == (2, 7)
    assert folders.held_cards(1, 2) == {2}
    assert [path.name for path in folders.disk.glob("*.json")] == ["2.7.manifest.json"]


def test_a_table_under_another_key_begins_at_a_snapshot(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    assert folders.store.standing(RULE, key_id(OTHER_KEY).hex(), 1) == 0
    assert folders.store.standing(RULE, KEY_HEX, 1) == 5
    assert folders.store.standing("another", KEY_HEX, 1) == 0


def test_a_piece_under_another_key_than_the_manifest_names_is_refused(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    with pytest.raises(RemoteError, match="another fingerprint key") as refused:
        folders.bring(folders.piece({uid(2): NO_END}, 5, 6, OTHER_KEY))
    assert refused.value.state is SourceState.REFUSED
    assert folders.store.held == (1, 5)
    assert folders.held_cards(1, 2) == {1}


def test_a_piece_of_other_versions_than_the_manifest_names_is_refused(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    right = folders.piece({uid(2): NO_END}, 5, 6)
    wrong = folders.piece({uid(2): NO_END}, 4, 6)
    with pytest.raises(RemoteError, match="another piece"):
        folders.bring(Fetched(right.entry, wrong.path))
    assert folders.held_cards(1, 2) == {1}


def test_a_base_that_the_card_has_spoiled_is_deleted_at_the_start_and_logged(
    folders: Folders,
) -> None:
    folders.bring(folders.piece({uid(number): NO_END for number in range(100)}, 0, 5))
    [segment] = folders.disk.glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    folders.again()
    assert folders.store.damaged == [segment.name]
    assert folders.store.held == (0, 0)
    assert folders.store.standing(RULE, KEY_HEX, 1) == 0


def test_a_segment_deleted_by_hand_while_the_courier_runs_is_noticed(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    next(folders.disk.glob("*.seg")).unlink()
    assert folders.store.held == (0, 0)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_the_list_as_it_was(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    before = sorted(path.name for path in folders.disk.iterdir())

    def refuse(_fd: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RemoteError) as refused:
        folders.bring(folders.piece({uid(2): NO_END}, 0, 6))
    monkeypatch.undo()
    assert refused.value.state is SourceState.DISK
    assert sorted(path.name for path in folders.disk.iterdir()) == before
    assert folders.store.held == (1, 5)


def test_without_a_folder_in_memory_everything_goes_to_the_disk(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.store = DiskListStore(folders.disk, None)
    folders.bring(folders.piece({uid(number): NO_END for number in range(1_000)}, 0, 5))
    folders.bring(folders.piece({uid(2_000): NO_END}, 5, 6))
    folders.bring(folders.piece({uid(2_001): NO_END}, 6, 7))
    assert [path.stem for path in sorted(folders.disk.glob("*.json"))] == [
        "1.6.manifest",
        "1.7.manifest",
    ]
    assert folders.held_cards(1, 2_000, 2_001) == {1, 2_000, 2_001}


def test_what_was_written_to_the_disk_is_counted(folders: Folders) -> None:
    folders.bring(folders.piece({uid(1): NO_END}, 0, 5))
    assert folders.store.disk_bytes == sum(path.stat().st_size for path in folders.disk.iterdir())
