"""Cuts the power at each point of a recording and checks what the outbox then finds.

    for point in points(recorded):
        point.disk.cut(any_luck("7"), folder)
        wrong = reopened(folder, point.truth)

It needs no FUSE: the states of the disk are plain files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.power_cut.disk import Disk
from tests.power_cut.journal import BEGIN, Mark, Operation
from tests.power_cut.lives import WitnessedOutbox, report
from tests.power_cut.record import OUTBOX
from tests.power_cut.truth import StepMark, Truth

_step_marks = msgspec.msgpack.Decoder(StepMark)


class Point(NamedTuple):
    """A place in a recording, with disk and truth there. The next point changes both objects."""

    place: int
    disk: Disk
    truth: Truth


def points(recorded: list[Operation], truth: Truth | None = None) -> Iterator[Point]:
    """Yield all points of a recording.

    Args:
        recorded: the operations on the disk, with marks between them.
        truth: of the folder with which the recording began.
    """
    disk, truth, has_begun = Disk(), truth or Truth(), False
    for index, operation in enumerate(recorded):
        if isinstance(operation, Mark) and operation.content == BEGIN:
            has_begun = True
        elif isinstance(operation, Mark):
            wrong = truth.take(_step_marks.decode(operation.content))
            assert not wrong, f"before any power cut, at {index}: {wrong}"
        disk.do(operation)
        if has_begun:
            yield Point(index, disk, truth)


def reopened(folder: Path, truth: Truth, *, is_damaged: bool = False) -> list[str]:
    """Open the outbox of a folder and use it. Returns what is wrong, a line each."""
    wrong: list[str] = []
    truth = truth.copy()
    box = WitnessedOutbox(folder / OUTBOX, lambda mark: wrong.extend(truth.take(mark)))
    if not box.open():
        return [f"it does not open: {box.trouble}"]
    try:
        if box.news and truth.is_open and not is_damaged:
            wrong.append(f"it is called damaged: {box.news}")
        wrong += _check(box, truth)
        if not wrong:
            box.report_opened()
            _use(box)
            wrong += _check(box, truth)
    finally:
        box.close()
    return wrong


def _use(box: WitnessedOutbox) -> None:
    assert box.append(report(1_001)), box.trouble
    box.forget(box.ids(1))
    assert box.append(report(1_002)), box.trouble


def _check(box: WitnessedOutbox, truth: Truth) -> list[str]:
    found = box.found()
    wrong = truth.wrong_with(found)
    if (box.waiting, box.rejected) != (len(found.waiting), len(found.quarantined)):
        wrong.append("it miscounts what it holds")
    return wrong
