"""SQLite's "disk I/O error" on a full disk is reported as what it is; on any other it stays."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from backoffice.registry.database import Database
from backoffice.registry.registry import RegistryError


@pytest.mark.parametrize(
    ("free", "reason"), [(0, "No space left on device"), (1, "disk I/O error")]
)
def test_an_io_error_names_the_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, reason: str
) -> None:
    url = f"sqlite:///{tmp_path}/registry.db"
    with closing(Database(url)) as database:
        monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=free))

        def fails(*_: object, **__: object) -> None:
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

        monkeypatch.setattr(sa.engine.Connection, "execute", fails)
        with pytest.raises(RegistryError) as refused, database.reading() as connection:
            connection.execute(sa.text("SELECT 1"))
    assert str(refused.value) == f"{url}: {reason}"
