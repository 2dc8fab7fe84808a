"""The time floor: its sources, boots, thieves, spoiled files, and steps of the system's clock."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.domain.trusted_time import Now, SystemClock
from validator.host.clock import Clock
from validator.ipc.accepted import Accepted, encode
from validator.ipc.signed_time import SIGNED_TIME_BYTES_MAX, SignedTime, SignedTimeError, decode
from validator.lane.ports import FoundTime
from validator.lane.time_file import TimeFile

S = 1_000_000_000
DAY_S = 86_400
SIGNED = 1_780_000_000
Y1970, Y2038 = 60, 2**31
CITY, NEXT = ("a1",), ("b2",)


class SteppedClock(Clock):
    """The clock on a system whose clocks are set by hand."""

    def __init__(self, unix_s: int, *, synchronised: bool, boottime_s: int = 100) -> None:
        self.set(unix_s, synchronised=synchronised)
        self.boottime_ns = boottime_s * S
        super().__init__()

    def set(self, unix_s: int, *, synchronised: bool) -> None:
        """Step the clock, and set whether the kernel vouches for it."""
        self.unix_s = unix_s
        self.is_synchronised = synchronised

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self.unix_s, self.is_synchronised, self.boottime_ns)

    def wait(self, seconds: int) -> None:
        """Let time go by."""
        self.boottime_ns += seconds * S
        self.unix_s += seconds

    def accepted(self, signed_unix_s: int, keys: tuple[str, ...] = CITY) -> SignedTime:
        """What the courier writes down now."""
        return SignedTime(signed_unix_s, *self.boot(), keys)


@pytest.mark.parametrize("unix_s", [Y1970, Y2038])
def test_a_clock_that_the_kernel_does_not_vouch_for_counts_from_the_signed_time(
    unix_s: int,
) -> None:
    clock = SteppedClock(unix_s, synchronised=False)
    accepted = clock.accepted(SIGNED)
    clock.wait(40)
    clock.begin_with(accepted)
    assert clock.now() == Now(SIGNED + 40, synchronised=False)


def test_a_signed_time_of_an_earlier_boot_counts_from_this_boot() -> None:
    clock = SteppedClock(Y1970, synchronised=False, boottime_s=7)
    clock.begin_with(SignedTime(SIGNED, "another boot", 500 * S, CITY))
    assert clock.now().unix_s == SIGNED + 7


def test_a_step_of_a_clock_that_the_kernel_does_not_vouch_for_changes_nothing() -> None:
    clock = SteppedClock(SIGNED, synchronised=False)
    clock.begin_with(clock.accepted(SIGNED))
    for step in (Y1970, Y2038, SIGNED - DAY_S, SIGNED + DAY_S):
        clock.set(step, synchronised=False)
        assert clock.now() == Now(SIGNED, synchronised=False)


def test_a_synchronised_clock_that_steps_below_the_floor_is_not_believed() -> None:
    clock = SteppedClock(SIGNED + 5, synchronised=True)
    clock.begin_with(clock.accepted(SIGNED))
    assert clock.now() == Now(SIGNED + 5, synchronised=True)
    clock.wait(10)
    clock.set(SIGNED - DAY_S, synchronised=True)
    assert clock.now() == Now(SIGNED + 10, synchronised=False)


def test_a_clock_that_becomes_synchronised_is_believed_from_then_on() -> None:
    clock = SteppedClock(Y1970, synchronised=False)
    clock.begin_with(clock.accepted(SIGNED))
    clock.set(SIGNED + DAY_S, synchronised=True)
    assert clock.now() == Now(SIGNED + DAY_S, synchronised=True)


def test_a_lists_own_time_counts_only_while_there_is_no_signed_one() -> None:
    clock = SteppedClock(Y1970, synchronised=False)
    clock.raise_floor(SIGNED + 5)
    clock.wait(3)
    clock.raise_floor(SIGNED)
    assert clock.now().unix_s == SIGNED + 8
    clock.begin_with(clock.accepted(SIGNED))
    assert clock.now().unix_s == SIGNED
    clock.raise_floor(SIGNED + 5)
    assert clock.now().unix_s == SIGNED


def test_the_next_signed_time_never_sets_time_back() -> None:
    """The time was signed before it was accepted, by as much as the gate was offline."""
    clock = SteppedClock(Y1970, synchronised=False)
    clock.begin_with(clock.accepted(SIGNED))
    clock.wait(7_200)
    clock.begin_with(clock.accepted(SIGNED + 3_600))
    assert clock.now().unix_s == SIGNED + 7_200
    clock.begin_with(clock.accepted(SIGNED + 7_300))
    assert clock.now().unix_s == SIGNED + 7_300


@pytest.mark.parametrize("healed_after_s", [DAY_S, 20 * DAY_S])
def test_a_time_pushed_ahead_with_a_stolen_key_is_healed_by_replacing_the_key(
    healed_after_s: int,
) -> None:
    clock = SteppedClock(Y1970, synchronised=False)
    clock.begin_with(clock.accepted(SIGNED))
    clock.begin_with(clock.accepted(SIGNED + 10 * DAY_S))
    clock.wait(healed_after_s)
    assert clock.now().unix_s == SIGNED + healed_after_s + 10 * DAY_S
    clock.begin_with(clock.accepted(SIGNED + healed_after_s, NEXT))
    assert clock.now().unix_s == SIGNED + healed_after_s


@given(
    st.lists(
        st.tuples(st.integers(0, 2**33), st.booleans(), st.integers(0, DAY_S), st.booleans()),
        max_size=20,
    )
)
def test_time_runs_late_or_right_whatever_an_unsynchronised_clock_does(
    steps: list[tuple[int, bool, int, bool]],
) -> None:
    """The kernel vouches only for the true time; signed times are true, and accepted late."""
    true_unix_s = SIGNED
    clock = SteppedClock(Y1970, synchronised=False)
    clock.begin_with(clock.accepted(true_unix_s))
    counted = 0
    for unix_s, synchronised, passed_s, is_accepted in steps:
        signed_unix_s = true_unix_s
        clock.wait(passed_s)
        true_unix_s += passed_s
        if is_accepted:
            clock.begin_with(clock.accepted(signed_unix_s))
        clock.set(true_unix_s if synchronised else unix_s, synchronised=synchronised)
        now = clock.now()
        assert counted <= clock.floor_unix_s() <= now.unix_s <= true_unix_s
        assert now.unix_s == true_unix_s or not now.synchronised
        counted = clock.floor_unix_s()


# The file

GOOD = {
    "signed_unix_s": SIGNED,
    "boot_id": "b",
    "boottime_ns": 5,
    "timestamp_keys": ["a1"],
    "list_version": 7,
}


def written(folder: Path, content: object) -> Path:
    """Put it there as the courier does: by renaming."""
    path = folder / "accepted.json"
    path.with_name("new").write_bytes(
        content if isinstance(content, bytes) else json.dumps(content).encode()
    )
    path.with_name("new").rename(path)
    return path


def test_a_file_is_read_when_it_is_another_and_only_then(tmp_path: Path) -> None:
    file = TimeFile(tmp_path / "accepted.json")
    assert file.look() is None
    written(tmp_path, GOOD)
    assert file.look() == FoundTime(SignedTime(SIGNED, "b", 5, ("a1",)))
    assert [file.look(), file.look()] == [None, None]
    written(tmp_path, GOOD | {"signed_unix_s": SIGNED - 9})
    assert file.look() == FoundTime(SignedTime(SIGNED - 9, "b", 5, ("a1",)))
    (tmp_path / "accepted.json").unlink()
    assert file.look() is None


def test_the_lane_reads_what_the_courier_writes(tmp_path: Path) -> None:
    floor = Floor(RoleVersions(1, 2, 3, 4), RoleKeys(("a1",), ("b",), ("c",)), 9, SIGNED, 1)
    accepted = Accepted.of(floor, manifest=b"{}", boot_id="boot", boottime_ns=77)
    file = TimeFile(written(tmp_path, encode(accepted)))
    assert file.look() == FoundTime(SignedTime(SIGNED, "boot", 77, ("a1",), ("c",)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"?",
        b"[" * 9_000,
        b"{}",
        GOOD | {"signed_unix_s": -1},
        GOOD | {"signed_unix_s": "1"},
        b"{" * 99_999,
    ],
    ids=["empty", "text", "deep", "bare", "negative", "a string", "endless"],
)
def test_a_spoiled_file_is_logged_once_and_its_repair_is_taken(
    tmp_path: Path, content: object
) -> None:
    path = written(tmp_path, content)
    file = TimeFile(path)
    found = file.look()
    assert found is not None
    assert found.signed is None
    assert found.problem.startswith(f"{path}: ")
    assert found.problem.isprintable()
    assert file.look() is None
    written(tmp_path, GOOD)
    assert file.look() == FoundTime(SignedTime(SIGNED, "b", 5, ("a1",)))


def test_a_file_that_is_no_file_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "accepted.json"
    file = TimeFile(path)
    path.mkdir()
    found = file.look()
    assert found is not None
    assert "not a regular file" in found.problem
    assert file.look() is None
    path.rmdir()
    path.symlink_to("elsewhere")
    found = file.look()
    assert found is not None
    assert "symbolic links" in found.problem


@given(
    st.binary(max_size=200)
    | st.integers(0, 9).map(lambda more: b"[" * (SIGNED_TIME_BYTES_MAX + more))
)
def test_any_bytes_are_a_signed_time_or_one_clear_line(content: bytes) -> None:
    try:
        assert decode(content).signed_unix_s >= 0
    except SignedTimeError as error:
        assert str(error).isprintable()  # noqa: PT017 — either may happen
