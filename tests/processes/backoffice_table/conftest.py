"""Fixtures that the tests of this folder share."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backoffice.cli.program import main
from tests.support.city.table_city import CARD, OTHER, SHELVES, WORDS, _exporting
from tests.support.machine.command_table import (
    typed,
)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A folder with a published city, a draft that waits, keys of each kind, files for commands."""
    with TemporaryDirectory(dir=SHELVES) as name:
        folder = Path(name)

        def run(*arguments: str) -> None:
            ended = typed(main, *arguments)
            assert ended.code == 0, ended

        city, words = folder / "city", folder / "words"
        words.write_bytes(WORDS)
        (folder / "cards.csv").write_text(f"uid,number\n{CARD},1234567812345678\n{OTHER},\n")
        (folder / "today.csv").write_text(f"uid,state\n{CARD},in\n")
        run("init", str(city), "--development")
        run("import", "cards", str(folder / "cards.csv"), "--home", str(city))
        run("publish", "--home", str(city))
        for key in ("a", "b"):
            run("root-key", "make", key, "--out", name, "--passphrase-file", str(words))
        run("report-key", "make", "reports", "--out", name, "--passphrase-file", str(words))
        run("report-key", "make", "ministry", "--out", name, "--no-passphrase")
        run("report-key", "make", "exporter", "--out", name, "--signing", "--no-passphrase")
        run("enroll", "kadikoy-03", "--home", str(city))
        run("rotate", "timestamp", "root", "--add", str(folder / "a.pub"), "--home", str(city))
        for copy in ("draft.json", "signed.json"):
            shutil.copy(city / "root" / "2.root.draft.json", folder / copy)
        for path in sorted(city.rglob("development-[ab].pem")):
            run("root-key", "sign", str(folder / "signed.json"), "--key", str(path), "--yes")
        shutil.copy(city / "root" / "1.root.json", folder / "1.root.json")
        run("reports", "export", *_exporting(folder), str(folder / "march.export"))
        yield folder


@pytest.fixture
def folder(template: Path) -> Iterator[Path]:
    """A copy of it."""
    with TemporaryDirectory(dir=SHELVES) as name:
        shutil.copytree(template, name, dirs_exist_ok=True)
        for path in Path(name).rglob("*"):
            path.chmod((template / path.relative_to(name)).stat().st_mode)
        yield Path(name)
