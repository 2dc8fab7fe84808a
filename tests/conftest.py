"""What every test may rely on. With CI=true none is skipped: it would pass for one that ran."""

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.web.web_server import WebServer
    from validator.courier.web.client import Web

settings.register_profile(
    "default", deadline=None
)  # a shared machine is slow at times, and a slow example is no fault
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which the contract of readers runs on some of them alone."""
    parser.addoption(
        "--readers",
        metavar="NAME[,NAME]",
        help="the readers of tests/contracts/readers to try; without it, all that need no USB rig",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI."""
    del item, call
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture
def server() -> "Iterator[WebServer]":
    """An empty web server on loopback; a module that needs files or an application adds them."""
    from tests.support.web.web_server import WebServer  # noqa: PLC0415  # most tests need none

    with WebServer() as started:
        yield started


@pytest.fixture
def web() -> "Iterator[Web]":
    """A gate's HTTP client with the limits that a gate has."""
    from validator.courier.web.client import Web  # noqa: PLC0415  # most tests need none

    with Web() as opened:
        yield opened
