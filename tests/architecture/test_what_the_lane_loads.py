"""What the lane process loads: each import costs a small machine memory and start-up time."""

import subprocess
import sys

NEVER = (
    "numpy",
    "requests",
    "rich",
    "sqlalchemy",
    "starlette",
    "tuf",
    "asyncio",
    "urllib3",
    "firmware_sim",
    "gpiod",  # a gate loads only the driver that it uses
)


def test_the_lane_loads_nothing_that_belongs_to_another_process() -> None:
    program = "import sys, validator.cli, validator.programs.lane; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "validator.lane.loop" in loaded
    assert [name for name in loaded if name.split(".")[0] in NEVER] == []


def test_the_domain_loads_nothing_but_itself_and_pure_libraries() -> None:
    program = (
        "import sys; before = set(sys.modules); import validator.domain.passage; "
        "print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("validator")}
    assert all(
        name in ("validator", "validator.domain") or name.startswith("validator.domain.")
        for name in ours
    )
