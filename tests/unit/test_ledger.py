"""What was accepted is on the disk before anything is done by it, and a ledger that the card has spoiled is told."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.adapters.ledger import FILE_NAME, ROOT_NAME, Ledger
from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.formats.accepted import Accepted, AcceptedError, decode, encode

ROOT = b'{"signed": {}}'


def accepted(list_version: int = 7) -> Accepted:
    floor = Floor(
        RoleVersions(1, 20, 10, 9), RoleKeys(("a",), ("b",), ("c", "d")), list_version, 1_000, era=1
    )
    return Accepted.of(floor, b'{"list_version":7}', "boot", 5_000)


def _kept(folder: Path) -> None:
    ledger = Ledger(folder)
    ledger.keep_root(ROOT)
    ledger.accept(accepted())


def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    _kept(tmp_path)
    again = Ledger(tmp_path)
    assert (again.accepted, again.root, again.problem) == (accepted(), ROOT, "")


def test_a_new_gate_has_accepted_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.accepted, ledger.root, ledger.problem) == (None, None, "")


def test_everything_is_synced_before_accept_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(fd: int) -> None:
        order.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        real_fsync(fd)

    def rename(path: Path, target: Path) -> Path:
        order.append(f"rename {target.name}")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    _kept(tmp_path)
    assert order == [
        f"sync .new-{ROOT_NAME}",
        f"rename {ROOT_NAME}",
        f"sync {tmp_path.name}",
        f"sync .new-{FILE_NAME}",
        f"rename {FILE_NAME}",
        f"sync {tmp_path.name}",
    ]


@pytest.mark.parametrize(
    "spoiled", [b"", b"\0" * 300, b'{"root":1}', b"\xff" * 20, b"[" * 100_000, b"1" * (1 << 15)]
)
def test_a_spoiled_ledger_is_told_and_the_gate_begins_as_a_new_one(tmp_path: Path, spoiled: bytes) -> None:
    _kept(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(spoiled)
    ledger = Ledger(tmp_path)
    assert ledger.accepted is None
    assert ledger.root == ROOT
    assert FILE_NAME in ledger.problem


def test_a_full_disk_keeps_what_was_accepted_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    ledger.accept(accepted(7))

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("validator.adapters.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        ledger.accept(accepted(8))
    monkeypatch.undo()
    assert ledger.accepted == accepted(7)
    assert Ledger(tmp_path).accepted == accepted(7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME]


@given(st.binary(max_size=300))
def test_hostile_bytes_give_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(AcceptedError):
        decode(content)


def test_the_file_reads_back_as_it_was_written() -> None:
    assert decode(encode(accepted())) == accepted()
    assert decode(encode(accepted())).floor.era == 1
