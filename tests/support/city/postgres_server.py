"""A PostgreSQL of the tests' own: a cluster in a new folder, with a socket there and no port.

A user who is not root runs it.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

NAME = "turnike"
DEBIAN = Path("/usr/lib/postgresql")  # where its package puts programs that are not on the PATH
OPTIONS = "-c listen_addresses='' -c max_connections=30 -c shared_buffers=32MB"
# A test needs the isolation of transactions; it does not need their durability.
NOT_DURABLE = "-c fsync=off -c full_page_writes=off"


class PostgresServer:
    """A running server. Each database that it gives is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def new_database(self) -> str:
        """The URL of an empty registry: a new schema, which is made faster than a database."""
        name = f"city{next(self._numbers)}"
        with psycopg.connect(
            host=str(self._folder), user=NAME, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
        return f"{self.url(NAME, 'postgres')}&options=-csearch_path%3D{name}"

    def run_script(self, path: Path) -> None:
        """Run a file of SQL as the superuser; each statement ends a line."""
        lines = [line for line in path.read_text().splitlines() if not line.startswith("--")]
        with psycopg.connect(
            host=str(self._folder), user=NAME, dbname="postgres", autocommit=True
        ) as connection:
            for statement in filter(str.strip, "\n".join(lines).split(";\n")):
                connection.execute(statement.encode())

    def url(self, role: str, database: str) -> str:
        """The URL of a database for this role."""
        return f"postgresql+psycopg://{role}@/{database}?host={self._folder}"


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server for the length of a block; the test is skipped where PostgreSQL is not installed.

    Only a `durable` server syncs what it commits.
    """
    options = OPTIONS if durable else f"{OPTIONS} {NOT_DURABLE}"
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="turnike-pg-"))  # short: a socket's path has 107 bytes
    user = _user()
    if user is not None:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, *arguments],
            user=user,
            extra_groups=None if user is None else [],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {(folder / 'log').read_text()[-2_000:]}"

    data = str(folder / "data")
    try:
        with (folder / "log").open("wb") as log:
            run(
                "initdb",
                "-D",
                data,
                "-U",
                NAME,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            )
            run("pg_ctl", "-D", data, "-w", "-o", f"{options} -k {folder}", "start")
            try:
                yield PostgresServer(folder)
            finally:
                run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    on_path = shutil.which("pg_ctl")
    found = [path for path in DEBIAN.glob("*/bin") if (path / "pg_ctl").exists()]
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    return (
        max(found, key=lambda path: float(path.parent.name)) if found else Path(str(on_path)).parent
    )


def _user() -> str | None:
    """The user who runs PostgreSQL, which refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
