"""The demo's back office: the city's own commands, in the words that anybody could type.

    office = Office(folder, run)
    office.found(people, now_unix_s, say)     # init, keys, imports, the first list
    office.ask("mine", "suspend", uid)        # turnike-backoffice suspend UID; heard under this name

The commands run in one process (`turnike-backoffice batch`): to start Python for each costs more than they do.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from turnike_demo.children import Child, Heard, parsed
from turnike_demo.city.people import SUSPENDED_UNIT_S, People

GATE_ID = "demo"
CLERK = "office"  # the source of what the one process answers
_CUT_OFF = re.compile(r"(?m)^in_force_from = (\S+)$")

Say = Callable[[str], None]
Run = Callable[..., str]
"""Runs a command of the city's to its end; what it printed. Raises OfficeError."""


class OfficeError(Exception):
    """A command of the city's failed; the message is what it said."""


class Office:
    """A city in a folder."""

    def __init__(self, folder: Path, run: Run) -> None:
        """`run` is how the demo asks, and waits for the answer."""
        self.home = folder / "city"
        self._folder = folder
        self._run = run

    def clerk(self) -> Child:
        """The process in which its commands run; `ask` writes to it from now on."""
        self._clerk = Child(CLERK, "backoffice", "batch", is_elsewhere=True)
        return self._clerk

    def ask(self, name: str, *arguments: str, home: bool = True) -> None:
        """Start a command; what it prints, and its end, are heard under this name (see `answered`)."""
        place = ("--home", str(self.home)) if home else ()
        self._clerk.say(json.dumps({"id": name, "run": [*arguments, *place]}))

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
        self._run("init", str(self.home), "--development", home=False)
        self._run(
            "report-key", "make", "reports", "--out", str(self.home), "--no-passphrase", home=False
        )
        self._configure()
        for what, path in people.write(self._folder, now_unix_s).items():
            say(f"importing {what}")
            self._run("import", what, str(path), "--yes")  # a first import is most of all cards
        say("publishing the first list")
        self._run("publish")

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
        return self._run("enroll", GATE_ID).strip()

    def publisher(self) -> Child:
        """The publisher, at work."""
        return self._child("publisher", "publish", "--watch", "--every", "1", "--json")

    def server(self, port: int) -> Child:
        """The web server and receiver; its first line is the address."""
        return self._child("server", "serve", "--port", str(port), "--gates", "100")

    def reports(self, lane: int) -> dict[str, int]:
        """How many reports the city received from this lane, and how many it misses."""
        return counted(self._run("reports", "list", "--json"), lane)

    def _child(self, name: str, *arguments: str) -> Child:
        return Child(name, "backoffice", *arguments, "--home", str(self.home), is_elsewhere=True)


def answered(heard: Heard) -> Iterator[Heard]:
    """What is heard, with an answer of the clerk's as a process of its own would have given it.

    Its lines, then `ended` with its exit code and, as `err`, what it wrote to standard error.
    """
    if not heard.is_(CLERK, "done"):
        yield heard
        return
    line = heard.line
    for text in line["out"].splitlines():
        yield Heard(line["id"], parsed(text.encode()))
    yield Heard(line["id"], {"event": "ended", "code": line["code"], "err": line["err"]})


def counted(outboxes: str, lane: int) -> dict[str, int]:
    """What `reports list --json` says of this lane, all its outboxes together."""
    of_lane = [outbox for outbox in json.loads(outboxes) if outbox["lane"] == lane]
    return {name: sum(outbox[name] for outbox in of_lane) for name in ("received", "missing")}
