"""The opener reports each reason once, whatever the order, and nothing once it is stopped."""

import select
import threading
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
        self.came_to_its_end = threading.Event()

    def close(self) -> None:
        self.ended += 1
        self.came_to_its_end.set()

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


def test_a_stopped_opener_has_no_result_and_lets_go_of_what_is_lost_after_it() -> None:
    attempts = Attempts("silent")
    opening: Opener[Device] = Opener("test", attempts, str, (OSError,))
    opening.start()
    assert results(opening) == ["silent", attempts.device]
    opening.stop()
    opening.stop()
    assert (opening.fileno(), opening.result()) == (-1, None)
    lost = Device()
    opening.start("unplugged", lost)
    assert lost.came_to_its_end.wait(LIMIT_S)
    assert opening.result() is None


def test_the_reason_of_a_loss_is_not_reported_again_by_the_attempts_after_it() -> None:
    attempts = Attempts("silent", "noise", "silent")
    opening: Opener[Device] = Opener("test", attempts, str, (OSError,))
    lost = Device()
    opening.start("silent", lost)
    assert results(opening) == ["noise", attempts.device]
    assert lost.ended == 1
    opening.stop()
