"""A latency histogram that allocates no memory after it is made.

The loop adds to it after every tap, and the clerk reads it now and then. Buckets grow by a
sixteenth of a power of two, so a percentile is at most 6.25 % above the true value and never below
it.
"""

from itertools import accumulate

_FINE_BITS = 4
_FINE = 1 << _FINE_BITS
_NS_PER_US = 1_000
BUCKETS = (64 - _FINE_BITS) * _FINE


class LatencyHistogram:
    """Counts of durations from 0 to 2^63 ns. One thread adds; another may read late counts."""

    def __init__(self) -> None:
        self.max_ns = 0
        self._counts = [0] * BUCKETS

    @property
    def count(self) -> int:
        """How many durations were added."""
        return sum(self._counts)

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as 0."""
        value = max(duration_ns, 0)
        shift = max(value.bit_length() - _FINE_BITS - 1, 0)
        self._counts[shift * _FINE + (value >> shift)] += 1
        self.max_ns = max(self.max_ns, value)

    def summary_us(self) -> dict[str, int]:
        """Return `count`, and `p50`, `p99`, `p999` and `max` in µs."""
        return {
            "count": self.count,
            "p50": self.percentile_ns(50) // _NS_PER_US,
            "p99": self.percentile_ns(99) // _NS_PER_US,
            "p999": self.percentile_ns(99.9) // _NS_PER_US,
            "max": self.max_ns // _NS_PER_US,
        }

    def buckets(self) -> list[tuple[int, int]]:
        """Return the upper edge in ns and the count of each bucket that is not empty, rising."""
        return [(_upper_ns(index), count) for index, count in enumerate(self._counts) if count]

    def percentile_ns(self, percent: float) -> int:
        """Return the upper edge in ns of this percentile's bucket; 0 if the histogram is empty."""
        total = self.count
        wanted = max(1, -(-total * percent // 100))
        for index, below in enumerate(accumulate(self._counts)):
            if below >= wanted:
                return min(_upper_ns(index), self.max_ns)
        return 0


def _upper_ns(index: int) -> int:
    if index < 2 * _FINE:
        return index
    shift = index // _FINE - 1
    return ((index % _FINE + _FINE + 1) << shift) - 1
