"""What a running lane and a running courier do when their files and folders are removed."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

from tests.support.machine.programs import Program, program

LONG_S = 60.0


def ask(path: Path, **request: Any) -> dict[str, Any]:
    """Ask a lane."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(LONG_S)
        caller.connect(str(path))
        caller.sendall(json.dumps(request).encode() + b"\n")
        with caller.makefile("rb") as file:
            told: dict[str, Any] = json.loads(file.readline())
            return told


def clerk(folder: Path, first: int, denials: int) -> Program:
    """A lane's clerk that has filed so many denials."""
    made = Program("tests.processes.denial_lane", str(folder), str(first), str(denials), "log")
    made.event("told", LONG_S, number=first + denials - 1)
    return made


def test_a_lane_whose_socket_and_whose_reports_are_removed_can_be_asked_and_has_them_all(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lane.sock"
    lane = clerk(tmp_path, 1, 7)
    try:
        before = ask(path, request="reports")["reports"]
        assert len(before) == 7
        (tmp_path / "reports").rename(tmp_path / "gone")
        shutil.rmtree(tmp_path / "gone")
        path.unlink()
        told = [lane.wait_for(lambda line: "problem" in line, LONG_S)["problem"] for _ in range(2)]
        assert f"{path}: was removed or replaced, and is made again" in told
        assert any("7 reports were kept again in a new outbox" in problem for problem in told)
        assert ask(path, request="reports")["reports"] == before
        assert ask(path, request="status")["status"]["reports_waiting"] == 7
    finally:
        lane.kill()
        lane.close()
    with program("tests.processes.denial_lane", str(tmp_path), "8", "1") as again:
        again.event("told", LONG_S, number=8)
        assert ask(path, request="reports")["reports"][:7] == before
