"""Fixtures that the tests of this folder share."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.reports.store import ReportStore
from tests.support.city.receiver_city import City


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield City(store)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda below: (
                st.lists(below, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["reports", "report_id", "seq"]), below, max_size=3
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_of_a_gate_is_answered_and_nothing_breaks(city: City, content: bytes) -> None:
    city.now_unix_s += 60
    assert city.post("/v1/reports", content).status in {200, 400, 413}
    assert city.store.count() == 0
