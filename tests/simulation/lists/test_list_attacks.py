"""Attacks on the way of a list to a gate, each by its name.

After each the gate decides by the last good list, and its status reports what is wrong.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.signing.roots import draft_bytes
from tests.simulation.lists.attacked_city import (
    LATER,
    NEVER,
    SUSPENDED,
    PowerCutError,
    answer_with,
    assert_refuses,
    assert_serves,
    snapshot_of,
)
from tests.support.city.list_making import OTHER_KEY
from tests.support.city.town import Town, town, uid, wire
from tests.support.gate.gate_courier import Gate
from tests.support.web.web_server import Fault
from validator.errors import SourceState
from validator.host import durable
from validator.lists.manifest import encode
from validator.lists.segment import NO_END


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
    answer_with(city, what, fault)
    status = gate.poll()
    assert status.state is not SourceState.FRESH
    assert_serves(gate, 2)


@pytest.mark.parametrize("fault", [Fault.DRIP_BODY, Fault.DRIP_HEADERS])
@pytest.mark.parametrize("what", ["segments", "targets", "metadata"])
def test_a_slow_drip(city: Town, gate: Gate, what: str, fault: Fault) -> None:
    city.publish(LATER)
    answer_with(city, what, fault)
    city.server.drip_s = 0.2
    assert_refuses(gate, SourceState.SLOW)


def test_a_root_signed_by_fewer_than_the_threshold(city: Town, gate: Gate) -> None:
    draft = city.city.signed(city.city.following("timestamp"), "b")
    (city.published / "metadata" / "2.root.json").write_bytes(draft_bytes(draft))
    assert_refuses(gate, SourceState.REFUSED, "root")


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


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
