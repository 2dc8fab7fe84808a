"""A real browser for the tests of pages: Debian's Chromium, headless, driven by Playwright.

It resolves the names of this machine alone.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser.pages import LIMIT_MS, Pages, shot

__all__ = ["Open", "shot"]

Open = Callable[..., Page]
THIS_MACHINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, for one file of tests: Playwright's event loop has this thread as long.

    It runs at the lowest priority: drawing takes all processors, and a simulated reader must
    answer in time.
    """
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    expect.set_options(timeout=LIMIT_MS)
    with (
        sync_playwright() as playwright,
        chromium(playwright, tmp_path_factory.mktemp("browser")) as running,
    ):
        yield running


@contextmanager
def chromium(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Run Chromium for the length of a block; `folder` gets a script that starts it."""
    arguments = [THIS_MACHINE, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    polite = folder / "chromium"
    polite.write_text('#!/bin/sh\nexec nice -n 19 chromium "$@"\n')
    polite.chmod(0o755)
    running = playwright.chromium.launch(executable_path=polite, args=arguments)
    yield running
    running.close()


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    """The pages of one test; an error of any page fails it."""
    opened = Pages(browser)
    yield opened
    opened.close()
    opened.check()


@pytest.fixture
def opened(pages: Pages) -> Open:
    """Opens a page of the test."""
    return pages.open
