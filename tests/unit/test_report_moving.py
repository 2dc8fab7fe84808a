"""Reports and gates move out of the registry's database, all of them and once, also after a kill in between."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from backoffice import report_schema
from backoffice.database import Database
from backoffice.office import OfficeError
from backoffice.report_moving import TABLES, move
from backoffice.report_store import ReportStore
from tests.reports import NOW_UNIX_S, stored

KEY = bytes(range(32))


def filled(url: str) -> None:
    with ReportStore.open(url) as store:
        store.enrol("gate", store.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
        store.invite("another", NOW_UNIX_S)
        store.add("gate", [stored(seq) for seq in range(1, 30)], NOW_UNIX_S)
        store.set_status("gate", NOW_UNIX_S, NOW_UNIX_S, "{}")
        store.forget(NOW_UNIX_S + 1)
        store.add("gate", [stored(seq) for seq in range(40, 50)], NOW_UNIX_S)


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database(url)
    try:
        return {table.name: sorted(tuple(row) for row in database.stream(table.select())) for table in TABLES}
    finally:
        database.close()


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    urls = f"sqlite:///{tmp_path / 'registry.db'}", f"sqlite:///{tmp_path / 'reports.db'}"
    filled(urls[0])
    return urls


def test_all_is_there_afterwards_and_nothing_where_it_was(urls: tuple[str, str]) -> None:
    before = rows(urls[0])
    assert len(before["reports"]) == 10
    assert move(*urls) == 10
    assert rows(urls[1]) == before
    assert not any(rows(urls[0]).values())
    assert move(*urls) == 0
    assert rows(urls[1]) == before


def test_killed_before_it_deletes_it_is_run_again(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(urls[0])
    with monkeypatch.context() as patched:
        patched.setattr("backoffice.report_moving.sa.delete", lambda _table: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(*urls)
    assert rows(urls[0]) == rows(urls[1]) == before
    move(*urls)
    assert rows(urls[1]) == before
    assert not any(rows(urls[0]).values())


def test_where_they_are_is_no_other_place(urls: tuple[str, str]) -> None:
    before = rows(urls[0])
    with pytest.raises(OfficeError, match=r"\[receiver\] database in backoffice.toml names another place"):
        move(urls[0], urls[0])
    assert rows(urls[0]) == before


def test_every_table_of_reports_moves() -> None:
    assert {each for each in vars(report_schema).values() if isinstance(each, sa.Table)} == set(TABLES)
