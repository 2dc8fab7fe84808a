"""What was accepted is on the disk before it is used; a spoiled store is reported."""

import errno
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.machine.planting import PLANTS, PRECIOUS, Plant
from validator.courier.store.accepted_store import (
    COPY_NAME,
    FILE_NAME,
    ROOT_NAME,
    DiskAcceptedStore,
)
from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.ipc.accepted import Accepted, AcceptedError, decode, encode
from validator.lane.time_file import TimeFile

ROOT = b'{"signed": {}}'


def accepted(list_version: int = 7) -> Accepted:
    floor = Floor(
        RoleVersions(1, 20, 10, 9), RoleKeys(("a",), ("b",), ("c", "d")), list_version, 1_000, era=1
    )
    return Accepted.of(floor, b'{"list_version":7}', "boot", 5_000)


def _kept(folder: Path) -> None:
    accepted_store = DiskAcceptedStore(folder)
    accepted_store.keep_root(ROOT)
    accepted_store.accept(accepted())


def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    _kept(tmp_path)
    again = DiskAcceptedStore(tmp_path)
    assert (again.accepted, again.root, again.problem) == (accepted(), ROOT, "")


def test_a_new_gate_has_accepted_nothing(tmp_path: Path) -> None:
    accepted_store = DiskAcceptedStore(tmp_path)
    assert (accepted_store.accepted, accepted_store.root, accepted_store.problem) == (
        None,
        None,
        "",
    )


def test_everything_is_synced_before_accept_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        f"sync .new-{COPY_NAME}",
        f"rename {COPY_NAME}",
        f"sync {tmp_path.name}",
    ]


SPOILED = [b"", b"\0" * 300, b'{"root":1}', b"\xff" * 20, b"[" * 100_000, b"1" * (1 << 15)]


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize("name", [FILE_NAME, COPY_NAME])
def test_one_spoiled_file_is_written_again_from_the_other(
    tmp_path: Path, spoiled: bytes, name: str
) -> None:
    _kept(tmp_path)
    (tmp_path / name).write_bytes(spoiled)
    accepted_store = DiskAcceptedStore(tmp_path)
    assert (accepted_store.accepted, accepted_store.root) == (accepted(), ROOT)
    assert accepted_store.problem.startswith(f"{tmp_path / name}: ")
    [told] = accepted_store.mend()
    assert told.startswith(f"{tmp_path / name}: ")
    assert told.endswith("; written again")
    assert (
        (tmp_path / FILE_NAME).read_bytes()
        == (tmp_path / COPY_NAME).read_bytes()
        == encode(accepted())
    )
    assert (accepted_store.mend(), DiskAcceptedStore(tmp_path).problem) == ((), "")


def test_files_that_were_removed_are_reported_as_gone_and_not_as_damaged(tmp_path: Path) -> None:
    _kept(tmp_path)
    accepted_store = DiskAcceptedStore(tmp_path)
    for name in (FILE_NAME, COPY_NAME, ROOT_NAME):
        (tmp_path / name).unlink()
    told = [f"{tmp_path / name}: gone; written again" for name in (FILE_NAME, ROOT_NAME)]
    assert list(accepted_store.mend()) == told, (
        "a copy alone is missing after an update, which is not worth a line"
    )
    assert (
        accepted_store.mend(),
        DiskAcceptedStore(tmp_path).problem,
        DiskAcceptedStore(tmp_path).root,
    ) == ((), "", ROOT)


@pytest.mark.parametrize("spoiled", SPOILED)
def test_with_both_files_spoiled_it_is_reported_and_the_gate_begins_as_a_new_one(
    tmp_path: Path, spoiled: bytes
) -> None:
    _kept(tmp_path)
    for name in (FILE_NAME, COPY_NAME):
        (tmp_path / name).write_bytes(spoiled)
    accepted_store = DiskAcceptedStore(tmp_path)
    assert (accepted_store.accepted, accepted_store.root, accepted_store.mend()) == (None, ROOT, ())
    assert FILE_NAME in accepted_store.problem
    assert accepted_store.problem.endswith("this gate begins as a new one")
    accepted_store.accept(accepted(9))
    assert (DiskAcceptedStore(tmp_path).accepted, DiskAcceptedStore(tmp_path).problem) == (
        accepted(9),
        "",
    )


@pytest.mark.parametrize("name", [FILE_NAME, COPY_NAME, ROOT_NAME])
@pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.__name__)
def test_anything_in_a_files_place_is_replaced(tmp_path: Path, name: str, planted: Plant) -> None:
    _kept(tmp_path)
    running = DiskAcceptedStore(tmp_path)
    precious = planted(tmp_path / name)
    assert DiskAcceptedStore(tmp_path).accepted == accepted()
    running.mend()
    assert DiskAcceptedStore(tmp_path).problem == ""
    assert (DiskAcceptedStore(tmp_path).root, running.mend(), precious()) == (ROOT, (), PRECIOUS)


@pytest.mark.parametrize("name", [FILE_NAME, COPY_NAME])
def test_an_older_state_of_one_file_is_no_way_back(tmp_path: Path, name: str) -> None:
    accepted_store = DiskAcceptedStore(tmp_path)
    accepted_store.accept(older := replace(accepted(7), timestamp=19, signed_unix_s=900))
    yesterday = (tmp_path / name).read_bytes()
    accepted_store.accept(accepted(7))
    (tmp_path / name).write_bytes(yesterday)
    assert DiskAcceptedStore(tmp_path).accepted == accepted(7) != older
    found = TimeFile(tmp_path / FILE_NAME, tmp_path / COPY_NAME).look()
    assert found is not None
    assert found.signed is not None
    assert found.signed.signed_unix_s == 1_000
    assert accepted_store.mend() == (), "as after a crash between the two, which is no damage"
    assert (tmp_path / name).read_bytes() == encode(accepted(7))


def test_after_a_newer_root_an_older_state_with_a_higher_timestamp_is_no_way_back(
    tmp_path: Path,
) -> None:
    accepted_store = DiskAcceptedStore(tmp_path)
    accepted_store.accept(replace(accepted(10**12), timestamp=10**12, signed_unix_s=1 << 39))
    poisoned = (tmp_path / COPY_NAME).read_bytes()
    healed = replace(accepted(7), root=2, era=2)
    accepted_store.accept(healed)
    (tmp_path / COPY_NAME).write_bytes(poisoned)
    assert DiskAcceptedStore(tmp_path).accepted == healed
    found = TimeFile(tmp_path / FILE_NAME, tmp_path / COPY_NAME).look()
    assert found is not None
    assert found.signed is not None
    assert found.signed.signed_unix_s == healed.signed_unix_s


def test_what_an_earlier_version_wrote_is_taken_and_written_as_this_one_does(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(accepted()))
    accepted_store = DiskAcceptedStore(tmp_path)
    assert (accepted_store.accepted, accepted_store.problem, accepted_store.mend()) == (
        accepted(),
        "",
        (),
    )
    assert (
        (tmp_path / FILE_NAME).read_bytes()
        == (tmp_path / COPY_NAME).read_bytes()
        == encode(accepted())
    )


def test_a_full_disk_keeps_what_was_accepted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted_store = DiskAcceptedStore(tmp_path)
    accepted_store.accept(accepted(7))

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("validator.host.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        accepted_store.accept(accepted(8))
    monkeypatch.undo()
    assert accepted_store.accepted == accepted(7)
    assert DiskAcceptedStore(tmp_path).accepted == accepted(7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [COPY_NAME, FILE_NAME]


@given(st.binary(max_size=300))
def test_hostile_bytes_give_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(AcceptedError):
        decode(content)


def test_the_file_reads_back_as_it_was_written() -> None:
    assert decode(encode(accepted())) == accepted()
    assert decode(encode(accepted())).floor.era == 1
