"""The device and the listener in the tests of the reader contract, for every reader in RIGS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.readers.rigs import RIGS, Listener, ReaderRig, listening


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReaderRig]:
    rig = RIGS[request.param].start(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def listener(rig: ReaderRig) -> Iterator[Listener]:
    """A listener whose reader has reported ReaderBack."""
    with listening(rig.reader()) as listener:
        listener.back(60.0)  # on a busy machine the device may miss the first requests
        yield listener
