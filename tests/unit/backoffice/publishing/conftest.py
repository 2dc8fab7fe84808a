"""A city that publishes, for the tests of the publisher."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.publishing.pieces import DAY_S
from tests.support.city.publishing_rig import PublishingOffice
from tests.unit.backoffice.publishing.publisher_steps import CARDS, later

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # thousands of fsyncs


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that costs no disk."""
    with tempfile.TemporaryDirectory(prefix="publisher-", dir=SHELVES) as made:
        yield Path(made)


@pytest.fixture
def town(folder: Path) -> Iterator[PublishingOffice]:
    """A city with some cards, of which nothing is published yet."""
    made = PublishingOffice(folder / "town")
    made.issue(*CARDS)
    made.change("suspended", CARDS[0], made.now_unix_s + 10 * DAY_S)
    made.change("matched", CARDS[1])
    yield made
    made.close()


@pytest.fixture
def public(town: PublishingOffice) -> PublishingOffice:
    """The same with two lists behind it."""
    town.publish()
    later(town, CARDS[2])
    return town
