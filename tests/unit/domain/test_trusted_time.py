"""Time without a battery clock: suspensions may end late, never early; no clock expires all."""

from hypothesis import given
from hypothesis import strategies as st

from validator.domain.trusted_time import Now, SystemClock, TimeFloor, trusted_now

S = 1_000_000_000
SIGNED = 1_780_000_000
Y1970, Y2038 = 60, 2**31


def test_a_synchronised_clock_at_or_above_the_floor_is_used() -> None:
    clock = SystemClock(SIGNED + 5, synchronised=True, boottime_ns=9 * S)
    assert trusted_now(clock, TimeFloor(SIGNED, 4 * S)) == Now(SIGNED + 5, synchronised=True)


def test_a_boot_in_1970_counts_from_the_floor() -> None:
    clock = SystemClock(Y1970, synchronised=False, boottime_ns=100 * S)
    assert trusted_now(clock, TimeFloor(SIGNED, 40 * S)) == Now(SIGNED + 60, synchronised=False)


def test_an_unsynchronised_clock_in_2038_expires_nothing() -> None:
    clock = SystemClock(Y2038, synchronised=False, boottime_ns=100 * S)
    assert trusted_now(clock, TimeFloor(SIGNED, 40 * S)) == Now(SIGNED + 60, synchronised=False)


def test_a_clock_below_the_floor_is_not_used_even_if_it_is_synchronised() -> None:
    clock = SystemClock(SIGNED - 1, synchronised=True, boottime_ns=100 * S)
    assert trusted_now(clock, TimeFloor(SIGNED, 100 * S)) == Now(SIGNED, synchronised=False)


def test_a_floor_of_an_earlier_boot_counts_from_this_boot() -> None:
    clock = SystemClock(Y1970, synchronised=False, boottime_ns=7 * S)
    assert trusted_now(clock, TimeFloor(SIGNED, 0)).unix_s == SIGNED + 7


@given(
    st.integers(0, 2**40),
    st.booleans(),
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    st.integers(0, 2**60),
)
def test_time_is_never_below_the_floor_and_never_goes_back(
    unix_s: int, synchronised: bool, accepted_ns: int, first_ns: int, later_ns: int
) -> None:
    floor = TimeFloor(SIGNED, accepted_ns)
    first = trusted_now(SystemClock(unix_s, synchronised, min(first_ns, later_ns)), floor)
    later = trusted_now(SystemClock(unix_s, synchronised, max(first_ns, later_ns)), floor)
    assert SIGNED <= first.unix_s <= later.unix_s
