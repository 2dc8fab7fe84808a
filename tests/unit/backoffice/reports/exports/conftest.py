"""Fixtures that the tests of this folder share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.reports.store import ReportStore
from tests.support.city.export_desk import SHELVES, UIDS, Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    """One without reports, in a folder that costs no disk."""
    with tempfile.TemporaryDirectory(prefix="exports-", dir=SHELVES) as made:
        folder = Path(made)
        with ReportStore.open(f"sqlite:///{folder / 'registry.db'}") as store:
            yield Desk(folder, store)


@pytest.fixture
def full(desk: Desk) -> Desk:
    """One with forty reports, half of them sealed to each key."""
    for seq, uid in enumerate(UIDS, start=1):
        desk.add(seq, uid, desk.sealing[seq % 2])
    return desk
