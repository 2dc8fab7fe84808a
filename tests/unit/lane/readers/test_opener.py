"""The opener reports each reason once, however the reasons of its attempts alternate."""

import select
import time
from collections.abc import Callable, Iterator

import pytest

from validator.lane.readers import opener
from validator.lane.readers.opener import Opener

LIMIT_S = 60.0


class Device:
    """What an attempt returns."""

    def __init__(self) -> None:
        self.ended = 0

    def close(self) -> None:
        self.ended += 1

    drop = close


class Attempts:
    """Attempts that fail with these reasons, and then succeed."""

    def __init__(self, *reasons: str) -> None:
        self.device = Device()
        self._reasons: Iterator[str] = iter(reasons)

    def __call__(self, is_wanted: Callable[[], bool]) -> Device:
        assert is_wanted()
        reason = next(self._reasons, None)
        if reason is None:
            return self.device
        raise OSError(reason)


def results(opening: Opener[Device]) -> list[Device | str]:
    """Everything up to the device."""
    found: list[Device | str] = []
    deadline = time.monotonic() + LIMIT_S
    while not found or isinstance(found[-1], str):
        assert time.monotonic() < deadline
        select.select((opening.fileno(),), (), (), LIMIT_S)
        while (result := opening.result()) is not None:
            found.append(result)
    return found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opener, "RETRY_S", 0.001)


def test_reasons_that_alternate_are_each_reported_once_for_each_loss() -> None:
    attempts = Attempts("silent", "noise", "silent", "cut off", "noise", "silent")
    opening: Opener[Device] = Opener("test", attempts, str, (OSError,))
    opening.start()
    assert results(opening) == ["silent", "noise", "cut off", attempts.device]
    opening.start("noise", attempts.device)  # the device was lost again, for that reason
    assert results(opening) == [attempts.device]
    opening.stop()


def test_the_reason_of_a_loss_is_not_reported_again_by_the_attempts_after_it() -> None:
    attempts = Attempts("silent", "noise", "silent")
    opening: Opener[Device] = Opener("test", attempts, str, (OSError,))
    lost = Device()
    opening.start("silent", lost)
    assert results(opening) == ["noise", attempts.device]
    assert lost.ended == 1
    opening.stop()
