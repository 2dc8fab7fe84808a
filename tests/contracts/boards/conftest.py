"""The contract of boards: each test with each board that can do what it asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.boards.rig import BoardListener, hearing
from tests.contracts.boards.rigs import RIGS, Rig, RigKind

STATES = ("emergency", "tamper")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker that names what a test asks of a board."""
    config.addinivalue_line("markers", "can(ability...): a test for boards with these abilities")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each board that can do what it asks for.

    A test that takes a `state` runs with each state that the board reports.
    """
    if "kind" not in metafunc.fixturenames:
        return  # a test of one board alone
    marker = metafunc.definition.get_closest_marker("can")
    asked = marker.args if marker else ()
    states = STATES if "state" in metafunc.fixturenames else ("",)
    cases = [
        pytest.param(*((kind, state) if state else (kind,)), id=f"{name}-{state}".strip("-"))
        for name, kind in RIGS.items()
        for state in states
        if all(getattr(kind.abilities, ability) for ability in (*asked, state) if ability)
    ]
    metafunc.parametrize("kind,state" if states == STATES else "kind", cases)


@pytest.fixture
def rig(kind: RigKind, tmp_path: Path) -> Iterator[Rig]:
    rig = kind.start(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def listener(kind: RigKind, rig: Rig) -> Iterator[BoardListener]:
    """A listener whose board has reported BoardBack and its state at rest."""
    with hearing(rig.board(), kind.abilities) as listener:
        listener.back()
        yield listener
