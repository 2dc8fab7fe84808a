"""The device and the listener in the tests of the reader contract, for every reader in RIGS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.readers.rigs import (
    RIGS,
    Listener,
    ReaderRig,
    RigKind,
    kinds_that,
    listening,
)

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the readers named by --readers; without it, of all that need no rig."""
    named = config.getoption("--readers")
    rigless = kinds_that(lambda kind: not kind.needs_usb_rig and not kind.needs_input_rig)
    chosen = set(named.split(",")) if named else {*rigless}
    if unknown := chosen - set(RIGS):
        raise pytest.UsageError(f"--readers: no reader is called {', '.join(sorted(unknown))}")

    def is_wanted(item: pytest.Item) -> bool:
        if not isinstance(item, pytest.Function) or HERE not in item.path.parents:
            return True
        reader = item.callspec.params.get("rig") if hasattr(item, "callspec") else None
        return reader in chosen if isinstance(reader, str) and reader in RIGS else not named

    unwanted = [item for item in items if not is_wanted(item)]
    config.hook.pytest_deselected(items=unwanted)
    items[:] = [item for item in items if is_wanted(item)]


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReaderRig]:
    rig = RIGS[request.param].start(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> RigKind:
    """The kind of the rig."""
    return RIGS[request.node.callspec.params["rig"]]


@pytest.fixture
def listener(rig: ReaderRig) -> Iterator[Listener]:
    """A listener whose reader has reported ReaderBack."""
    with listening(rig.reader(), rig.heed) as listener:
        listener.back(60.0)  # on a busy machine the device may miss the first requests
        yield listener
