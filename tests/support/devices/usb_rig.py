"""Runs a pytest of its own in a rig: for tests that themselves use simulated USB or input devices.

An ordinary pytest process has no rig. One outer test for a kind starts the inner pytest there, and
shows all that it printed if a test of it fails.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WORKERS = 3
INNER_S = 540  # the outer test may take ten minutes; so the inner pytest's output is shown at least


def pytest_in_usb_rig(arguments: Sequence[str], folder: Path, limit_s: float = INNER_S) -> str:
    """Run pytest with these arguments in a USB rig of its own; fail with its output if it fails.

    Returns:
        Its output.

    Args:
        arguments: paths and options of the inner pytest.
        folder: for its temporary files. Without root the rig has another user number, for which
            pytest refuses the folder that is usual.
        limit_s: how long the inner pytest may take.
    """
    return _pytest_in("usb-rig", ["-p", "no:xdist", *arguments], folder, limit_s)


def pytest_in_input_rig(arguments: Sequence[str], folder: Path) -> None:
    """Run pytest in the input rig; otherwise as `pytest_in_usb_rig`.

    It has workers of its own: such tests wait for most of their time.
    """
    _pytest_in("input-rig", ["-n", str(WORKERS), *arguments], folder, INNER_S)


def _pytest_in(rig: str, arguments: Sequence[str], folder: Path, limit_s: float) -> str:
    command = [
        *(sys.executable, "-m", "firmware_sim", rig, "--"),
        *(sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"),
        *(f"--basetemp={folder / 'inner'}", *arguments),
    ]
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")
    }
    ended = subprocess.run(
        command,
        env=inherited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert ended.returncode == 0, f"in the {rig}: pytest {' '.join(arguments)}\n{ended.stdout}"
    return ended.stdout
