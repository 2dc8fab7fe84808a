"""A real browser for the tests of pages: Debian's Chromium, headless, driven by Playwright. It finds this machine and no other."""

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
    """Chromium, for one file of tests: Playwright's event loop runs in this thread as long, where no other test could run its own.

    It steps back for the gates on this machine: drawing by itself takes all the processors there are, and a reader must answer in time.
    """
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not here: apt-get install chromium")
    expect.set_options(timeout=LIMIT_MS)
    with (
        sync_playwright() as playwright,
        chromium(playwright, tmp_path_factory.mktemp("browser")) as running,
    ):
        yield running


@contextmanager
def chromium(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Chromium for the length of a block; `folder` is for a file of its own."""
    arguments = [THIS_MACHINE, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    polite = folder / "chromium"
    polite.write_text('#!/bin/sh\nexec nice -n 19 chromium "$@"\n')
    polite.chmod(0o755)
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
