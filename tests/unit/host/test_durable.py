"""A replaced file is the old one or the new one, whole, whatever happens in between."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from validator.host import durable
from validator.host.durable import put_secret, replace_file, replacing

ROOT = Path(__file__).parents[3]

WRITES_BY_ITSELF = {
    "validator/host/durable.py": "the one place",
    "validator/courier/web/part.py": "a download grows over many polls, so it is no new file",
    "validator/lane/outbox/wal.py": "makes a database's log durable, where it is",
    "backoffice/home/folder.py": "make_file never replaces: a key is never overwritten",
    "backoffice/reports/exports.py": "an export takes a free name, and locks its temporary file",
}


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fsyncs and renames to come, in order, each with the name it is for."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def counted_fsync(fd: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        fsync(fd)

    def counted_rename(path: Path, target: Path) -> Path:
        steps.append(f"rename {path.name} to {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", counted_fsync)
    monkeypatch.setattr(Path, "rename", counted_rename)
    return steps


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_then_name_then_folder_become_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = watched(monkeypatch)
    replace_file(tmp_path / "a", b"new")
    assert steps == ["sync .new-a", "rename .new-a to a", f"sync {tmp_path.name}"]
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"new", ["a"])


def test_steps_that_the_caller_takes_are_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = watched(monkeypatch)
    with replacing(tmp_path / "a") as new:
        new.file.write(b"new")
        new.sync()
        new.rename()
        new.sync_folder()
        assert len(steps) == 3
    assert len(steps) == 3


def test_a_caller_may_leave_the_folder_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = watched(monkeypatch)
    with replacing(tmp_path / "a", syncs_folder=False) as new:
        new.file.write(b"new")
    assert steps == ["sync .new-a", "rename .new-a to a"]


def test_a_file_may_take_its_name_from_what_was_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "piece") as new:
        new.file.write(b"new")
        new.path = tmp_path / "c0ffee.wire"
    assert names(tmp_path) == ["c0ffee.wire"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "a", mode) as new:
            assert new.temporary.stat().st_mode & 0o777 == mode, "before a byte is written"
        replace_file(tmp_path / "b", b"")
        put_secret(tmp_path / "c", b"")
    finally:
        os.umask(before)
    found = [(tmp_path / name).stat().st_mode & 0o777 for name in "abc"]
    assert found == [mode, 0o666 & ~umask, 0o600]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_block_leaves_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def write() -> None:
        with replacing(path) as new:
            new.file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


@pytest.mark.parametrize("fails", ["os.fsync", "pathlib.Path.rename"])
def test_a_disk_that_refuses_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(fails, refuse)
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


def test_a_power_cut_leaves_what_is_on_the_disk_and_the_next_write_replaces_it(
    tmp_path: Path,
) -> None:
    def steps() -> Generator[None, None, None]:
        with replacing(tmp_path / "a") as new:
            new.file.write(b"half")
            new.file.flush()
            yield

    cut = steps()
    next(cut)
    cut.close()
    assert names(tmp_path) == [".new-a"], "after a power cut no process removes it"
    replace_file(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "target")


@pytest.mark.parametrize("plant", [_link, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("name", ["a", ".new-a"])
def test_what_is_planted_is_replaced_and_never_followed(
    tmp_path: Path, plant: Callable[[Path], None], name: str
) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    plant(tmp_path / name)
    replace_file(tmp_path / "a", b"new")
    assert (names(tmp_path), (tmp_path / "a").read_bytes()) == (["a", "target"], b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_a_folder_of_that_name_is_kept_where_others_write_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "theirs").write_bytes(b"precious")
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "a") as new:
        new.file.write(b"new")
    assert (names(tmp_path), names(tmp_path / "a")) == (["a"], ["theirs"])


def test_two_at_once_do_not_take_each_others_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with replacing(path, drawn=True) as first, replacing(path, drawn=True) as second:
        first.file.write(b"first")
        second.file.write(b"second")
    assert (path.read_bytes(), names(tmp_path)) == (b"first", ["a"]), "the outer one ends last"


def test_no_other_module_makes_files_durable_by_itself() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("validator", "backoffice", "turnike_demo")
        for path in (ROOT / package).rglob("*.py")
        if "fsync(" in path.read_text()
    }
    assert found == set(WRITES_BY_ITSELF)


def test_the_folder_is_synced_by_its_own_descriptor(tmp_path: Path) -> None:
    durable.sync_folder(tmp_path)
    with pytest.raises(NotADirectoryError):
        durable.sync_folder(Path(__file__))
