"""What the tests of whole gates share."""

from collections.abc import Iterator

import pytest

from tests.processes.gate_rig import Gate, gate


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A reader and a board for all tests of a file, one after the other."""
    with gate(tmp_path_factory.mktemp("devices")) as made:
        yield made
