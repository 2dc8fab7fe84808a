"""A city with two lists, and a gate that has both, for the attacks on the way between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.lists.attacked_city import SUSPENDED, assert_serves
from tests.support.city.town import Town, town, uid
from tests.support.gate.gate_courier import Gate
from validator.errors import SourceState


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Town]:
    """A city with two published lists: the first suspends SUSPENDED, the second also uid(9)."""
    with town(tmp_path) as made:
        made.publish(SUSPENDED)
        made.publish(uid(9))
        yield made


@pytest.fixture
def gate(city: Town) -> Gate:
    """A gate that has the second list."""
    made = city.gate()
    assert made.poll().state is SourceState.FRESH
    assert_serves(made, 2)
    return made
