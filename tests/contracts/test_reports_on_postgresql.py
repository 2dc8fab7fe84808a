"""The reports of a city on a real PostgreSQL server: stored, shown, exported and deleted.

The same tests run on SQLite, one by one, in tests/unit/backoffice.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from backoffice.reports.store import ReportStore
from tests.support.city.export_desk import UIDS, Desk
from tests.support.city.postgres_server import PostgresServer, postgres_server
from tests.unit.backoffice.reports import test_gate_statuses as of_statuses
from tests.unit.backoffice.reports import test_store as of_store
from tests.unit.backoffice.reports.exports import test_exports as of_exports
from tests.unit.backoffice.reports.exports import test_retention as of_retention


def behaviours() -> Iterator[tuple[str, Callable[[ReportStore], None]]]:
    """Each test of a store, once for each of its parameters."""
    for name, test in vars(of_store).items():
        if name.startswith("test_"):
            (mark,) = getattr(test, "pytestmark", None) or [None]
            if mark is None:
                yield name, test
            else:
                for value in mark.args[1]:
                    yield f"{name}[{value}]", partial(test, **{mark.args[0]: value})


BEHAVIOURS = dict(behaviours())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        yield started


@pytest.fixture
def store(server: PostgresServer) -> Iterator[ReportStore]:
    with ReportStore.open(server.new_database()) as opened:
        yield opened


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_store_of_reports_on_postgresql(store: ReportStore, behaviour: str) -> None:
    BEHAVIOURS[behaviour](store)


@pytest.mark.parametrize(
    "behaviour",
    [
        of_exports.test_an_export_of_nothing_is_whole_as_well,
        of_exports.test_only_what_was_received_in_the_period_is_exported,
        of_retention.test_reports_are_deleted_an_hour_at_a_time,
    ],
)
def test_an_export_on_postgresql(
    store: ReportStore, tmp_path: Path, behaviour: Callable[[Desk], None]
) -> None:
    behaviour(Desk(tmp_path, store))


def test_every_report_is_exported_on_postgresql(store: ReportStore, tmp_path: Path) -> None:
    desk = Desk(tmp_path, store)
    for seq, uid in enumerate(UIDS, start=1):
        desk.add(seq, uid)
    desk.export()
    assert {line["uid"] for line in desk.read()[1:]} == {uid.hex() for uid in UIDS}


@pytest.mark.parametrize(
    "behaviour",
    [
        of_statuses.test_a_replayed_status_replaces_none_and_is_no_sign_of_life,
        of_statuses.test_replays_do_not_spoil_the_nonce_that_the_gate_is_about_to_use,
        of_statuses.test_of_two_copies_at_once_one_is_kept,
        of_statuses.test_a_gate_without_nonces_is_ordered_by_its_clock_until_it_has_them,
        of_statuses.test_the_status_of_a_gate_that_is_enrolled_again_with_its_old_program_is_taken,
    ],
)
def test_gate_statuses_on_postgresql(
    store: ReportStore, behaviour: Callable[[of_statuses.World], None]
) -> None:
    behaviour(of_statuses.World(store))
