"""The demo's back office: the city's own commands, each as its own process, in the words that anybody could type.

office = Office(folder)
office.found(people, now_unix_s, say)     # init, keys, imports, the first list
office.suspend(uid)                       # turnike-backoffice suspend UID
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from validator.demo.children import Child
from validator.demo.city import SUSPENDED_UNIT_S, People

GATE_ID = "demo"
_CUT_OFF = re.compile(r"(?m)^in_force_from = (\S+)$")
COMMAND_LIMIT_S = 600

Say = Callable[[str], None]


class OfficeError(Exception):
    """A command of the city's failed; the message is what it said."""


class Office:
    """A city in a folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "city"
        self._folder = folder

    @property
    def root(self) -> Path:
        """Whom a gate believes at first."""
        return self.home / "root" / "1.root.json"

    @property
    def fingerprint_keys(self) -> Path:
        """The folder of keys that a gate needs; in a city they are carried there."""
        return self.home / "keys" / "fingerprint"

    def found(self, people: People, now_unix_s: int, say: Say) -> None:
        """Found it, import its cards, and publish its first list."""
        say("founding a back office")
        self.run("init", str(self.home), "--development", home=False)
        self.run("report-key", "make", "reports", "--out", str(self.home), "--no-passphrase", home=False)
        self._configure()
        for what, path in people.write(self._folder, now_unix_s).items():
            say(f"importing {what}")
            self.run("import", what, str(path))
        say("publishing the first list")
        self.run("publish")

    def _configure(self) -> None:
        """Say in backoffice.toml what the demo has otherwise than its example."""
        path = self._config
        text = path.read_text()
        for before, now in (
            ("until_unit_s = 60 ", f"until_unit_s = {SUSPENDED_UNIT_S} "),
            ("[reports]\n", '[reports]\nsealing_key = "reports.pub"\n'),
        ):
            if before not in text:
                raise OfficeError(f"{path}: has no {before.strip()} for the demo to change")
            text = text.replace(before, now, 1)
        path.write_text(text)

    @property
    def _config(self) -> Path:
        return self.home / "backoffice.toml"

    def cut_off(self) -> datetime:
        """From when on unmatched cards are refused, as the configuration says."""
        said = _CUT_OFF.search(self._config.read_text())
        if said is None:
            raise OfficeError(f"{self._config}: has no in_force_from")
        return datetime.fromisoformat(said[1])

    def move_cut_off(self, to: datetime) -> None:
        """Write another date into the configuration; the next publisher that is started publishes it."""
        changed = _CUT_OFF.sub(f"in_force_from = {to.isoformat()}", self._config.read_text())
        beside = self._config.with_suffix(".new")
        beside.write_text(changed)
        beside.replace(self._config)

    def token(self) -> str:
        """What enrols the gate, once."""
        return self.run("enroll", GATE_ID).strip()

    def publisher(self) -> Child:
        """The publisher, at work."""
        return self._child("publisher", "publish", "--watch", "--every", "1", "--json")

    def server(self, port: int) -> Child:
        """The web server and receiver; its first line is the address."""
        return self._child("server", "serve", "--port", str(port))

    def command(self, name: str, *arguments: str) -> Child:
        """A command that takes a moment, in the background."""
        return self._child(name, *arguments)

    def reports(self, lane: int) -> dict[str, int]:
        """How many reports the city received from this lane, and how many it misses."""
        return counted(self.run("reports", "list", "--json"), lane)

    def run(self, *arguments: str, home: bool = True) -> str:
        """Run a command to its end; what it printed. Raises OfficeError."""
        ended = subprocess.run(
            [sys.executable, "-m", "backoffice", *arguments, *(("--home", str(self.home)) if home else ())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if ended.returncode:
            raise OfficeError(
                f"turnike-backoffice {' '.join(arguments[:2])}: {ended.stderr.strip() or ended.stdout.strip()}"
            )
        return ended.stdout

    def _child(self, name: str, *arguments: str) -> Child:
        return Child(name, "backoffice", *arguments, "--home", str(self.home), is_elsewhere=True)


def counted(outboxes: str, lane: int) -> dict[str, int]:
    """What `reports list --json` says of this lane, all its outboxes together."""
    of_lane = [outbox for outbox in json.loads(outboxes) if outbox["lane"] == lane]
    return {name: sum(outbox[name] for outbox in of_lane) for name in ("received", "missing")}
