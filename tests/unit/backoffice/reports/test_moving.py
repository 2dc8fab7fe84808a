"""Reports and gates move out of the registry's database, each once, also after a kill."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from backoffice.home.config import load
from backoffice.registry.database import Database
from backoffice.reports import schema as report_schema
from backoffice.reports.moving import TABLES, move
from backoffice.reports.store import ReportStore
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, stored
from validator.errors import ConfigError, OperatorError

KEY = bytes(range(32))
STAY = "reports are with the registry, and stay there until"


def filled(url: str) -> None:
    with ReportStore.open(url) as store:
        store.enrol("gate", store.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
        store.invite("another", NOW_UNIX_S)
        store.add("gate", [stored(seq) for seq in range(1, 30)], NOW_UNIX_S)
        set_status(store, "gate", NOW_UNIX_S, NOW_UNIX_S, "{}")
        store.forget(NOW_UNIX_S + 1)
        store.add("gate", [stored(seq) for seq in range(40, 50)], NOW_UNIX_S)


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database(url)
    try:
        return {
            table.name: sorted(tuple(row) for row in database.stream(table.select()))
            for table in TABLES
        }
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
        patched.setattr("backoffice.reports.moving.sa.delete", lambda _table: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(*urls)
    assert rows(urls[0]) == rows(urls[1]) == before
    move(*urls)
    assert rows(urls[1]) == before
    assert not any(rows(urls[0]).values())


def test_where_they_are_is_no_other_place(urls: tuple[str, str]) -> None:
    before = rows(urls[0])
    with pytest.raises(OperatorError, match=STAY):
        move(urls[0], urls[0])
    assert rows(urls[0]) == before


@pytest.mark.parametrize(
    "spelling", ["{0}/./registry.db", "{0}/../{1}/registry.db", "{0}/link.db", "{0}//registry.db"]
)
def test_nor_is_it_under_another_name(urls: tuple[str, str], tmp_path: Path, spelling: str) -> None:
    (tmp_path / "link.db").symlink_to("registry.db")
    before = rows(urls[0])
    with pytest.raises(OperatorError, match=STAY):
        move(urls[0], f"sqlite:///{spelling.format(tmp_path, tmp_path.name)}")
    assert rows(urls[0]) == before


def test_every_table_of_reports_moves() -> None:
    assert {each for each in vars(report_schema).values() if isinstance(each, sa.Table)} == set(
        TABLES
    )


@pytest.mark.parametrize("name", ["reports.db", "./reports.db", "../city/reports.db"])
@pytest.mark.parametrize("table", ["", "[receiver]"])
def test_a_database_that_is_another_file_from_each_place_is_refused(
    tmp_path: Path, table: str, name: str
) -> None:
    rules = '[[rules]]\nname = "a"\neffect = "refuse"\nuntil_unit_s = 60\n'
    path = tmp_path / "backoffice.toml"
    path.write_text(f'{table}\ndatabase = "sqlite:///{name}"\n{rules}')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    told = "database: names no absolute path (four slashes); write sqlite:////"
    assert told in str(caught.value)
    path.write_text(f'{table}\ndatabase = "sqlite:///{tmp_path / name}"\n{rules}')
    assert load(tmp_path).reports_url == f"sqlite:///{tmp_path / name}"
