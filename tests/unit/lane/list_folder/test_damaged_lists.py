"""Damaged files of a list: reported, not used, and the previous list serves."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.city.list_making import (
    KEY,
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
from tests.support.gate.list_folders import CHANGE, OLD, STAFF, torn, verified
from validator.courier.store.installer import ListInstaller
from validator.lists.manifest import encode
from validator.lists.names import ListName
from validator.lists.segment import NO_END

Fault = Callable[[Path], None]


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
