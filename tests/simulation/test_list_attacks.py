"""Attacks on the way of a list to a gate, each with its name. After each the gate serves by the last good list, and says what is wrong."""

import hashlib
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace as changed
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.home.folder import Home
from backoffice.signing import roles
from backoffice.signing.roots import draft_bytes
from tests.support.city.backoffice_rig import City
from tests.support.city.list_making import OTHER_KEY
from tests.support.city.town import Town, town, uid, wire
from tests.support.gate.gate_courier import Gate
from tests.support.web.web_server import Fault
from validator.errors import SourceState
from validator.host import durable
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE
from validator.lists.manifest import encode
from validator.lists.segment import NO_END

SUSPENDED, LATER, NEVER = uid(1), uid(2), uid(3)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Town]:
    """A city that has published two lists: in the second one card is suspended, in the first one another."""
    with town(tmp_path) as made:
        made.publish(SUSPENDED)
        made.publish(uid(9))
        yield made


@pytest.fixture
def gate(city: Town) -> Gate:
    """A gate that stands at the second list."""
    made = city.gate()
    assert made.poll().state is SourceState.FRESH
    assert_serves(made, 2)
    return made


def assert_serves(gate: Gate, version: int) -> None:
    """The gate decides by this list, whole, and has nothing to say against it."""
    assert gate.version == version
    assert gate.holds("suspended", SUSPENDED)
    assert gate.holds("suspended", uid(9))
    assert not gate.holds("suspended", NEVER)


def assert_refuses(gate: Gate, state: SourceState, text: str = "", *, version: int = 2) -> None:
    """A poll ends with this state; the list stays."""
    status = gate.poll()
    assert (status.state, status.list_version) == (state, version), status.problem
    assert text in status.problem
    assert_serves(gate, version)


def snapshot_of(city: Town, name: str) -> Path:
    """What is published now, kept to be shown again later."""
    return Path(shutil.copytree(city.published, city.folder / name))


def thief(city: Town) -> Town:
    """Somebody who has a copy of the back office, keys and all, and publishes by himself from now on."""
    home = Path(shutil.copytree(city.city.home.folder, city.folder / "thief"))
    (city.folder / "of the thief").mkdir()
    stolen = City(city.folder / "of the thief")
    stolen.home = Home(home, home / "published")
    return changed(city, city=stolen, offered=list(city.offered))


def test_an_older_list_replayed(city: Town, gate: Gate) -> None:
    old = snapshot_of(city, "old")
    city.publish(LATER)
    assert gate.poll().state is SourceState.FRESH
    city.server.folder = old
    assert_refuses(gate, SourceState.REPLAYED, "timestamp", version=3)
    assert gate.holds("suspended", LATER)


def test_an_older_list_replayed_to_a_gate_that_has_lost_its_power(city: Town, gate: Gate) -> None:
    old = snapshot_of(city, "old")
    city.publish(LATER)
    gate.poll()
    city.server.folder = old
    gate.power_cut()
    assert_refuses(gate, SourceState.REPLAYED, version=3)
    assert gate.holds("suspended", LATER)


def test_frozen_metadata(city: Town, gate: Gate) -> None:
    city.later(gate, 7 * 3_600)
    assert_refuses(gate, SourceState.FROZEN, "timestamp.json is expired")


def test_a_timestamp_mixed_up_with_the_snapshot_of_another_moment(city: Town, gate: Gate) -> None:
    old = snapshot_of(city, "old")
    city.publish(LATER)
    for name in ("targets", "snapshot"):
        newest = max((city.published / "metadata").glob(f"*.{name}.json"), key=_number)
        before = max((old / "metadata").glob(f"*.{name}.json"), key=_number)
        newest.write_bytes(before.read_bytes())
    assert_refuses(gate, SourceState.REFUSED)


def test_two_pieces_mixed_up(city: Town, gate: Gate) -> None:
    city.publish(LATER)
    first, *_, last = [entry for entry, _ in city.offered]
    segments = city.published / "segments"
    (segments / f"{last.sha256}.wire").write_bytes((segments / f"{first.sha256}.wire").read_bytes())
    assert_refuses(gate, SourceState.REFUSED)


def test_a_manifest_mixed_up_with_an_older_one(city: Town, gate: Gate) -> None:
    [before] = [
        path
        for path in (city.published / "targets").iterdir()
        if path.name.startswith(_manifest(city))
    ]
    city.publish(LATER)
    [now] = [
        path
        for path in (city.published / "targets").iterdir()
        if path.name.startswith(_manifest(city))
    ]
    now.write_bytes(before.read_bytes())
    assert_refuses(gate, SourceState.REFUSED)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda _content: b"",
    ],
    ids=["a flipped bit", "cut short", "too long", "empty"],
)
@pytest.mark.parametrize("what", ["segments", "targets", "metadata"])
def test_a_tampered_segment_manifest_or_length(
    city: Town, gate: Gate, what: str, tamper: Callable[[bytes], bytes]
) -> None:
    there = {path.name for path in (city.published / what).iterdir()}
    city.publish(LATER)
    for path in (city.published / what).iterdir():
        if path.name not in there or path.name == "timestamp.json":
            path.write_bytes(tamper(path.read_bytes()))
    status = gate.poll()
    assert status.state in (SourceState.REFUSED, SourceState.NOT_OURS, SourceState.UNREACHABLE), (
        status
    )
    assert status.problem
    assert_serves(gate, 2)


@pytest.mark.parametrize("fault", [Fault.ENDLESS_BODY, Fault.ENDLESS_HEADERS])
@pytest.mark.parametrize("what", ["segments", "targets", "metadata"])
def test_endless_data(city: Town, gate: Gate, what: str, fault: Fault) -> None:
    city.publish(LATER)
    _break(city, what, fault)
    status = gate.poll()
    assert status.state is not SourceState.FRESH
    assert_serves(gate, 2)


@pytest.mark.parametrize("fault", [Fault.DRIP_BODY, Fault.DRIP_HEADERS])
@pytest.mark.parametrize("what", ["segments", "targets", "metadata"])
def test_a_slow_drip(city: Town, gate: Gate, what: str, fault: Fault) -> None:
    city.publish(LATER)
    _break(city, what, fault)
    city.server.drip_s = 0.2
    assert_refuses(gate, SourceState.SLOW)


def test_a_root_signed_by_fewer_than_the_threshold(city: Town, gate: Gate) -> None:
    draft = city.city.signed(city.city.following("timestamp"), "b")
    (city.published / "metadata" / "2.root.json").write_bytes(draft_bytes(draft))
    assert_refuses(gate, SourceState.REFUSED, "root")


def test_a_revoked_key_that_goes_on_signing(city: Town, gate: Gate) -> None:
    stolen = thief(city)
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    assert gate.poll().state is SourceState.FRESH
    stolen.publish(NEVER, lifted=(SUSPENDED,))
    stolen.sign(stolen.manifest())
    shutil.copy(city.published / "metadata" / "2.root.json", stolen.published / "metadata")
    city.server.folder = stolen.published
    assert_refuses(gate, SourceState.REFUSED, "timestamp")


def test_a_revoked_key_shown_to_a_gate_that_saw_the_new_root_and_lost_its_power(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    _break(city, "metadata", Fault.BROKEN, name="timestamp.json")
    assert_refuses(gate, SourceState.BUSY)
    stolen.publish(NEVER, lifted=(SUSPENDED,))
    city.server.faults.clear()
    city.server.folder = stolen.published
    gate.power_cut()
    assert_refuses(gate, SourceState.REFUSED)


def test_a_valid_list_of_another_fleet(city: Town, gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with town(tmp_path / "other") as other:
        for _ in range(3):
            other.publish(NEVER)
        city.server.folder = other.published
        assert_refuses(gate, SourceState.REFUSED)


@pytest.mark.parametrize(
    "path",
    ["../../../../etc/passwd", "/etc/passwd", "..\\..\\x", "a" * 63 + "/", "%2e%2e%2f" * 7 + "a"],
)
def test_a_manifest_that_names_a_path_outside_the_folder(city: Town, gate: Gate, path: str) -> None:
    manifest = city.manifest()
    sha256 = manifest.rules[0].segments[0].sha256
    hostile = encode(replace(manifest, list_version=3)).replace(sha256.encode(), path.encode())
    before = _tree(gate.folder)
    city.sign_unseen(hostile)
    assert_refuses(gate, SourceState.REFUSED, "not a manifest")
    assert _tree(gate.folder) <= before | {"lists/accepted.json"}


def test_a_compressed_bomb(city: Town, gate: Gate) -> None:
    honest = wire({LATER: NO_END}, 2, 3)
    bomb = zlib.compressobj(9, wbits=-15)
    plane = bomb.compress(bytes(1 << 26)) + bomb.flush()
    city.version = 3
    city.offer(honest[:136] + b"\x02" + struct.pack("<I", len(plane)) + plane + honest[138:], 2, 3)
    city.sign(city.manifest())
    assert_refuses(gate, SourceState.REFUSED)


def test_two_lists_signed_as_one_version(city: Town, gate: Gate) -> None:
    city.sign_unseen(encode(replace(city.manifest(), expires_unix_s=city.now_unix_s + 9 * 86_400)))
    assert_refuses(gate, SourceState.REFUSED, "two different lists")


def test_a_time_signed_far_ahead_so_that_suspensions_would_end(city: Town, gate: Gate) -> None:
    city.now_unix_s += 2 * 86_400
    city.publish(LATER)
    assert_refuses(gate, SourceState.REFUSED, "ahead")


def test_a_list_under_a_fingerprint_key_that_the_gate_lacks_is_waited_for(
    city: Town, gate: Gate
) -> None:
    city.key = OTHER_KEY
    city.offered.clear()
    city.version = 3
    city.offer(wire(dict.fromkeys([SUSPENDED, uid(9), LATER], NO_END), 0, 3, key=OTHER_KEY), 0, 3)
    city.sign(city.manifest())
    assert_refuses(gate, SourceState.NO_KEY, "list.keys")
    gate.hold(OTHER_KEY)
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)


def test_a_fast_forward_with_every_stolen_online_key_is_healed_by_replacing_them(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    stolen.publish(NEVER, lifted=(SUSPENDED,), version=10**12)
    city.server.folder = stolen.published
    assert gate.poll().list_version == 10**12
    city.server.folder = city.published
    assert gate.poll().state is SourceState.REPLAYED
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    city.publish(LATER)
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
    assert gate.holds("suspended", LATER)
    gate.power_cut()
    assert_serves(gate, 3)


def test_a_gate_that_lost_its_floor_while_it_held_a_thiefs_list_is_healed_by_the_runbook(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    stolen.publish(NEVER, lifted=(SUSPENDED,), version=10**12)
    city.server.folder = stolen.published
    assert gate.poll().list_version == 10**12
    for name in (ACCEPTED_FILE, ACCEPTED_COPY_FILE):
        (gate.lists / name).unlink()
    gate.start()
    city.server.folder = city.published
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    city.publish(LATER)
    status = gate.poll()
    assert status.problem == "list 3 was offered, 1000000000000 is held here"
    assert status.state is SourceState.REPLAYED

    def deletes_lists() -> None:
        """docs/runbook.md, "Fast-forward": the courier stands still meanwhile, and the lane goes on."""
        for folder in (gate.lists, gate.recent):
            for manifest in folder.glob("*.manifest.json"):
                manifest.unlink()

    deletes_lists()
    lane = gate.version
    gate.start_courier()
    assert gate.version == lane, "it decides by what it has until the new list is there"
    city.server.folder = stolen.published
    assert gate.poll().state is not SourceState.FRESH, (
        "root.json is there: the thief's keys are void"
    )
    city.server.folder = city.published
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
    gate.power_cut()
    assert_serves(gate, 3)


def test_a_fast_forward_of_one_stolen_key_is_healed_by_replacing_that_one(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    for _ in range(50):
        stolen.now_unix_s += 3 * 3_600
        roles.sign_timestamp(stolen.city.home, stolen.now_unix_s)
    gate.clock.unix_s = stolen.now_unix_s
    city.server.folder = stolen.published
    gate.poll()
    city.server.folder = city.published
    city.now_unix_s = stolen.now_unix_s
    city.publish(LATER)
    assert gate.poll().state is SourceState.REPLAYED
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)


class PowerCutError(BaseException):
    """Nothing after this happens."""


@pytest.mark.parametrize("steps", range(1, 30))
def test_a_power_cut_between_any_two_steps_and_then_a_replay(
    city: Town, gate: Gate, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = snapshot_of(city, "old")
    city.publish(LATER)
    left = steps
    real = {"fsync": os.fsync, "rename": Path.rename}

    def counted(name: str) -> Callable[..., object]:
        def step(*arguments: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCutError
            return real[name](*arguments)  # type: ignore[operator]

        return step

    monkeypatch.setattr(os, "fsync", counted("fsync"))
    monkeypatch.setattr(Path, "rename", counted("rename"))
    with suppress(PowerCutError):
        gate.poll()
    monkeypatch.undo()
    city.server.folder = old
    gate.power_cut()
    status = gate.poll()
    assert gate.version in (2, 3)
    assert_serves(gate, gate.version)
    if gate.version == 3:
        assert status.state is SourceState.REPLAYED
        assert gate.holds("suspended", LATER)
    city.server.folder = city.published
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
    assert gate.holds("suspended", LATER)
    assert durable.TEMPORARY not in "".join(sorted(_tree(gate.folder)))


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _manifest(city: Town) -> str:
    return hashlib.sha256(encode(city.manifest())).hexdigest()


def _break(city: Town, what: str, fault: Fault, name: str = "") -> None:
    """Every file of this folder, or the one, is answered with the fault. The next root is not there all the same."""
    for path in (city.published / what).iterdir():
        if not path.name.endswith("root.json") and name in path.name:
            city.server.faults[f"{what}/{path.name}"] = fault


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
