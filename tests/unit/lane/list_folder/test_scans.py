"""The list folder against faults: a scan finds the newest complete list, or names the fault."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.city.list_making import (
    EPOCH_UNIX_S,
    KEY,
    NOW_UNIX_S,
    OTHER_KEY,
    held,
    install,
    looked,
    opened,
    seg,
    segment_bytes,
    version,
)
from tests.support.gate.list_folders import CHANGE, OLD, STAFF, torn, verified
from validator.domain.rules import EVERY_CARD, Effect
from validator.lane import lists_in_force as list_folder
from validator.lists import files as list_files
from validator.lists.fingerprint_keys import FingerprintKeyError, format_key_file
from validator.lists.held_keys import held_keys, read_keys


def test_the_newest_list_is_adopted_with_its_rules_in_order(two_lists: Path) -> None:
    adopted = looked(opened(two_lists))
    assert adopted.problems == ()
    assert adopted.rules is not None
    assert (adopted.rules.version, adopted.rules.issued_unix_s) == (2, NOW_UNIX_S + 2)
    assert [(rule.name, rule.effect, rule.scope) for rule in adopted.rules.rules] == [
        ("suspended", Effect.REFUSE, EVERY_CARD),
        ("staff", Effect.REFUSE, EVERY_CARD),
    ]
    assert held(adopted) == [2, 3]
    assert held(adopted, 1) == [9]


def test_an_empty_folder_is_a_missing_list(tmp_path: Path) -> None:
    adopted = looked(opened(tmp_path))
    assert adopted.rules is None
    assert adopted.problems == (
        f"{tmp_path}: no list; it comes with the courier, or is installed by hand",
    )


def test_a_folder_that_is_not_there_is_reported_and_found_again(tmp_path: Path) -> None:
    lists = opened(tmp_path / "lists")
    assert "No such file or directory" in looked(lists).problems[0]
    assert lists.scan() is None
    (tmp_path / "lists").mkdir()
    install(tmp_path / "lists", 1, (OLD,))
    assert held(looked(lists)) == [1, 2]


def test_a_scan_of_an_unchanged_folder_reads_nothing(
    two_lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = opened(two_lists)
    looked(lists)
    monkeypatch.setattr(os, "open", pytest.fail)
    assert [lists.scan() for _ in range(100)] == [None] * 100


def test_a_new_version_reuses_what_is_mapped_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, 1, (OLD,), (STAFF,))
    lists = opened(tmp_path)
    looked(lists)
    read = verified(monkeypatch)
    install(tmp_path, 2, (CHANGE, OLD), (STAFF,))
    assert held(looked(lists)) == [2, 3]
    assert len(read) == 1


def test_unrelated_files_and_names_are_ignored(two_lists: Path) -> None:
    lists = opened(two_lists)
    looked(lists)
    for name in (
        ".new-3.manifest.json",
        "03.manifest.json",
        "3.manifest.json~",
        "AB.seg",
        "x" * 200,
    ):
        (two_lists / name).write_bytes(b"?")
    assert lists.scan() is None


def test_a_list_in_memory_is_not_given_up_for_an_older_one_or_none(two_lists: Path) -> None:
    lists = opened(two_lists)
    first = looked(lists)
    for path in two_lists.iterdir():
        path.unlink()
    adopted = looked(lists)
    assert first.rules is not None
    assert adopted.rules == replace(first.rules, is_fallback=True)
    assert adopted.problems[-1] == "list version 2 stays in force, from memory, until a restart"
    install(two_lists, 1, (OLD,))
    lists.scan()
    assert held(first) == [2, 3]
    install(two_lists, 2, (CHANGE, OLD), (STAFF,))
    adopted = looked(lists)
    assert (held(adopted), adopted.problems) == ([2, 3], ())


def test_old_lists_are_unmapped_some_scans_after_their_end(tmp_path: Path) -> None:
    install(tmp_path, 1, (OLD,))
    lists = opened(tmp_path)
    looked(lists)
    (tmp_path / "1.manifest.json").unlink()
    (tmp_path / seg(OLD)).unlink()
    install(tmp_path, 2, (STAFF,))
    looked(lists)
    assert lists._retired
    for _ in range(list_folder.RETIRED_SCANS):
        lists.scan()
    assert not lists._retired
    assert len(lists._segments) == 1


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOENT])
def test_a_disk_that_does_not_answer_is_reported_and_asked_again(
    two_lists: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    real, failing = os.open, [True]

    def fails(path: Path, flags: int) -> int:
        if failing[0] and str(path).endswith(seg(CHANGE)):
            raise OSError(error, os.strerror(error), str(path))
        return real(path, flags)

    monkeypatch.setattr(os, "open", fails)
    lists = opened(two_lists)
    adopted = looked(lists)
    assert version(adopted) == 1
    assert os.strerror(error) in adopted.problems[0]
    failing[0] = False
    later = [found for found in (lists.scan() for _ in range(list_folder.RETRY_SCANS)) if found]
    assert [(version(found), found.problems) for found in later] == [(2, ())]


def test_a_file_that_changes_while_it_is_read_is_left_alone(
    two_lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapped(path: Path, flags: int) -> int:
        if str(path).endswith(seg(CHANGE)):
            torn(Path(path))
        return real(path, flags)

    monkeypatch.setattr(os, "open", swapped)
    assert "changes while it is read" in looked(opened(two_lists)).problems[0]


def test_a_folder_of_very_many_files_is_not_a_list_folder(
    two_lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_files, "ENTRIES_MAX", 3)
    adopted = looked(opened(two_lists))
    assert adopted.rules is None
    assert "more than 3 lists and segments" in adopted.problems[0]


def test_foreign_files_do_not_hide_a_list(two_lists: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_files, "ENTRIES_MAX", 8)
    for number in range(50):
        (two_lists / f"{number}.txt").touch()
    assert version(looked(opened(two_lists))) == 2


def test_many_bad_lists_are_reported_in_a_few_lines(tmp_path: Path) -> None:
    for number in range(1, 50):
        (tmp_path / f"{number}.manifest.json").write_bytes(b"?")
    assert len(looked(opened(tmp_path)).problems) == list_folder.PROBLEMS_MAX


def test_an_end_passes_without_a_new_list(tmp_path: Path) -> None:
    install(tmp_path, 1, (segment_bytes({1: 10}),))
    adopted = looked(opened(tmp_path))
    assert adopted.rules is not None
    table = adopted.rules.rules[0].table
    assert [table.holds(1, EPOCH_UNIX_S + second) for second in (0, 599, 600)] == [
        True,
        True,
        False,
    ]


def test_held_keys_are_read_by_id(tmp_path: Path) -> None:
    (tmp_path / "fleet.key").write_bytes(format_key_file(KEY))
    (tmp_path / "next.key").write_bytes(format_key_file(OTHER_KEY, "from March on"))
    (tmp_path / "notes.txt").write_bytes(b"?")
    assert sorted(held_keys(tmp_path).values()) == [KEY, OTHER_KEY]


def test_a_key_that_was_copied_badly_does_not_take_away_the_good_one(tmp_path: Path) -> None:
    (tmp_path / "fleet.key").write_bytes(format_key_file(KEY))
    (tmp_path / "next.key").write_bytes(b"half a k")
    assert list(held_keys(tmp_path).values()) == [KEY]
    keys, spoilt = read_keys(tmp_path)
    assert list(keys.values()) == [KEY]
    assert len(spoilt) == 1
    assert "next.key" in spoilt[0]


def test_bad_key_files_are_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(FingerprintKeyError, match=r"no \*\.key file"):
        held_keys(tmp_path)
    with pytest.raises(FingerprintKeyError, match=r"absent: No such file or directory"):
        held_keys(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe.key")
    with pytest.raises(FingerprintKeyError, match=r"pipe\.key: not a regular file"):
        held_keys(tmp_path)
    (tmp_path / "pipe.key").unlink()
    (tmp_path / ".#lock.key").symlink_to("nowhere")
    (tmp_path / "fleet.key").write_bytes(b"secret")
    with pytest.raises(FingerprintKeyError, match=r"fleet\.key: line 1") as raised:
        held_keys(tmp_path)
    assert "secret" not in str(raised.value)
    (tmp_path / "fleet.key").unlink()
    (tmp_path / "fleet.key").mkdir()
    with pytest.raises(FingerprintKeyError, match="not a regular file"):
        held_keys(tmp_path)
