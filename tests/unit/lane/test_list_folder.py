"""The list folder against faults: a scan finds the newest complete list, or names the fault."""

import errno
import os
from collections.abc import Callable, Generator
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
    manifest_of,
    opened,
    seg,
    segment_bytes,
    version,
)
from validator.courier.store.installer import ListInstaller
from validator.domain.rules import EVERY_CARD, Effect
from validator.lane import lists_in_force as list_folder
from validator.lists import files as list_files
from validator.lists.fingerprint_keys import FingerprintKeyError, format_key_file
from validator.lists.held_keys import held_keys, read_keys
from validator.lists.manifest import encode
from validator.lists.names import ListName
from validator.lists.segment import NO_END, REMOVED

OLD = segment_bytes({1: NO_END, 2: NO_END}, to_version=1)
CHANGE = segment_bytes({1: REMOVED, 3: NO_END}, from_version=1, to_version=2)
STAFF = segment_bytes({9: NO_END}, rule="staff", to_version=1)


def verified(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The list of file descriptors whose bodies are verified from now on."""
    read: list[int] = []
    real = list_files.body_crc32

    def counted(fd: int) -> Generator[None, None, int]:
        read.append(fd)
        return (yield from real(fd))

    monkeypatch.setattr(list_folder, "body_crc32", counted)
    return read


@pytest.fixture
def two_lists(tmp_path: Path) -> Path:
    """A folder with version 1 and version 2, which shares a segment with it."""
    install(tmp_path, 1, (OLD,), (STAFF,))
    install(tmp_path, 2, (CHANGE, OLD), (STAFF,))
    return tmp_path


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


Fault = Callable[[Path], None]


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x40
    path.write_bytes(content)


def flipped_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[20] ^= 0x40
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.with_suffix(".aside"))


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FAULTS = [torn, flipped, flipped_header, emptied, huge, a_folder, a_link, a_pipe, Path.unlink]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_segment_is_reported_and_the_previous_list_used(
    two_lists: Path, fault: Fault
) -> None:
    fault(two_lists / seg(CHANGE))
    adopted = looked(opened(two_lists))
    assert version(adopted) == 1
    assert held(adopted) == [1, 2]
    assert len(adopted.problems) == 1
    assert adopted.problems[0].startswith(f"list version 2 is not used: {seg(CHANGE)}: ")


@pytest.mark.parametrize("fault", [*FAULTS[1:], lambda path: path.write_bytes(b"{}")])
def test_a_bad_manifest_is_reported_and_the_previous_list_used(
    two_lists: Path, fault: Fault
) -> None:
    fault(two_lists / "2.manifest.json")
    adopted = looked(opened(two_lists))
    assert version(adopted) == 1
    if fault is not Path.unlink:
        assert adopted.problems[0].startswith("list version 2 is not used: 2.manifest.json: ")


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_previous_list_a_bad_one_is_missing_and_no_card_is_admitted_by_half(
    tmp_path: Path, fault: Fault
) -> None:
    install(tmp_path, 1, (OLD,), (STAFF,))
    fault(tmp_path / seg(STAFF))
    adopted = looked(opened(tmp_path))
    assert adopted.rules is None
    assert len(adopted.problems) == 1


def test_a_bad_segment_is_verified_once_until_it_changes(
    two_lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flipped(two_lists / seg(OLD))
    read = verified(monkeypatch)
    lists = opened(two_lists)
    assert version(looked(lists)) is None
    install(two_lists, 3, (CHANGE, OLD), (STAFF,))
    assert version(looked(lists)) is None
    assert len(read) == 2  # CHANGE and OLD
    flipped(two_lists / seg(OLD))
    assert version(looked(lists)) == 3


def test_a_list_under_a_foreign_fleets_key_is_reported(two_lists: Path) -> None:
    foreign = segment_bytes({1: NO_END}, to_version=3, key=OTHER_KEY)
    install(two_lists, 3, (foreign,))
    adopted = looked(opened(two_lists))
    assert version(adopted) == 2
    assert "which this gate does not hold" in adopted.problems[0]
    assert OTHER_KEY.hex() not in adopted.problems[0]
    assert version(looked(opened(two_lists, KEY, OTHER_KEY))) == 3


def test_a_manifest_under_another_versions_name_is_not_used(two_lists: Path) -> None:
    (two_lists / "2.manifest.json").rename(two_lists / "9.manifest.json")
    adopted = looked(opened(two_lists))
    assert version(adopted) == 1
    assert adopted.problems == (
        (
            "list version 9 is not used: 9.manifest.json: not a manifest: "
            "its checksum does not match; delete the file, and the courier fetches it again"
        ),
    )
    assert adopted.refused == (ListName(0, 9),)


def test_a_manifest_without_a_checksum_is_used_as_an_earlier_version_wrote_it(
    two_lists: Path,
) -> None:
    without = encode(manifest_of(3, (CHANGE, OLD), (STAFF,)))
    (two_lists / "3.manifest.json").write_bytes(without)
    adopted = looked(opened(two_lists))
    assert (version(adopted), adopted.problems) == (3, ())
    (two_lists / "9.manifest.json").write_bytes(without)
    assert looked(opened(two_lists)).problems == (
        (
            "list version 9 is not used: 9.manifest.json: its content is version 3; "
            "delete the file, and the courier fetches it again"
        ),
    )


def test_a_segment_under_another_rule_is_not_used(tmp_path: Path) -> None:
    content = encode(manifest_of(1, (OLD,))).replace(b'"suspended"', b'"staff"')
    ListInstaller(tmp_path).install(content, {seg(OLD): OLD})
    adopted = looked(opened(tmp_path))
    assert adopted.rules is None
    assert "not the segment that the manifest describes" in adopted.problems[0]


def test_segments_that_leave_out_a_change_are_not_used(tmp_path: Path) -> None:
    gap = segment_bytes({}, from_version=2, to_version=3)
    install(tmp_path, 3, (gap, OLD))
    install(tmp_path, 4, (gap,))
    adopted = looked(opened(tmp_path))
    assert adopted.rules is None
    assert ["do not join" in problem for problem in adopted.problems] == [True, True]


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


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Write into a file in place, as no program should."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_a_segment_written_to_in_place_is_given_up_and_its_repair_is_taken(two_lists: Path) -> None:
    lists = opened(two_lists)
    assert version(looked(lists)) == 2
    overwrite(two_lists / seg(CHANGE), len(CHANGE) - 2, b"??")
    adopted = looked(lists)
    assert version(adopted) == 1, "the older list does not need the damaged file"
    assert "written to in place while in use" in adopted.problems[0]
    repaired = two_lists / "repaired"
    repaired.write_bytes(CHANGE)
    repaired.rename(two_lists / seg(CHANGE))
    adopted = looked(lists)
    assert (version(adopted), held(adopted), adopted.problems) == (2, [2, 3], ())


def test_the_only_list_written_to_in_place_is_no_list(tmp_path: Path) -> None:
    install(tmp_path, 1, (OLD,))
    lists = opened(tmp_path)
    looked(lists)
    overwrite(tmp_path / seg(OLD), len(OLD) - 2, b"??")
    assert looked(lists).rules is None


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


# Keys


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
