"""The suite without a tool: tests that need it are skipped with its package named; others run."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_WITHOUT_LIBFUSE = """
import ctypes.util, sys
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if "fuse" in name else find(name)
import pytest
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", "tests"]))
"""


def test_every_test_is_collected_where_libfuse_is_missing() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_LIBFUSE],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4_000:] + run.stderr[-2_000:]
    assert "tests/simulation/reports/test_outbox_power_cut.py" in run.stdout
    assert "tests/processes/test_report_disk.py" in run.stdout
