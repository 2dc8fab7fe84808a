"""The serial board's rig and its listener: what only its line and its simulator can show."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.boards.rig import BoardListener, BoardRig, hearing


@pytest.fixture
def options() -> tuple[str, ...]:
    """Options of `firmware-sim board`; a test with others parametrises this."""
    return ()


@pytest.fixture
def rig(tmp_path: Path, options: tuple[str, ...]) -> Iterator[BoardRig]:
    rig = BoardRig(tmp_path / "board", *options)
    yield rig
    rig.close()


@pytest.fixture
def listener(rig: BoardRig) -> Iterator[BoardListener]:
    """A listener whose board has reported BoardBack and its state at rest."""
    with hearing(rig.board()) as listener:
        listener.back()
        yield listener
