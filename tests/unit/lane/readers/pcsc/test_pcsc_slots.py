"""Which slot a pattern names, and the lock that keeps a second lane off it."""

from pathlib import Path

import pytest

from validator.lane.readers.pcsc.slots import InUseError, SlotLock, matching

PICC = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"
SAM = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 01 00"
ACR122U = "ACS ACR122U PICC Interface 02 00"
ALL = [PICC, SAM, ACR122U]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("ACS ACR1252*PICC*", [PICC]),
        ("ACS ACR1252*", [PICC, SAM]),
        ("*", ALL),
        (PICC, [PICC]),
        (PICC.removesuffix(" 00 00"), [PICC]),
        ("ACS ACR122U PICC Interface", [ACR122U]),
        ("*PICC Interface", [ACR122U]),
        ("acs acr122u*", []),
        ("ACR122U", []),
        ("", []),
        ("[", []),
    ],
)
def test_a_pattern_names_slots_with_or_without_their_numbers(
    pattern: str, found: list[str]
) -> None:
    assert matching(pattern, ALL) == found


def test_a_slot_is_for_one_lane_until_that_lets_it_go(tmp_path: Path) -> None:
    with SlotLock(tmp_path, PICC):
        with pytest.raises(InUseError):
            SlotLock(tmp_path, PICC)
        SlotLock(tmp_path, SAM).release()
    SlotLock(tmp_path, PICC).release()


def test_a_name_with_any_characters_stays_in_the_folder(tmp_path: Path) -> None:
    for name in ("../../etc/passwd", "a/b\0c", "x" * 1000, "…", ""):
        SlotLock(tmp_path, name).release()
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    SlotLock(tmp_path, "slot").release()
    lock = next(tmp_path.iterdir())
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        SlotLock(tmp_path, "slot")
    assert not (tmp_path / "elsewhere").exists()
