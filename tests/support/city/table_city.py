"""The city, files and commands of the table of wrong input."""

import os
from pathlib import Path
from typing import NamedTuple

from backoffice.cli.program import main
from tests.support.machine.command_table import (
    typed,
)

PROGRAM, MODULE = "turnike-backoffice", "backoffice"


# In memory: on a disk each command waits for its fsyncs.
SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108


CARD, OTHER = "04a12b3c4d5e6f", "04a12b3c4d5e70"


WORDS = b"correct horse battery staple\n"
EXPORT = ("--from", "2020-01-01T00:00Z", "--who", "somebody")


def _exporting(folder: Path) -> tuple[str, ...]:
    keys = (
        "--key",
        "reports.pem",
        "--to",
        "ministry.pub",
        "--sign",
        "exporter.pem",
        "--passphrase-file",
        "words",
    )
    paths = (word if word.startswith("--") else str(folder / word) for word in keys)
    return ("--home", str(folder / "city"), *paths, *EXPORT)


class Place(NamedTuple):
    """A command, and which of its files is another. Words with @ are paths in the folder."""

    command: str
    file: str

    def words(self, folder: Path) -> tuple[str, ...]:
        return tuple(
            str(folder / word[1:]) if word.startswith("@") else word
            for word in self.command.split()
        )


SIGN = (
    "root-key sign @draft.json --key @a.pem --previous @1.root.json --passphrase-file @words --yes"
)


OUT = (
    "reports export --home @city --key @reports.pem --to @ministry.pub --sign @exporter.pem"
    " --passphrase-file @words --from 2020-01-01T00:00Z --who me @out"
)


OPEN = "reports open @march.export --key @ministry.pem --signer @exporter.pub"
PLACES = [
    Place("import cards @cards.csv --home @city", "cards.csv"),
    Place("import cards @cards.csv --home @city --json", "cards.csv"),
    Place("import cards @cards.csv --home @city --dry-run", "cards.csv"),
    Place("import suspended @today.csv --home @city", "today.csv"),
    Place("import suspended @today.csv --home @city --format jsonl", "today.csv"),
    Place("init @new --root @a.pub --root @b.pub", "a.pub"),
    Place("root-key make c --out @safe --passphrase-file @words", "words"),
    Place("report-key make c --out @safe --passphrase-file @words", "words"),
    *(Place(SIGN, file) for file in ("draft.json", "a.pem", "1.root.json", "words")),
    Place("root accept @signed.json --home @city", "signed.json"),
    Place("rotate root --add @a.pub --home @city", "a.pub"),
    *(Place(OUT, file) for file in ("reports.pem", "ministry.pub", "exporter.pem", "words")),
    *(Place(OPEN, file) for file in ("march.export", "ministry.pem", "exporter.pub")),
]


AT_HOME = {
    "import": "import suspended @today.csv",
    "publish": "publish",
    "publish --watch": "publish --watch",
    "serve": "serve --port 0",
    "suspend": f"suspend {CARD}",
    "lift": f"lift {CARD}",
    "add": f"add staff {CARD}",
    "remove": f"remove staff {CARD}",
    "show": "show",
    "show a card": f"show {CARD}",
    "rotate": "rotate snapshot",
    "rotate fingerprint-key": "rotate fingerprint-key --start",
    "root accept": "root accept @signed.json",
    "root discard": "root discard",
    "root show": "root show",
    "enroll": "enroll kadikoy-04",
    "strike-off": "strike-off kadikoy-03",
    "gates": "gates",
    "learn": "learn --log",
    "reports list": "reports list",
    "reports log": "reports log",
    "reports forget": "reports forget",
    "reports move": "reports move",
    "reports export": OUT.replace(" --home @city", ""),
}


BEFORE = {
    "publish": [f"suspend {CARD}"],
    "publish --watch": [f"suspend {CARD}"],
    "lift": [f"suspend {CARD}"],
    "remove": [f"add staff {CARD}"],
    "rotate": ["root discard"],  # what waits in the template
}


def _prepare(folder: Path, name: str) -> None:
    """Let there be something for this command to change."""
    _configure(folder, name)
    for command in BEFORE.get(name, ()):
        assert typed(main, *command.split(), "--home", str(folder / "city")).code == 0


def _configure(folder: Path, name: str) -> None:
    """Let the configuration be one with which this command has something to do."""
    if name == "reports move":
        config = folder / "city" / "backoffice.toml"
        database = f'[receiver]\ndatabase = "sqlite:///{folder}/city/reports.db"\n'
        config.write_text(config.read_text().replace("[receiver]\n", database, 1))


def _home(folder: Path, name: str) -> tuple[str, ...]:
    return (*Place(AT_HOME[name], "").words(folder), "--home", str(folder / "city"))
