"""The demo's back office: the city's own commands, as an operator types them.

    back_office = BackOffice(folder, run)
    back_office.set_up(people, now_unix_s, announce)        # init, keys, imports, the first list
    back_office.start_command("mine", "suspend", uid)       # turnike-backoffice suspend UID

The commands run in one process (`turnike-backoffice batch`): to start Python for each of them
takes longer than the command itself.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from turnike_demo.city.people import SUSPENDED_UNIT_S, People
from turnike_demo.errors import CityCommandError
from turnike_demo.processes.child import Child
from turnike_demo.processes.events import Event, parsed
from validator.host.durable import replacing
from validator.host.plain_files import SECRET_MODE

GATE_ID = "demo"
BATCH = "back-office"  # the source of the batch process's answers
_CUT_OFF = re.compile(r"(?m)^in_force_from = (\S+)$")

Announce = Callable[[str], None]
RunCommand = Callable[..., str]
"""Runs a command to its end and returns what it printed; see `EventPump.run_command`."""


class BackOffice:
    """A city's back office in a folder."""

    def __init__(self, folder: Path, run: RunCommand) -> None:
        """`folder` is the demo's; `run` runs a command and waits for its end."""
        self.home = folder / "city"
        self._folder = folder
        self._run = run

    def batch(self) -> Child:
        """Start the process that runs the commands; `start_command` writes to it from now on."""
        self._batch = Child(BATCH, "backoffice", "batch", is_elsewhere=True)
        return self._batch

    def start_command(self, name: str, *arguments: str, home: bool = True) -> None:
        """Start a command; what it prints and its end are events of the source `name`.

        Args:
            name: the source of its events, as `batch_answers` makes them.
            arguments: the command and its arguments.
            home: whether to add `--home` with the city's folder.
        """
        place = ("--home", str(self.home)) if home else ()
        self._batch.send(json.dumps({"id": name, "run": [*arguments, *place]}))

    @property
    def root(self) -> Path:
        """The first root metadata, which a gate has to trust."""
        return self.home / "root" / "1.root.json"

    @property
    def fingerprint_keys(self) -> Path:
        """The folder of keys that a gate needs; an operator carries them to a real one."""
        return self.home / "keys" / "fingerprint"

    def set_up(self, people: People, now_unix_s: int, announce: Announce) -> None:
        """Create the back office, import its cards, and publish the first list.

        Raises:
            CityCommandError: a command failed.
        """
        announce("founding a back office")
        self._run("init", str(self.home), "--development", home=False)
        self._run(
            "report-key", "make", "reports", "--out", str(self.home), "--no-passphrase", home=False
        )
        self._configure()
        for what, path in people.write(self._folder, now_unix_s).items():
            announce(f"importing {what}")
            # --yes: a first import changes most of the cards, which the command asks about.
            self._run("import", what, str(path), "--yes")
        announce("publishing the first list")
        self._run("publish")

    def _configure(self) -> None:
        """Write into backoffice.toml where the demo differs from the example."""
        path = self._config
        text = path.read_text()
        for before, now in (
            ("until_unit_s = 60 ", f"until_unit_s = {SUSPENDED_UNIT_S} "),
            ("[reports]\n", '[reports]\nsealing_key = "reports.pub"\n'),
        ):
            if before not in text:
                raise CityCommandError(f"{path}: has no {before.strip()} for the demo to change")
            text = text.replace(before, now, 1)
        path.write_text(text)

    @property
    def _config(self) -> Path:
        return self.home / "backoffice.toml"

    def cut_off(self) -> datetime:
        """Return the date from which the gate refuses unmatched cards, as configured.

        Raises:
            CityCommandError: the configuration has none.
        """
        found = _CUT_OFF.search(self._config.read_text())
        if found is None:
            raise CityCommandError(f"{self._config}: has no in_force_from")
        return datetime.fromisoformat(found[1])

    def move_cut_off(self, to: datetime) -> None:
        """Write another date into the configuration; the running publisher publishes it."""
        changed = _CUT_OFF.sub(f"in_force_from = {to.isoformat()}", self._config.read_text())
        with replacing(self._config, SECRET_MODE) as new:
            new.file.write(changed.encode())

    def token(self) -> str:
        """Make a token that enrols the gate once. Raises CityCommandError."""
        return self._run("enroll", GATE_ID).strip()

    def publisher(self) -> Child:
        """Start the publisher, which publishes each change."""
        return self._child("publisher", "publish", "--watch", "--every", "1", "--json")

    def server(self, port: int) -> Child:
        """Start the web server and receiver; its first line is its address."""
        return self._child("server", "serve", "--port", str(port), "--gates", "100")

    def reports(self, lane: int) -> dict[str, int]:
        """Return how many reports of this lane the city received, and how many are missing.

        Raises:
            CityCommandError: the command failed.
        """
        return counted(self._run("reports", "list", "--json"), lane)

    def _child(self, name: str, *arguments: str) -> Child:
        return Child(name, "backoffice", *arguments, "--home", str(self.home), is_elsewhere=True)


def batch_answers(event: Event) -> Iterator[Event]:
    """Yield an answer of the batch process as a process of its own would have sent it.

    That is each line the command printed, then `ended` with its exit code as `code` and its
    standard error as `err`. Yield any other event as it is.
    """
    if not event.is_(BATCH, "done"):
        yield event
        return
    line = event.line
    for text in line["out"].splitlines():
        yield Event(line["id"], parsed(text.encode()))
    yield Event(line["id"], {"event": "ended", "code": line["code"], "err": line["err"]})


def counted(outboxes: str, lane: int) -> dict[str, int]:
    """Return `received` and `missing` of a lane, summed over its outboxes.

    `outboxes` is what `turnike-backoffice reports list --json` printed.
    """
    of_lane = [outbox for outbox in json.loads(outboxes) if outbox["lane"] == lane]
    return {name: sum(outbox[name] for outbox in of_lane) for name in ("received", "missing")}
