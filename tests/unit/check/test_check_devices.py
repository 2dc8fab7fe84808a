"""`turnike check` and the devices: what a lane holds is a note, what does not answer is bad."""

import time
from collections.abc import Sequence

import pytest

from validator.check.devices import _answers
from validator.check.finding import Finding
from validator.domain.events import ReaderBack, ReaderEvent, ReaderLost
from validator.lane.readers.absent import AbsentReader
from validator.lane.readers.pcsc import reasons


class MadeReader(AbsentReader):
    """A reader that reports these events, one after the other."""

    def __init__(self, *events: ReaderEvent) -> None:
        super().__init__("")
        self._events = list(events)

    def take(self) -> ReaderEvent | None:
        return self._events.pop(0) if self._events else None


def found(*events: ReaderEvent) -> Sequence[Finding]:
    return list(_answers({"reader": MadeReader(*events)}, {"reader": "usb"}))


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validator.check.devices.DEVICE_WAIT_NS", 50_000_000)


@pytest.mark.parametrize(
    "reason",
    [
        "rcs380 at usb: in use by another program; every lane needs a reader of its own",
        "keyboard at /dev/input/by-id/a: in use by another program",
        reasons.held("ACS*"),
        reasons.in_use("ACS*", "ACS ACR122U 00 00"),
    ],
)
def test_a_reader_that_a_running_lane_holds_is_a_note(reason: str) -> None:
    assert found(ReaderLost(reason, time.monotonic_ns())) == [Finding("reader", "note", reason)]


def test_a_reader_that_is_gone_is_bad() -> None:
    reason = "rcs380 at usb: unplugged"
    assert found(ReaderLost(reason, time.monotonic_ns())) == [Finding("reader", "bad", reason)]


def test_a_reader_that_comes_back_within_the_wait_is_ok() -> None:
    lost = ReaderLost("rcs380 at usb: unplugged", time.monotonic_ns())
    (answer,) = found(lost, ReaderBack(time.monotonic_ns()))
    assert (answer.mark, answer.text) == ("ok", "usb: answers")
