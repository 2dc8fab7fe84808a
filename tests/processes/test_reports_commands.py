"""`turnike reports` beside a real lane: a person sees its outbox, and retries rejected reports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.machine.programs import Program
from validator.cli import main
from validator.ipc.client import LaneClient

DENIALS = 45  # more than one request of the command moves
CONFIG = """
gate_id = "test"
[reader]
driver = "serial"
[board]
device = "{folder}/board"
[list]
folder = "{folder}/lists"
keys = "{folder}/keys"
stale = "decide"
missing = "deny"
[reports]
folder = "{folder}/reports"
socket = "{folder}/lane.sock"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "validator.toml").write_text(CONFIG.format(folder=tmp_path))
    return tmp_path


@pytest.fixture
def lane(folder: Path) -> Iterator[LaneClient]:
    """A lane that has denied."""
    program = Program("tests.processes.denial_lane", str(folder), "1", str(DENIALS))
    program.event("told", number=DENIALS)
    asked = LaneClient(folder / "lane.sock")
    try:
        yield asked
    finally:
        asked.close()
        program.kill()
        program.close()


def types(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--config", str(folder / "validator.toml")])


def test_what_the_city_rejected_is_shown_and_waits_again(lane: LaneClient, folder: Path) -> None:
    every = [report.report_id for skip in (0, 20, 40) for report in lane.oldest(20, skip)]
    for report_id in every[1:]:
        lane.rejected(report_id, "Object contains unknown field `colour`")
    shown = types(folder, "reports", "show").output.splitlines()
    assert [" ".join(line.split()) for line in shown[:2]] == [
        "1 wait for the courier",
        "44 quarantined, since the back office did not accept them",
    ]
    retried = types(folder, "reports", "retry")
    assert (retried.exit_code, retried.output) == (0, "44 reports wait again\n")
    assert [report.report_id for skip in (0, 20, 40) for report in lane.oldest(20, skip)] == every
    assert types(folder, "reports", "retry").output == "0 reports wait again\n"


def test_without_a_lane_each_command_ends_in_one_line(folder: Path) -> None:
    for command in ("show", "retry"):
        ended = types(folder, "reports", command)
        assert ended.exit_code == 1
        assert ended.output.startswith("the lane does not answer: ")
        assert ended.output.count("\n") == 1
