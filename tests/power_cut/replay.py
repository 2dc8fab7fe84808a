"""Cuts the power at each point of a recording, and looks at what comes up then. No FUSE is needed here: the states are plain files.

for point in points(recorded):
point.disk.cut(any_luck("7"), folder)
wrong = reopened(folder, point.truth)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.power_cut.disk import Disk
from tests.power_cut.journal import BEGIN, Mark, Operation
from tests.power_cut.lives import WitnessedOutbox, report
from tests.power_cut.record import OUTBOX
from tests.power_cut.truth import Told, Truth

_told = msgspec.msgpack.Decoder(Told)


class Point(NamedTuple):
    """A place in a recording, and what is the case there. Both are changed when the next is asked for."""

    place: int
    disk: Disk
    truth: Truth


def points(recorded: list[Operation], truth: Truth | None = None) -> Iterator[Point]:
    """All of them, from the first state on. `truth` is of what the recording began with."""
    disk, truth, has_begun = Disk(), truth or Truth(), False
    for index, operation in enumerate(recorded):
        if isinstance(operation, Mark) and operation.content == BEGIN:
            has_begun = True
        elif isinstance(operation, Mark):
            wrong = truth.hear(_told.decode(operation.content))
            assert not wrong, f"before any power cut, at {index}: {wrong}"
        disk.do(operation)
        if has_begun:
            yield Point(index, disk, truth)


def reopened(folder: Path, truth: Truth, *, is_damaged: bool = False) -> list[str]:
    """Open the outbox and go on with it: what is wrong, in lines; nothing if all is as it must be."""
    wrong: list[str] = []
    truth = truth.copy()
    box = WitnessedOutbox(folder / OUTBOX, lambda told: wrong.extend(truth.hear(told)))
    if not box.open():
        return [f"it does not open: {box.trouble}"]
    try:
        if box.news and truth.is_open and not is_damaged:
            wrong.append(f"it is called damaged: {box.news}")
        wrong += _look(box, truth)
        if not wrong:
            box.tell_opened()
            _go_on(box)
            wrong += _look(box, truth)
    finally:
        box.close()
    return wrong


def _go_on(box: WitnessedOutbox) -> None:
    assert box.append(report(1_001)), box.trouble
    box.forget(box.ids(1))
    assert box.append(report(1_002)), box.trouble


def _look(box: WitnessedOutbox, truth: Truth) -> list[str]:
    found = box.found()
    wrong = truth.wrong_with(found)
    if (box.waiting, box.rejected) != (len(found.waiting), len(found.quarantined)):
        wrong.append("it miscounts what it holds")
    return wrong
