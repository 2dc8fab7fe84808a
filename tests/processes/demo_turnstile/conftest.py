"""Fixtures that the tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.processes.turnstile_rig import Page, playing
from tests.support.devices.demo_page import is_at_rest


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One demo for all of these tests; each leaves it as it found it."""
    with playing(tmp_path_factory.mktemp("demo")) as played:
        played.until(is_at_rest)
        yield played
        assert played.end() == 0, played.printed.decode()
        assert played.result["reports_lost"] == played.result["reports_duplicated"] == 0
