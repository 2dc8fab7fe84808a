"""The latency histogram against sorted lists."""

from hypothesis import given
from hypothesis import strategies as st

from validator.domain.latency import LatencyHistogram

durations = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 100_000), min_size=1, max_size=300)


@given(durations, st.sampled_from((1, 50, 90, 99, 99.9, 100)))
def test_a_percentile_is_never_below_the_true_one_and_at_most_a_sixteenth_above(
    values: list[int], percent: float
) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    rank = max(1, -(-len(values) * percent // 100))
    true = sorted(values)[int(rank) - 1]
    assert true <= histogram.percentile_ns(percent) <= true + true // 16 + 1
    assert (histogram.count, histogram.max_ns) == (len(values), max(values))


def test_an_empty_histogram_is_all_zeros() -> None:
    assert LatencyHistogram().summary_us() == {"count": 0, "p50": 0, "p99": 0, "p999": 0, "max": 0}


def test_a_clock_that_went_back_counts_as_no_time() -> None:
    histogram = LatencyHistogram()
    histogram.add(-5)
    assert (histogram.count, histogram.percentile_ns(50)) == (1, 0)
