"""Which states the model of a power cut allows, and which it does not."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.power_cut.disk import SECTOR_BYTES, Disk, Luck, any_luck, nothing_survives
from tests.power_cut.journal import ROOT, Entry, Named, Operation, Sync, Truncate, Write

FILE, FOLDER, OTHER = 2, 3, 4
MADE = Named((Entry(ROOT, "file", FILE),))
OLD, NEW = b"a" * 2 * SECTOR_BYTES, b"b" * 2 * SECTOR_BYTES


def after(*operations: Operation) -> Disk:
    disk = Disk()
    for operation in operations:
        disk.do(operation)
    return disk


def left(disk: Disk, luck: Luck, folder: Path) -> dict[str, bytes]:
    disk.cut(luck, folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def all_left(disk: Disk, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    tmp_path.mkdir(exist_ok=True)
    for seed in range(200):
        yield left(disk, any_luck(str(seed)), tmp_path / str(seed))


def test_what_was_synced_is_there_and_nothing_else_must_be(tmp_path: Path) -> None:
    disk = after(MADE, Sync(ROOT), Write(FILE, 0, b"kept"), Sync(FILE), Write(FILE, 4, b" lost"))
    assert left(disk, nothing_survives(), tmp_path / "nothing") == {"file": b"kept"}
    assert left(disk, Luck(Random(1), 1.0), tmp_path / "all") == {"file": b"kept lost"}
    assert all(found["file"].startswith(b"kept") for found in all_left(disk, tmp_path))


def test_a_name_is_lost_until_its_folder_is_synced(tmp_path: Path) -> None:
    disk = after(MADE, Write(FILE, 0, b"kept"), Sync(FILE))
    assert left(disk, nothing_survives(), tmp_path / "before") == {}
    disk.do(Sync(ROOT))
    assert left(disk, nothing_survives(), tmp_path / "after") == {"file": b"kept"}


def test_a_removed_file_may_be_back(tmp_path: Path) -> None:
    disk = after(MADE, Sync(ROOT), Named((Entry(ROOT, "file", None),)))
    assert {len(found) for found in all_left(disk, tmp_path)} == {0, 1}
    disk.do(Sync(ROOT))
    assert left(disk, nothing_survives(), tmp_path / "after") == {}


def test_a_write_is_torn_between_sectors_and_nowhere_else(tmp_path: Path) -> None:
    disk = after(MADE, Sync(ROOT), Write(FILE, 0, OLD), Sync(FILE), Write(FILE, 0, NEW))
    found = {one["file"] for one in all_left(disk, tmp_path)}
    sectors = [OLD[:SECTOR_BYTES], NEW[:SECTOR_BYTES]]
    assert found == {first + second for first in sectors for second in sectors}


def test_a_file_may_be_longer_than_what_reached_it_and_not_be_cut_where_it_should(
    tmp_path: Path,
) -> None:
    longer = after(MADE, Sync(ROOT), Write(FILE, 0, b"abc"))
    assert {one["file"] for one in all_left(longer, tmp_path / "longer")} == {
        b"",
        b"abc",
        b"\0\0\0",
    }
    shorter = after(
        MADE,
        Sync(ROOT),
        Write(FILE, 0, b"abc"),
        Sync(FILE),
        Truncate(FILE, 0),
        Write(FILE, 0, b"x"),
    )
    assert {one["file"] for one in all_left(shorter, tmp_path / "shorter")} >= {
        b"abc",
        b"",
        b"x",
        b"xbc",
    }


def test_a_file_replaced_in_its_folder_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    disk = after(
        MADE,
        Write(FILE, 0, b"old"),
        Sync(FILE),
        Named((Entry(ROOT, "new", OTHER),)),
        Write(OTHER, 0, b"new"),
        Sync(OTHER),
        Sync(ROOT),
        Named((Entry(ROOT, "file", OTHER), Entry(ROOT, "new", None))),
    )
    found = {tuple(sorted(one.items())) for one in all_left(disk, tmp_path)}
    assert found == {(("file", b"old"), ("new", b"new")), (("file", b"new"),)}


def test_a_file_moved_to_another_folder_keeps_one_of_its_names(tmp_path: Path) -> None:
    disk = after(
        MADE,
        Named((Entry(ROOT, "folder", FOLDER),), new_folder=True),
        Sync(ROOT),
        Named((Entry(FOLDER, "moved", FILE), Entry(ROOT, "file", None))),
    )
    found = {tuple(sorted(one)) for one in all_left(disk, tmp_path / "before")}
    assert found == {("file",), ("file", "folder/moved"), ("folder/moved",)}
    disk.do(Sync(FOLDER))
    found = {tuple(sorted(one)) for one in all_left(disk, tmp_path / "between")}
    assert found == {("file", "folder/moved"), ("folder/moved",)}
    disk.do(Sync(ROOT))
    assert {tuple(one) for one in all_left(disk, tmp_path / "after")} == {("folder/moved",)}
