"""Bits rot on a gate: in every file that it believes, while its courier runs or before it starts.

Each is found and healed at the next poll, or has no effect. tests/unit/lists/test_rotted_bits.py
turns over every bit of each format; here some bits of each file are followed through courier and
lane.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.support.city.publishing_rig import (
    MATCHED,
    SUSPENDED,
    KilledError,
    PublishingOffice,
    SocketlessGate,
    durable_steps,
)
from tests.support.city.town import uid
from tests.support.machine.planting import PLANTS, PRECIOUS, Plant
from tests.support.machine.rot import damaged, flipped, write_over
from validator.courier.store.accepted_store import (
    COPY_NAME,
    FILE_NAME,
    ROOT_NAME,
    DiskAcceptedStore,
)
from validator.errors import SourceState
from validator.lists.files import SeenFile
from validator.lists.manifest import decode_installed
from validator.lists.names import ListName

DAMAGES = 24  # of each file; each is drawn from its place and file, so that a failure repeats
KINDS = ("accepted", "copy", "root", "base", "change", "disk manifest", "memory manifest", "piece")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[PublishingOffice]:
    """A city with one suspended card and one matched one."""
    made = PublishingOffice(tmp_path)
    made.issue(*map(uid, range(6 + DAMAGES)))
    made.change(SUSPENDED.name, uid(1))
    made.change(MATCHED.name, uid(2))
    made.publish()
    yield made
    made.close()


@pytest.fixture
def gate(office: PublishingOffice) -> Iterator[SocketlessGate]:
    """A gate that has the first list on its disk and the third in memory."""
    made = office.gate()
    assert made.poll().state is SourceState.FRESH
    for card in (3, 4):
        publish(office, made, card)
        assert made.poll().state is SourceState.FRESH
    assert made.version == 3
    yield made
    made.web.close()


def publish(office: PublishingOffice, gate: SocketlessGate, card: int) -> None:
    """A minute later one card more is suspended."""
    office.now_unix_s += 60
    gate.clock.wait(60)
    office.change(SUSPENDED.name, uid(card))
    office.publish()


def believed(gate: SocketlessGate) -> dict[str, Path]:
    """One of each kind of file that the gate believes, as far as it has one."""
    found = {
        "accepted": [gate.lists / FILE_NAME],
        "copy": [gate.lists / COPY_NAME],
        "root": [gate.lists / ROOT_NAME],
        "base": gate.lists.glob("*.seg"),
        "change": gate.recent.glob("*.seg"),
        "disk manifest": gate.lists.glob("*.manifest.json"),
        "memory manifest": gate.recent.glob("*.manifest.json"),
        "piece": (gate.lists / "pieces").glob("*.wire"),
    }
    return {
        kind: path for kind, paths in found.items() if (path := max(paths, key=_size, default=None))
    }


def _size(path: Path) -> tuple[int, str]:
    return path.stat().st_size, path.name


def assert_well(office: PublishingOffice, gate: SocketlessGate) -> None:
    """Assert that the gate follows its city and that every file is whole again.

    Its lane decides by the newest list, now and after a start.
    """
    status = gate.poll()
    assert (status.state, status.problem) == (SourceState.FRESH, "")
    for starts in (False, True):
        if starts:
            gate.start_lane()
        assert gate.version == max(office.said)
        assert gate.problems == ()
        assert gate.rules is not None
        office.assert_says(gate.rules)
    accepted_store = DiskAcceptedStore(gate.lists)
    assert (accepted_store.problem, accepted_store.accepted) == ("", gate.accepted_store.accepted)
    assert (gate.lists / FILE_NAME).read_bytes() == (gate.lists / COPY_NAME).read_bytes()
    installed = [
        path for path in (*gate.lists.iterdir(), *gate.recent.iterdir()) if ListName.of(path.name)
    ]
    for path in installed:
        assert path.is_file()
        decode_installed(path.read_bytes(), path.name)


Time = Callable[[SocketlessGate], object]
WHEN: dict[str, Time] = {
    "while both run": lambda _gate: None,
    "before the lane starts": SocketlessGate.start_lane,
    "before both start": SocketlessGate.start,
    "before a power cut": SocketlessGate.power_cut,
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_healed_by_the_next_poll(
    office: PublishingOffice, gate: SocketlessGate, kind: str, when: str
) -> None:
    for number in range(DAMAGES):
        random = Random(f"{kind} {when} {number}")
        if kind not in believed(gate):  # what was healed begins at a snapshot, on the disk
            publish(office, gate, 6 + number)
            gate.poll()
        accepted, root = gate.accepted_store.accepted, gate.accepted_store.root
        path = believed(gate)[kind]
        content = path.read_bytes()
        write_over(path, damaged(content, random))
        WHEN[when](gate)
        assert_well(office, gate)
        assert (gate.accepted_store.accepted, gate.accepted_store.root) == (accepted, root)
    assert not [line for line in gate.mended if not line.isprintable()]


def test_a_disk_that_lost_its_list_has_one_again_before_the_power_goes(
    office: PublishingOffice, gate: SocketlessGate
) -> None:
    write_over(believed(gate)["disk manifest"], b"")
    assert_well(office, gate)
    shutil.rmtree(gate.lists / "pieces")
    gate.published = office.folder / "nothing is public"
    gate.power_cut()
    assert gate.version == 3


@pytest.mark.parametrize("kind", ["base", "change"])
def test_a_bit_that_rots_without_a_trace_is_found_by_the_lane_and_fetched_by_the_courier(
    office: PublishingOffice, gate: SocketlessGate, kind: str
) -> None:
    path = believed(gate)[kind]
    with unseen_by_the_courier(gate, path):
        write_over(path, flipped(path.read_bytes(), 8 * path.stat().st_size - 9))
    gate.start_lane()
    assert gate.version < 3
    publish(office, gate, 5)
    assert_well(office, gate)
    assert f"{path.name}: damaged, and replaced" in gate.mended


@contextmanager
def unseen_by_the_courier(gate: SocketlessGate, path: Path) -> Iterator[None]:
    """Hide a write from the courier, since a disk that rots changes no status of a file.

    A test's write changes it, so the courier is given the new status for the old.
    """
    scrub = gate.list_store._files.scrub
    header = scrub.header(path)
    yield
    assert header is not None
    scrub._whole[SeenFile.of(str(path), path.lstat())] = header


def test_a_lane_that_refuses_a_whole_list_is_offered_it_again_and_named_in_the_status(
    office: PublishingOffice, gate: SocketlessGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gate, "refused", lambda _era, _version: "lane 1: list version 3 is not used"
    )
    before = {path: path.lstat().st_ctime_ns for path in gate.lists.glob("*.seg")}
    for _ in range(2):
        status = gate.poll()
        assert (status.state, status.problem) == (
            SourceState.DISK,
            "lane 1: list version 3 is not used",
        )
    assert all(path.lstat().st_ctime_ns > ctime_ns for path, ctime_ns in before.items())
    monkeypatch.undo()
    assert_well(office, gate)


def test_without_the_lists_key_a_gate_is_not_fresh_until_it_comes_again(
    office: PublishingOffice, gate: SocketlessGate
) -> None:
    [key] = (gate.folder / "keys").iterdir()
    write_over(key, flipped(key.read_bytes(), 8 * 30))
    gate.start()
    assert (gate.version, gate.poll().state) == (0, SourceState.NO_KEY)
    gate.hold(office.key)
    assert_well(office, gate)


# The floor


@pytest.mark.parametrize(
    "damage", [lambda path: write_over(path, b""), Path.unlink], ids=["emptied", "gone"]
)
@pytest.mark.parametrize(
    "names", [(FILE_NAME,), (COPY_NAME,), (FILE_NAME, ROOT_NAME)], ids="+".join
)
def test_a_floor_that_rots_lets_no_older_state_through(
    office: PublishingOffice,
    gate: SocketlessGate,
    names: tuple[str, ...],
    damage: Callable[[Path], None],
) -> None:
    yesterday = Path(shutil.copytree(office.published, office.folder / "yesterday"))
    office.now_unix_s += 4 * 3_600
    gate.clock.wait(4 * 3_600)
    office.publish()  # the same list, signed again; what was signed before has not expired
    before = gate.accepted_store.accepted
    assert (gate.poll().state, gate.version) == (SourceState.FRESH, 3)
    assert gate.accepted_store.accepted != before
    for name in names:
        damage(gate.lists / name)
    gate.published, newest = yesterday, gate.published
    gate.power_cut()
    status = gate.poll()
    assert (status.state, status.list_version) == (SourceState.REPLAYED, 3)
    gate.published = newest
    gate.start()
    assert_well(office, gate)


def test_the_power_goes_at_any_step_of_a_poll_and_one_file_of_the_floor_rots(
    office: PublishingOffice, gate: SocketlessGate
) -> None:
    before = Path(shutil.copytree(office.published, office.folder / "before"))
    publish(office, gate, 5)
    after, standing = gate.published, Path(shutil.copytree(gate.folder, office.folder / "standing"))
    cuts = 0
    for name in (FILE_NAME, COPY_NAME):
        for steps in count(1):
            shutil.rmtree(gate.folder)
            shutil.copytree(standing, gate.folder)
            gate.published = after
            gate.start()
            left = count(steps - 1, -1)

            def step(left: Iterator[int] = left) -> None:
                if next(left) == 0:
                    raise KilledError

            with durable_steps(step):
                gate.poll()
            is_cut = next(left) < 0
            accepted = DiskAcceptedStore(gate.lists).accepted
            assert accepted is not None
            write_over(gate.lists / name, b"")
            gate.published = before
            gate.power_cut()
            status = gate.poll()
            if (
                accepted.list_version == 4
                and (gate.accepted_store.accepted or accepted).list_version == 4
            ):
                assert (status.state, (status.list_version or 0) >= 3) == (
                    SourceState.REPLAYED,
                    True,
                )
            else:
                assert (status.state, status.list_version) == (SourceState.FRESH, 3)
            gate.published = after
            gate.start()
            assert_well(office, gate)
            if not is_cut:
                break
            cuts += 1
    assert cuts > 20


def test_with_every_file_of_the_floor_gone_no_older_list_is_taken_and_the_newest_is(
    office: PublishingOffice, gate: SocketlessGate
) -> None:
    before = Path(shutil.copytree(office.published, office.folder / "before"))
    publish(office, gate, 5)
    assert gate.poll().state is SourceState.FRESH
    for name in (FILE_NAME, COPY_NAME, ROOT_NAME):
        (gate.lists / name).unlink()
    gate.published, newest = before, gate.published
    gate.start()
    status = gate.poll()
    assert (status.state, status.problem) == (
        SourceState.REPLAYED,
        "list 3 was offered, 4 is held here",
    )
    gate.published = newest
    gate.start()
    assert_well(office, gate)


def test_an_older_state_of_the_whole_floor_is_below_the_list_that_is_held(
    office: PublishingOffice, gate: SocketlessGate
) -> None:
    public = Path(shutil.copytree(office.published, office.folder / "before"))
    older = {name: (gate.lists / name).read_bytes() for name in (FILE_NAME, COPY_NAME, ROOT_NAME)}
    publish(office, gate, 5)
    assert gate.poll().state is SourceState.FRESH
    for name, content in older.items():
        write_over(gate.lists / name, content)
    gate.published, newest = public, gate.published
    gate.start()
    status = gate.poll()
    assert (status.state, status.list_version) == (SourceState.REPLAYED, 4), (
        "accepted again, and not gone back to"
    )
    gate.published = newest
    gate.start()
    assert_well(office, gate)


# What is no file


@pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.__name__)
def test_whatever_is_planted_under_any_name_of_ours_is_replaced(
    office: PublishingOffice, gate: SocketlessGate, planted: Plant
) -> None:
    for path in believed(gate).values():
        precious = [planted(path), planted(path.with_name(f".new-{path.name}"))]
        assert_well(office, gate)
        assert [each() for each in precious] == [PRECIOUS] * 2
    folders = (gate.lists, gate.recent, gate.lists / "pieces")
    names = [path for folder in folders for path in sorted(folder.iterdir()) if ours(path.name)]
    assert len(names) > 7
    precious = [
        planted(each) for path in names for each in (path, path.with_name(f".new-{path.name}"))
    ]
    gate.start()
    assert_well(office, gate)
    publish(office, gate, 5)
    assert_well(office, gate)
    assert [each() for each in precious] == [PRECIOUS] * len(precious)


def ours(name: str) -> bool:
    """Whether the courier writes files of this name there."""
    return name.endswith((".json", ".seg", ".wire")) and name[0] != "." and " " not in name


@pytest.mark.parametrize("planted", PLANTS, ids=lambda planted: planted.__name__)
@pytest.mark.parametrize(
    "name", ["lists/pieces", "recent/metadata", "lists/.new-segment", "recent/.new-segment"]
)
def test_whatever_is_planted_where_a_folder_of_ours_is_made_is_replaced(
    office: PublishingOffice, gate: SocketlessGate, planted: Plant, name: str
) -> None:
    precious = planted(gate.folder / name)
    gate.start()
    publish(office, gate, 5)
    assert_well(office, gate)
    assert precious() == PRECIOUS
