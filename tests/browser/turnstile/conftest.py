"""Fixtures that the tests of this folder share."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.pages import (
    Pages,
)
from tests.browser.visits import (
    Visit,
    at_rest,
)


@pytest.fixture(scope="module")
def visit(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """One demo for all of these tests; each leaves it as it found it."""
    pages = Pages(browser)
    visit = Visit(tmp_path_factory.mktemp("visit"), pages)
    try:
        yield visit
        visit.end()
    finally:
        visit.demo.stop()
        pages.close()


@pytest.fixture
def page(visit: Visit) -> Iterator[Page]:
    """The page that stays open, at rest; an error of any page fails the test."""
    visit.reset()
    yield at_rest(visit.page)
    visit.pages.check()
