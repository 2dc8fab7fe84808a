"""Fixtures that the tests of this folder share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.home.config import load
from backoffice.reports.store import ReportStore
from tests.support.city.report_commands import SHELVES, Desk
from tests.support.gate.reports import NOW_UNIX_S


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An empty folder for commands, in memory."""
    with (
        tempfile.TemporaryDirectory(prefix="reports-", dir=SHELVES) as folder,
        monkeypatch.context() as patched,
    ):
        patched.chdir(folder)
        patched.setenv("TURNIKE_HOME", "city")
        yield Desk(Path(folder))


@pytest.fixture
def city(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A city, and the time that its commands see."""
    desk.types("init", "city", "--development")
    for name in ("gates", "reports"):
        monkeypatch.setattr(f"backoffice.cli.{name}.now_unix_s", lambda: NOW_UNIX_S)
    desk.store = ReportStore.open(load(desk.city).database_url)
    yield desk
    desk.store.close()
