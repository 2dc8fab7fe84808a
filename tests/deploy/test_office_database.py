"""deploy/postgresql in a real PostgreSQL: the receiver's role has the reports, not the registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.registry.database import RegistryError
from backoffice.registry.registry import Registry
from backoffice.reports.store import ReportStore
from tests.support.city.postgres_server import PostgresServer, postgres_server
from tests.support.gate.reports import NOW_UNIX_S, stored

SCRIPT = Path(__file__).parents[2] / "deploy" / "postgresql" / "turnike-office.sql"
OFFICE, RECEIVER = "turnike-office", "turnike-receiver"
KEY = bytes(range(32))


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        started.run_script(SCRIPT)
        yield started


@pytest.mark.parametrize("first", [OFFICE, RECEIVER])
def test_both_share_the_reports_in_either_order(server: PostgresServer, first: str) -> None:
    second = OFFICE if first == RECEIVER else RECEIVER
    with (
        ReportStore.open(server.url(first, "turnike_reports")) as one,
        ReportStore.open(server.url(second, "turnike_reports")) as other,
    ):
        one.enrol("gate", other.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
        other.add("gate", [stored(1)], NOW_UNIX_S)
        one.add("gate", [stored(2)], NOW_UNIX_S)
        assert (one.count(), other.public_key("gate")) == (2, KEY)
        assert other.forget(NOW_UNIX_S + 1) == 2


def test_the_receivers_role_has_no_way_to_the_registry(server: PostgresServer) -> None:
    Registry.open(server.url(OFFICE, "turnike")).close()
    with pytest.raises(RegistryError, match='permission denied for database "turnike"'):
        Registry.open(server.url(RECEIVER, "turnike"))
