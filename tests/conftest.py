"""What every test may rely on: with CI=true nothing is skipped, since a skipped test would pass for one that ran."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile(
    "default", deadline=None
)  # a shared machine is slow at times, and a slow example is no fault
settings.load_profile("default")


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
