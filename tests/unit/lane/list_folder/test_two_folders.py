"""A list folder on the disk and one in memory, eras, keys that come later.

And the courier at work between scan and opening.
"""

import gc
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.city.list_making import (
    KEY,
    OTHER_KEY,
    held,
    install,
    looked,
    opened,
    seg,
    segment_bytes,
    version,
)
from validator.courier.store.installer import ListInstaller
from validator.lane import lists_in_force as list_folder
from validator.lane.lists_in_force import ListFolder
from validator.lane.ports import Adopted
from validator.lists.fingerprint_keys import FingerprintKeyError, keyring
from validator.lists.segment import NO_END

BASE = segment_bytes({1: NO_END, 2: NO_END}, to_version=1)
TOP = segment_bytes({3: NO_END}, from_version=1, to_version=2)
FOLDED = segment_bytes({1: NO_END, 2: NO_END, 3: NO_END}, to_version=2)
NEXT = segment_bytes({4: NO_END}, from_version=2, to_version=3)
THEFT = segment_bytes({9: NO_END}, to_version=900)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The folder on the disk, with version 1 in it."""
    made = tmp_path / "disk"
    made.mkdir()
    install(made, 1, (BASE,))
    return made


@pytest.fixture
def memory(tmp_path: Path, disk: Path) -> Path:
    """The memory-backed one, with version 2 on top of what is on the disk."""
    made = tmp_path / "memory"
    made.mkdir()
    install(made, 2, (TOP, BASE), also=disk)
    return made


def adopted(found: Adopted | None) -> Adopted:
    assert found is not None
    return found


# Two folders


def test_a_list_in_memory_names_segments_of_both_folders(disk: Path, memory: Path) -> None:
    found = looked(opened(disk, recent=memory))
    assert (version(found), held(found), found.problems) == (2, [1, 2, 3], ())


def test_memory_that_is_empty_or_not_there_after_a_boot_is_not_worth_a_line(
    disk: Path, tmp_path: Path
) -> None:
    recent = tmp_path / "run" / "lists"
    lists = opened(disk, recent=recent)
    found = looked(lists)
    assert (version(found), found.problems) == (1, ())
    recent.mkdir(parents=True)
    assert lists.scan() is None
    install(recent, 2, (TOP, BASE), also=disk)
    assert held(looked(lists)) == [1, 2, 3]


def test_memory_that_cannot_be_read_is_reported_and_the_disk_used(
    disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    found = looked(opened(disk, recent=tmp_path / "file"))
    assert version(found) == 1
    assert "Not a directory; check list.recent" in found.problems[0]


def test_a_disk_that_is_gone_is_reported_while_memory_holds_a_whole_list(
    disk: Path, memory: Path
) -> None:
    install(memory, 3, (NEXT, FOLDED))
    disk.rename(disk.with_name("elsewhere"))
    found = looked(opened(disk, recent=memory))
    assert (version(found), held(found)) == (3, [1, 2, 3, 4])
    assert "No such file or directory; list.folder must be there" in found.problems[0]


def test_the_same_list_in_the_other_folder_changes_nothing(
    disk: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = opened(disk, recent=memory)
    first = looked(lists)
    monkeypatch.setattr(list_folder, "body_crc32", pytest.fail)
    install(disk, 2, (FOLDED,))
    assert lists.scan() is None
    assert looked(lists).rules is first.rules


def test_what_is_in_force_moves_to_the_disk_without_a_line(disk: Path, memory: Path) -> None:
    lists = opened(disk, recent=memory)
    looked(lists)
    install(disk, 2, (FOLDED,))
    assert lists.scan() is None
    ListInstaller(disk).prune()
    ListInstaller(memory, also=disk).prune()
    (memory / "2.manifest.json").unlink()
    (memory / seg(TOP)).unlink()
    found = adopted(lists.scan())
    assert (version(found), held(found), found.problems, found.is_news) == (2, [1, 2, 3], (), False)
    assert lists.scan() is None
    install(memory, 3, (NEXT, FOLDED), also=disk)
    assert adopted(lists.scan()).is_news


def test_a_copy_that_is_damaged_does_not_matter_while_the_other_is_whole(
    disk: Path, memory: Path
) -> None:
    (memory / seg(BASE)).write_bytes(BASE)
    damaged = bytearray(BASE)
    damaged[-1] ^= 1
    (disk / seg(BASE)).write_bytes(damaged)
    found = looked(opened(disk, recent=memory))
    assert (version(found), found.problems) == (2, ())


def test_a_list_of_which_one_manifest_is_bad_is_read_by_the_other(disk: Path, memory: Path) -> None:
    (disk / "2.manifest.json").write_bytes(b"?")
    found = looked(opened(disk, recent=memory))
    assert (version(found), found.problems) == (2, ())


def test_the_damaged_top_of_a_list_gives_way_to_the_disk(disk: Path, memory: Path) -> None:
    (memory / seg(TOP)).write_bytes(TOP[:-1])
    found = looked(opened(disk, recent=memory))
    assert version(found) == 1
    assert found.rules is not None
    assert found.rules.is_fallback
    assert found.problems[0].startswith("list version 2 is not used: ")


# Eras


def test_a_newer_era_replaces_a_higher_version_of_an_older_one(disk: Path) -> None:
    lists = opened(disk)
    install(disk, 900, (THEFT,), era=1)
    assert version(looked(lists)) == 900
    install(disk, 2, (FOLDED,), era=2)
    found = looked(lists)
    assert (version(found), held(found), found.problems) == (2, [1, 2, 3], ())


def test_within_an_era_and_from_an_older_one_nothing_older_replaces_what_is_in_memory(
    disk: Path,
) -> None:
    lists = opened(disk)
    install(disk, 2, (FOLDED,), era=2)
    looked(lists)
    (disk / "2.2.manifest.json").unlink()
    install(disk, 900, (THEFT,), era=1)
    install(disk, 1, (BASE,), era=2)
    found = looked(lists)
    assert held(found) == [1, 2, 3]
    assert found.problems == (
        "list version 2 of era 2 stays in force, from memory, until a restart",
    )


def test_what_is_wrong_with_a_list_names_its_era(disk: Path) -> None:
    (disk / "3.7.manifest.json").write_bytes(b"?")
    found = looked(opened(disk))
    assert version(found) == 1
    assert found.problems[0].startswith(
        "list version 7 of era 3 is not used: 3.7.manifest.json: not a manifest"
    )


# The courier at work


def test_a_list_that_is_pruned_between_scan_and_opening_is_not_reported(
    disk: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = opened(disk, recent=memory)
    looked(lists)
    real = os.open

    def pruned(path: str, flags: int, mode: int = 0o777) -> int:
        if path == f"{memory}/3.manifest.json":
            (memory / "3.manifest.json").unlink(missing_ok=True)
            (memory / seg(NEXT)).unlink(missing_ok=True)
        return real(path, flags, mode)

    install(memory, 3, (NEXT, TOP, BASE), also=disk)
    monkeypatch.setattr(os, "open", pruned)
    assert lists.scan() is None
    assert lists.scan() is None
    install(disk, 3, (NEXT, FOLDED))
    assert version(adopted(lists.scan())) == 3


def test_what_is_missing_is_reported_when_it_lasts(disk: Path, memory: Path) -> None:
    lists = opened(disk, recent=memory)
    first = looked(lists)
    assert first.rules is not None
    install(disk, 3, (NEXT, FOLDED))
    (disk / seg(NEXT)).unlink()
    assert lists.scan() is None
    missing = f"list version 3 is not used: {seg(NEXT)}: missing; the courier fetches it"
    assert lists.scan() == Adopted(replace(first.rules, is_fallback=True), (missing,))
    assert [lists.scan() for _ in range(100)] == [None] * 100
    (disk / seg(NEXT)).write_bytes(NEXT)
    assert looked(lists).problems == ()


def test_what_is_missing_at_the_start_does_not_hold_the_start_up(disk: Path, memory: Path) -> None:
    (memory / seg(TOP)).unlink()
    lists = opened(disk, recent=memory)
    assert adopted(lists.scan()).rules is not None
    assert "missing; the courier fetches it" in adopted(lists.scan()).problems[0]


# In steps


def test_a_scan_in_steps_pauses_after_each_mebibyte_and_returns_what_a_whole_scan_returns(
    disk: Path,
) -> None:
    large = segment_bytes(dict.fromkeys(range(250_000), NO_END), to_version=5)
    install(disk, 5, (large,))
    lists = opened(disk)
    steps = lists.scan_in_steps()
    assert sum(1 for _ in steps) >= len(large) >> 20
    assert version(lists.settled()) == 5


def test_a_scan_that_is_given_up_halfway_is_begun_again(disk: Path) -> None:
    lists = opened(disk)
    gc.collect()  # what earlier tests dropped
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    steps = lists.scan_in_steps()
    next(steps)
    steps.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert version(adopted(lists.scan())) == 1


# Keys


class KeysFolder:
    """What the lane reads again when a key is missing."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = list(keys)
        self.problem = ""
        self.reads = 0

    def __call__(self) -> Mapping[bytes, bytes]:
        self.reads += 1
        if self.problem:
            raise FingerprintKeyError(self.problem)
        return keyring(self.keys)


@pytest.fixture
def rotated(disk: Path) -> tuple[ListFolder, KeysFolder]:
    """A lane that serves by version 1 while version 2 is there, under the next key."""
    keys = KeysFolder(KEY)
    lists = opened(disk, read_keys=keys)
    looked(lists)
    install(disk, 2, (segment_bytes({7: NO_END}, to_version=2, key=OTHER_KEY),))
    return lists, keys


def test_keys_that_are_held_are_not_read_again(disk: Path) -> None:
    keys = KeysFolder(KEY)
    lists = opened(disk, read_keys=keys)
    looked(lists)
    install(disk, 2, (FOLDED,))
    assert version(looked(lists)) == 2
    assert keys.reads == 0


def test_a_key_that_is_there_already_is_used_at_once(
    rotated: tuple[ListFolder, KeysFolder],
) -> None:
    lists, keys = rotated
    keys.keys = [OTHER_KEY]
    found = adopted(lists.scan())
    assert (version(found), found.problems, keys.reads) == (2, (), 1)


def test_a_key_that_comes_later_is_used_without_a_restart(
    rotated: tuple[ListFolder, KeysFolder],
) -> None:
    lists, keys = rotated
    found = adopted(lists.scan())
    assert version(found) == 1
    assert "which this gate does not hold; put that key into list.keys" in found.problems[0]
    assert [lists.scan() for _ in range(5)] == [None] * 5
    assert keys.reads == 6
    keys.keys.append(OTHER_KEY)
    found = adopted(lists.scan())
    assert (version(found), found.problems) == (2, ())
    assert lists.scan() is None
    assert keys.reads == 7


def test_a_key_is_asked_for_once_a_scan_however_many_segments_lack_it(
    disk: Path, rotated: tuple[ListFolder, KeysFolder]
) -> None:
    lists, keys = rotated
    install(disk, 3, (segment_bytes({8: NO_END}, to_version=3, key=bytes(32)),))
    assert version(adopted(lists.scan())) == 1
    assert keys.reads == 1


def test_keys_that_cannot_be_read_are_reported_and_the_last_good_list_serves(
    rotated: tuple[ListFolder, KeysFolder],
) -> None:
    lists, keys = rotated
    keys.problem = "/keys/next.key: line 1 of the key file is not 64 hex digits"
    found = adopted(lists.scan())
    assert (version(found), found.problems[-1]) == (1, keys.problem)
    assert lists.scan() is None
    keys.problem = ""
    assert keys.problem not in adopted(lists.scan()).problems
    keys.keys.append(OTHER_KEY)
    assert version(adopted(lists.scan())) == 2
