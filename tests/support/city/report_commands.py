"""A person's folder of commands about reports and gates."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from backoffice.cli.program import main
from tests.support.gate.reports import NOW_UNIX_S

if TYPE_CHECKING:
    from backoffice.reports.store import ReportStore

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # many fsyncs


SECRET = re.compile(r"PRIVATE KEY|-----BEGIN")


class Desk:
    """A folder in which a person types commands, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = folder / "city"
        self.store: ReportStore

    def types(self, *arguments: str, answers: str = "") -> str:
        """Run a command to its end. Returns its standard output."""
        ended = self.run(*arguments, answers=answers)
        assert ended.exit_code == 0, f"{arguments}: {ended.output}"
        return str(ended.stdout)

    def run(self, *arguments: str, answers: str = "") -> Result:
        """Run a command to its end; its output is checked for private keys."""
        ended = CliRunner(catch_exceptions=False).invoke(main, arguments, input=answers)
        assert not SECRET.search(ended.output)
        return ended

    def refused(self, *arguments: str) -> str:
        """Run a command that must not do it: exit 2 and one line, which is returned."""
        ended = self.run(*arguments)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.count("\n") == 1, ended.stderr
        return str(ended.stderr)


def status(every_s: int = 60, **lane: object) -> str:
    """The status of a gate with one lane."""
    well: dict[str, object] = {
        "list_version": 7,
        "list_issued_unix_s": NOW_UNIX_S - 600,
        "list_problems": [],
        "devices": {"reader": "ready", "board": "ready"},
        "reports_waiting": 3,
        "reports_trouble": "",
    }
    way = {"state": "fresh", "problem": ""}
    return json.dumps(
        {"gate_id": "g", "every_s": every_s, "courier": way, "carrier": way, "lanes": [well | lane]}
    )
