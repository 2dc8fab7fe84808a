"""Installing and pruning: a power cut at any step leaves the old list or the new one.

What is not needed any more is removed.
"""

import errno
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.city.list_making import (
    held,
    install,
    looked,
    manifest_of,
    opened,
    seg,
    segment_bytes,
    version,
)
from validator.courier.store.installer import InstallError, ListInstaller
from validator.lists.manifest import encode
from validator.lists.names import ListName
from validator.lists.segment import NO_END, REMOVED

OLD = segment_bytes({1: NO_END, 2: NO_END}, to_version=1)
CHANGE = segment_bytes({1: REMOVED, 3: NO_END}, from_version=1, to_version=2)
STAFF = segment_bytes({9: NO_END}, rule="staff", to_version=1)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def installing(folder: Path) -> Generator[str, None, None]:
    sources = {seg(CHANGE): CHANGE, seg(OLD): OLD, seg(STAFF): STAFF}
    return ListInstaller(folder).steps(encode(manifest_of(2, (CHANGE, OLD), (STAFF,))), sources)


def step_count(tmp_path_factory: pytest.TempPathFactory) -> int:
    return len(list(installing(tmp_path_factory.mktemp("counted"))))


def test_a_crash_between_any_two_steps_leaves_the_old_list_or_the_new_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    seen = []
    for crash_after in range(step_count(tmp_path_factory) + 1):
        folder = tmp_path_factory.mktemp("lists")
        install(folder, 1, (OLD,))
        steps = installing(folder)
        for _ in range(crash_after):
            next(steps, None)
        steps.close()
        adopted = looked(opened(folder))
        assert adopted.problems == ()
        assert held(adopted) == ([1, 2] if version(adopted) == 1 else [2, 3])
        seen.append(version(adopted))
        ListInstaller(folder).prune()  # what a courier does at its start
        assert not list(folder.glob(".new-*"))
        list(installing(folder))
        assert version(looked(opened(folder))) == 2
    assert seen == sorted(seen, key=lambda number: number or 0)
    assert set(seen) == {1, 2}


def test_a_first_install_that_crashes_leaves_a_missing_list_or_a_whole_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for crash_after in range(step_count(tmp_path_factory) + 1):
        folder = tmp_path_factory.mktemp("lists")
        steps = installing(folder)
        for _ in range(crash_after):
            next(steps, None)
        steps.close()
        adopted = looked(opened(folder))
        assert version(adopted) in (None, 2)


def test_a_crash_while_pruning_leaves_the_newest_list(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for crash_after in range(5):
        folder = tmp_path_factory.mktemp("lists")
        for number in (1, 2, 3):
            install(folder, number, (segment_bytes({number: NO_END}, to_version=number),))
        steps = ListInstaller(folder).prune_steps()
        for _ in range(crash_after):
            next(steps, None)
        steps.close()
        adopted = looked(opened(folder))
        assert (held(adopted), adopted.problems) == ([3], ())


def test_pruning_keeps_the_two_newest_complete_lists_and_what_they_name(tmp_path: Path) -> None:
    tables = [segment_bytes({number: NO_END}, to_version=number) for number in range(1, 6)]
    for number, table in enumerate(tables, start=1):
        install(tmp_path, number, (table,), (STAFF,))
    (tmp_path / seg(tables[3])).unlink()  # version 4 is incomplete
    (tmp_path / ".new-left-behind").write_bytes(b"")
    (tmp_path / "6.manifest.json").write_bytes(b"?")
    (tmp_path / "README").write_bytes(b"not ours")
    ListInstaller(tmp_path).prune()
    expected = {"README", seg(STAFF), seg(tables[4]), seg(tables[2])}
    expected |= {f"{number}.manifest.json" for number in (3, 5)}
    assert names(tmp_path) == expected


def test_a_segment_that_is_not_what_the_manifest_names_is_not_installed(tmp_path: Path) -> None:
    installer = ListInstaller(tmp_path)
    content = encode(manifest_of(1, (OLD,)))
    for wrong in (OLD[:-1], OLD[:-1] + b"\x07", CHANGE):
        with pytest.raises(InstallError, match="not the segment"):
            installer.install(content, {seg(OLD): wrong})
    false_size = content.replace(b'"bytes":%d' % len(OLD), b'"bytes":%d' % (len(OLD) + 1))
    with pytest.raises(InstallError, match="not the segment"):
        installer.install(false_size, {seg(OLD): OLD})
    with pytest.raises(InstallError, match="neither in the folder nor given"):
        installer.install(content, {})
    with pytest.raises(InstallError, match="not a manifest"):
        installer.install(b"?", {})
    with pytest.raises(InstallError, match="No such file"):
        installer.install(content, {seg(OLD): tmp_path / "absent"})
    assert not list(tmp_path.iterdir())


def test_a_segment_is_installed_from_a_file_with_progress(tmp_path: Path) -> None:
    source = tmp_path / "built.seg"
    source.write_bytes(OLD)
    (tmp_path / "lists").mkdir()
    seen: list[tuple[int, int]] = []
    ListInstaller(tmp_path / "lists").install(
        encode(manifest_of(1, (OLD,))),
        {seg(OLD): source},
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(len(OLD), len(OLD))]
    assert held(looked(opened(tmp_path / "lists"))) == [1, 2]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InstallError, match="No space left"):
        install(tmp_path, 1, (OLD,))
    assert not list(tmp_path.iterdir())


def test_a_mapped_list_survives_its_files_being_replaced_and_removed(tmp_path: Path) -> None:
    install(tmp_path, 2, (CHANGE, OLD))
    adopted = looked(opened(tmp_path))
    install(tmp_path, 3, (segment_bytes({7: NO_END}, to_version=3),))
    install(tmp_path, 4, (segment_bytes({8: NO_END}, to_version=4),))
    ListInstaller(tmp_path).prune()
    assert not (tmp_path / seg(CHANGE)).exists()
    assert held(adopted) == [2, 3]


def test_an_incomplete_newer_list_is_left_for_its_segments_to_come(tmp_path: Path) -> None:
    install(tmp_path, 1, (OLD,))
    install(tmp_path, 2, (CHANGE, OLD))
    (tmp_path / seg(CHANGE)).unlink()
    ListInstaller(tmp_path).prune()
    assert names(tmp_path) == {"1.manifest.json", "2.manifest.json", seg(OLD)}


# Eras


@pytest.mark.parametrize("name", [ListName(0, 7), ListName(3, 7), ListName(12, 10**15)])
def test_a_list_has_one_name(name: ListName) -> None:
    assert ListName.of(name.file_name) == name


def test_lists_are_ordered_by_era_and_then_by_version() -> None:
    ordered = ["9.manifest.json", "1.2.manifest.json", "1.10.manifest.json", "2.1.manifest.json"]
    parsed = [ListName.of(name) for name in ordered]
    assert [str(name) for name in sorted(filter(None, parsed))] == [
        "9",
        "2 of era 1",
        "10 of era 1",
        "1 of era 2",
    ]
    strange = (
        "0.manifest.json",
        "0.7.manifest.json",
        "1.2.3.manifest.json",
        "7.manifest.json~",
        "٣.manifest.json",
    )
    assert [ListName.of(name) for name in strange] == [None] * 5


def test_pruning_leaves_no_list_of_an_older_era_to_fall_back_to(tmp_path: Path) -> None:
    theft = segment_bytes({5: NO_END}, to_version=900)
    install(tmp_path, 899, (OLD,), era=1)
    install(tmp_path, 900, (theft, OLD), era=1)
    install(tmp_path, 3, (STAFF,), era=2)
    ListInstaller(tmp_path).prune()
    assert names(tmp_path) == {"2.3.manifest.json", seg(STAFF)}


def test_pruning_keeps_the_older_era_until_a_list_of_the_newer_one_is_complete(
    tmp_path: Path,
) -> None:
    install(tmp_path, 900, (OLD,), era=1)
    install(tmp_path, 3, (STAFF,), era=2)
    (tmp_path / seg(STAFF)).unlink()
    ListInstaller(tmp_path).prune()
    assert names(tmp_path) == {"1.900.manifest.json", "2.3.manifest.json", seg(OLD)}


# Two folders


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The folder on the disk, with a list in it."""
    made = tmp_path / "disk"
    made.mkdir()
    install(made, 1, (OLD,))
    return made


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A memory-backed one, empty as after a boot."""
    made = tmp_path / "memory"
    made.mkdir()
    return made


def test_what_is_on_the_disk_is_not_written_to_memory_again(disk: Path, memory: Path) -> None:
    before = names(disk)
    install(memory, 2, (CHANGE, OLD), also=disk)
    assert names(memory) == {"2.manifest.json", seg(CHANGE)}
    assert names(disk) == before


def test_pruning_memory_counts_the_lists_on_the_disk_and_touches_none_of_them(
    disk: Path, memory: Path
) -> None:
    tops = [segment_bytes({card: NO_END}, from_version=1, to_version=card) for card in range(2, 6)]
    for card, top in enumerate(tops[:3], start=2):
        install(memory, card, (top, OLD), also=disk)
    ListInstaller(memory, also=disk).prune()
    assert names(memory) == {"3.manifest.json", "4.manifest.json", seg(tops[1]), seg(tops[2])}
    install(disk, 5, (tops[3], OLD))
    before = names(disk)
    ListInstaller(memory, also=disk).prune()
    assert names(memory) == {"4.manifest.json", seg(tops[2])}
    assert names(disk) == before


def test_a_list_in_memory_whose_base_left_the_disk_goes_when_a_newer_one_is_complete(
    disk: Path, memory: Path
) -> None:
    install(memory, 2, (CHANGE, OLD), also=disk)
    whole = segment_bytes({2: NO_END, 3: NO_END}, to_version=3)
    install(disk, 3, (whole,))
    (disk / seg(OLD)).unlink()
    ListInstaller(memory, also=disk).prune()
    assert names(memory) == set()


def test_a_newer_era_on_the_disk_clears_the_older_one_out_of_memory(
    disk: Path, memory: Path
) -> None:
    install(memory, 900, (CHANGE, OLD), era=1, also=disk)
    install(disk, 2, (STAFF,), era=2)
    ListInstaller(memory, also=disk).prune()
    assert names(memory) == set()
