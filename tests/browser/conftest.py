"""A real browser for the tests of pages: Debian's Chromium, headless, driven by Playwright. It finds this machine and no other."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.pages import LIMIT_MS, Pages, shot

__all__ = ["Open", "shot"]

Open = Callable[..., Page]
THIS_MACHINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, for one file of tests: Playwright's event loop runs in this thread as long, where no other test could run its own.

    It steps back for the gates on this machine: drawing by itself takes all the processors there are, and a reader must answer in time.
    """
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("Chromium is not here: apt-get install chromium")
    arguments = [THIS_MACHINE, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=LIMIT_MS)
    polite = tmp_path_factory.mktemp("browser") / "chromium"
    polite.write_text(f'#!/bin/sh\nexec nice -n 19 {found} "$@"\n')
    polite.chmod(0o755)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=polite, args=arguments)
        yield running
        running.close()


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    """The pages of one test. What they did wrong fails it."""
    opened = Pages(browser)
    yield opened
    opened.close()
    opened.check()


@pytest.fixture
def opened(pages: Pages) -> Open:
    """Opens one of them."""
    return pages.open
