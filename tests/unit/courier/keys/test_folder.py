"""The folder of fingerprint keys: bad, damaged and hostile keys change nothing in it."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import SealedBox
from nacl.signing import VerifyKey

from backoffice.reports.gate_views import views
from tests.support.gate.key_delivery import NOW_UNIX_S, OURS, Fleet, sealed
from tests.support.machine.rot import every_bit, torn
from validator.courier.store import key_folder
from validator.courier.store.key_folder import KEYS_MAX, KeyFolder, Taken
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.held_keys import held_keys
from validator.reports.sealed_keys import SealedKey


def test_a_key_that_is_called_otherwise_is_refused(folder: Path) -> None:
    for called in ("0" * 16, "../../etc/turnike/gate", "", key_id(bytes(32)).hex().upper()):
        told = KeyFolder(folder, OURS).take([sealed(bytes(32), called=called)])
        assert told.ids == ()
        assert "another key is in it" in told.problems[0]
    assert list(folder.iterdir()) == []


def boxed(content: bytes) -> SealedKey:
    """Anything, sealed to our gate by anybody: its public key is no secret."""
    box = SealedBox(VerifyKey(OURS.public_key().public_bytes_raw()).to_curve25519_public_key())
    return SealedKey("0" * 16, b64encode(box.encrypt(content)).decode())


HOSTILE = [
    SealedKey("0" * 16, ""),
    SealedKey("0" * 16, "%%%"),
    SealedKey("0" * 16, "ş" * 64),
    SealedKey("0" * 16, "\ud800"),
    SealedKey("0" * 16, "A" * 64),
    SealedKey("0" * 16, "A" * 10_000_000),
    SealedKey("\x1b[2J\n", b64encode(bytes(100)).decode()),
    boxed(b""),
    boxed(b"00" * 31),
    boxed(b"\xff" * 64),
    boxed(b"#" * 1_000),
    boxed(b"00" * 32),
]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_a_bad_key_is_logged_in_one_line_and_the_good_one_beside_it_is_kept(
    folder: Path, bad: SealedKey
) -> None:
    good = sealed(bytes(range(32)))
    told = KeyFolder(folder, OURS).take([bad, good])
    assert told.ids == (good.id,)
    (problem,) = told.problems
    assert problem.isprintable()
    assert len(problem) < 200
    assert {path.name for path in folder.iterdir()} == {f"{good.id}.key"}


@given(st.lists(st.builds(SealedKey, st.text(max_size=20), st.text(max_size=200)), max_size=12))
def test_any_answer_leaves_the_folder_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, answer: list[SealedKey]
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    told = KeyFolder(folder, OURS).take(answer)
    assert (told.ids, len(told.problems)) == ((), min(len(answer), KEYS_MAX))
    assert list(folder.iterdir()) == []
    folder.rmdir()


def test_a_damaged_file_of_that_name_is_replaced_and_a_link_not_followed(
    folder: Path, tmp_path: Path
) -> None:
    other, elsewhere = sealed(bytes([5]) * 32), sealed(bytes([6]) * 32)
    spoilt, link = folder / f"{other.id}.key", folder / f"{elsewhere.id}.key"
    spoilt.write_bytes(b"somebody's\n")
    link.symlink_to(tmp_path / "nothing")
    assert KeyFolder(folder, OURS).take([other, elsewhere]) == Taken((other.id, elsewhere.id), ())
    assert {key.hex() for key in held_keys(folder)} == {other.id, elsewhere.id}
    assert (link.is_symlink(), (tmp_path / "nothing").exists()) == (False, False)


@pytest.mark.parametrize(
    "damaged", [*every_bit(format_key_file(bytes(32))), *torn(format_key_file(bytes(32)))]
)
def test_a_rotted_key_is_no_other_key_and_comes_again(folder: Path, damaged: bytes) -> None:
    key = sealed(bytes(32))
    path = folder / f"{key.id}.key"
    path.write_bytes(damaged)
    folded = KeyFolder(folder, OURS)
    assert folded.ids() in ([], [key.id])
    assert folded.take([key]).problems == ()
    assert held_keys(folder) == {bytes.fromhex(key.id): bytes(32)}


def test_a_faulty_city_fills_no_disk(folder: Path) -> None:
    many = [sealed(bytes([number]) * 32) for number in range(KEYS_MAX + 3)]
    held = KeyFolder(folder, OURS)
    assert len(held.take(many).ids) == KEYS_MAX
    told = held.take(many[KEYS_MAX:])
    assert (told.ids, len(told.problems)) == ((), 3)
    assert "8 keys are there; delete those not in use" in told.problems[0]
    assert len(list(folder.iterdir())) == KEYS_MAX


def test_a_folder_that_cannot_be_read_is_unknown_and_the_city_names_the_trouble(
    fleet: Fleet, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    for cannot in (tmp_path / "file", tmp_path / "loop", Path(f"{tmp_path}/{'long' * 99}")):
        held = KeyFolder(cannot, OURS).ids()
        assert held is None, cannot
        fleet.tells({"fingerprint_keys": held})
        (gate, _) = sorted(
            views(fleet.store.gate_rows(), NOW_UNIX_S), key=lambda each: each.gate_id != "gate"
        )
        assert gate.fingerprint_keys is None
        assert any("cannot read its fingerprint keys" in trouble for trouble in gate.troubles)


def test_a_folder_that_is_gone_or_empty_holds_no_key_and_is_no_trouble(
    fleet: Fleet, folder: Path, tmp_path: Path
) -> None:
    for without in (folder, tmp_path / "gone"):
        assert KeyFolder(without, OURS).ids() == []
        fleet.tells({"fingerprint_keys": []})
        (gate, _) = sorted(
            views(fleet.store.gate_rows(), NOW_UNIX_S), key=lambda each: each.gate_id != "gate"
        )
        assert (gate.fingerprint_keys, gate.troubles) == ((), ())


def test_what_a_killed_courier_left_half_written_is_in_nobodys_way(folder: Path) -> None:
    key = sealed(bytes(32))
    left = folder / f".new-{key.id}.key"
    left.write_bytes(b"00")
    left.chmod(0o644)
    held = KeyFolder(folder, OURS)
    assert held.ids() == []
    assert held.take([key]) == Taken((key.id,), ())
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [
        (f"{key.id}.key", 0o600)
    ]


def test_a_folder_that_takes_no_files_is_one_clear_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, _content: bytes) -> None:
        raise OSError(30, "Read-only file system", str(path))

    key = sealed(bytes(32))
    monkeypatch.setattr(key_folder, "put_secret", read_only)
    (problem,) = KeyFolder(folder, OURS).take([key]).problems
    wanted = (
        f"{folder / key.id}.key: Read-only file system; the courier must be able to write there"
    )
    assert problem == f"fingerprint key {key.id} is not taken: {wanted}"
    gone = KeyFolder(folder / "gone", OURS)
    assert gone.ids() == []
    monkeypatch.undo()
    assert gone.take([key]).ids == (key.id,), "a folder that was removed is made again"
    assert (folder / "gone").stat().st_mode & 0o777 == 0o700
