"""The registry's database: how it is opened, who may write, and how a batch is loaded.

What the tables mean is in registry.py.

There is one writer at a time over all processes, and readers never wait. On SQLite a writer locks a
file beside the database: SQLite up to 3.51.2 can lose commits when one connection checkpoints a WAL
while another writes (sqlite.org/wal.html#walresetbug), and a commit does both. On PostgreSQL a
writer locks one row. So writing transactions have one order on both.
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from backoffice.home.folder import secret_mode
from backoffice.registry.schema import SCHEMA_VERSION, counters, incoming, metadata
from validator.errors import OperatorError
from validator.host.plain_files import SECRET_MODE

LOCK_WAIT_S = 30.0  # an import holds the lock for a second or two a batch
_LOCK_POLL_S = 0.01
_CACHE_KIB = (
    256 * 1024
)  # the pages that a batch of an import touches; with less, some are written twice
_WAL_BYTES_KEPT = 64 << 20
_FETCHED_ROWS = 20_000  # of a long read at a time: some megabytes

OPEN_VERSION = "open_version"
CARDS_ADDED = "cards_added"
CARDS_CHECKED = "cards_checked"
_SCHEMA = "schema"
_POSTGRES = "postgresql+psycopg"

IncomingRow = tuple[bytes, int | None, int | None, bool | None]
"""uid, number, ends_unix_s, is_in."""


class RegistryError(OperatorError):
    """The registry cannot be used. The message is one line that names no card."""


class Database:
    """A database with the registry's tables. Its methods raise RegistryError."""

    def __init__(self, url: str) -> None:
        """Open the database of this SQLAlchemy URL, and make its tables if it is new.

        The URL is like sqlite:////path/registry.db or postgresql+psycopg://….
        """
        self._url = _checked(url)
        self._name = self._url.render_as_string(hide_password=True)
        self.is_sqlite = self._url.drivername == "sqlite"
        # The threads of this process wait here, before the lock between processes.
        self._turn = threading.Lock()
        self._engine = sa.create_engine(
            self._url,
            hide_parameters=True,
            pool_pre_ping=not self.is_sqlite,
            **_connection_options(self._url),
        )
        sa.event.listen(
            self._engine, "connect", _sqlite_session if self.is_sqlite else _postgres_session
        )
        sa.event.listen(self._engine, "begin", _begin)
        if self.is_sqlite:
            _make_secret(str(self._url.database))
        with self._one_line():
            self._create()

    @property
    def insert(self) -> Any:
        """The dialect's own `insert`, with ON CONFLICT."""
        return sqlite.insert if self.is_sqlite else postgresql.insert

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reading. Each statement sees one state of the database."""
        with self._one_line(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, keep: bool = True) -> Iterator[sa.Connection]:
        """A writing transaction, the only one of all processes.

        It is durable when the block ends; undone if the block raises, or with `keep=False`.
        """
        with (
            self._one_line(),
            self._locked(),
            self._writer() as connection,
        ):
            connection.execute(
                sa.select(counters.c.value).where(counters.c.name == OPEN_VERSION).with_for_update()
            )
            yield connection
            if keep:
                connection.commit()
            else:
                connection.rollback()

    @contextmanager
    def adding(self) -> Iterator[sa.Connection]:
        """A transaction that only adds rows, durable when the block ends.

        On PostgreSQL it waits for no other writer.
        """
        if self.is_sqlite:
            with self.writing() as connection:
                yield connection
            return
        with self._one_line(), self._writer() as connection:
            yield connection
            connection.commit()

    def stream(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any]
    ) -> Generator[Sequence[Any], None, None]:
        """The rows of a long read, in bounded memory, all from one state of the database."""
        with self.reading() as connection:
            result = connection.execution_options(yield_per=_FETCHED_ROWS).execute(statement)
            for rows in result.partitions():
                yield from rows

    def batches(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any]
    ) -> Iterator[Sequence[Any]]:
        """As `stream`, but thousands of plain tuples at a time, ten times as fast.

        SQLite's booleans are 0 and 1 in them.
        """
        with self.reading() as connection:
            # The driver's own cursor: SQLAlchemy's rows cost most of the time. Its cursor must not
            # be shared, since SQLAlchemy buffers rows of it.
            literal = {"literal_binds": True}  # they are numbers
            text = str(statement.compile(dialect=connection.dialect, compile_kwargs=literal))
            connection.exec_driver_sql("SELECT 1")  # which begins the transaction
            driver: Any = connection.connection
            cursor = driver.cursor() if self.is_sqlite else driver.cursor("batches")
            with closing(cursor):
                cursor.execute(text)
                while rows := cursor.fetchmany(_FETCHED_ROWS):
                    yield rows

    def stage(self, connection: sa.Connection, rows: Iterable[IncomingRow]) -> None:
        """Load a batch into `incoming`, in place of the one before.

        `connection` is one of `writing`.
        """
        if self.is_sqlite:
            connection.exec_driver_sql("DELETE FROM incoming")
            cursor: Any = connection.connection.cursor()
            cursor.executemany("INSERT INTO incoming VALUES (?, ?, ?, ?)", rows)
            return
        connection.exec_driver_sql("TRUNCATE incoming")
        cursor = connection.connection.cursor()
        with cursor.copy("COPY incoming FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bytea", "int8", "int8", "bool"])
            for row in rows:
                copy.write_row(row)
        # Else the planner joins a batch as if it were as large as the city.
        connection.exec_driver_sql("ANALYZE incoming")

    def close(self) -> None:
        """Close the database.

        On SQLite the last connection to close writes the WAL back, while the lock keeps writers
        out.
        """
        with self._one_line(), self._locked():
            self._engine.dispose()

    def _writer(self) -> sa.Connection:
        # preserve_rowcount: psycopg's rowcount of an INSERT would be -1 otherwise.
        return self._engine.connect().execution_options(writes=True, preserve_rowcount=True)

    def _create(self) -> None:
        with (
            self._locked(),
            self._writer() as connection,
        ):
            if not self.is_sqlite:
                # Two programs may start for the first time at once.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8427)")
            metadata.create_all(connection)
            start = {OPEN_VERSION: 1, CARDS_ADDED: 0, CARDS_CHECKED: 0, _SCHEMA: SCHEMA_VERSION}
            fresh = self.insert(counters).on_conflict_do_nothing()
            connection.execute(
                fresh, [{"name": name, "value": value} for name, value in start.items()]
            )
            found = counter(connection, _SCHEMA)
            if found != SCHEMA_VERSION:
                raise RegistryError(
                    f"{self._name}: its tables are of version {found},"
                    f" this program's of version {SCHEMA_VERSION}"
                )
            connection.commit()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        path = f"{self._url.database}.lock"
        # A file's lock wakes no waiter; it has to be polled. Threads that polled it would leave it
        # idle most of the time.
        if not self._turn.acquire(timeout=LOCK_WAIT_S):
            raise _is_held(path)
        try:
            with _lock_file(path):
                yield
        finally:
            self._turn.release()

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        """Turn a database's error into one line, without the statement and its values."""
        try:
            yield
        except DBAPIError as error:
            line = next(iter(str(error.orig).splitlines()), type(error.orig).__name__)
            if line == "disk I/O error" and self._is_on_a_full_disk():
                line = os.strerror(errno.ENOSPC)  # SQLite's words for a WAL index without room
            raise RegistryError(f"{self._name}: {line}") from error
        except SQLAlchemyError as error:
            raise RegistryError(f"{self._name}: {str(error).splitlines()[0]}") from error

    def _is_on_a_full_disk(self) -> bool:
        try:
            return os.statvfs(Path(str(self._url.database)).parent).f_bavail == 0
        except OSError:
            return False


def counter(connection: sa.Connection, name: str) -> int:
    """The value of a counter."""
    value: int = connection.execute(
        sa.select(counters.c.value).where(counters.c.name == name)
    ).scalar_one()
    return value


def set_counter(connection: sa.Connection, name: str, value: int) -> None:
    """Set a counter, in a writing transaction."""
    connection.execute(sa.update(counters).where(counters.c.name == name).values(value=value))


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:  # its message holds the text, and the text may hold a password
        raise RegistryError(
            "database in backoffice.toml is no URL; write for example sqlite:////path/registry.db"
        ) from None
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:" or url.query:
            raise RegistryError(
                "database in backoffice.toml names no file;"
                " write for example sqlite:////path/registry.db"
            )
        if not Path(url.database).parent.is_dir():
            raise RegistryError(f"{url.database}: its folder is not there; make the folder")
    elif url.drivername != _POSTGRES:
        raise RegistryError(
            f"database in backoffice.toml names {url.drivername}; use sqlite or {_POSTGRES}"
        )
    return url


def _make_secret(path: str) -> None:
    """Make a database file that its owner alone can read: it names the suspended.

    SQLite, which would make it otherwise, gives the files beside it the same mode. An existing file
    is not opened: closing it would release the locks of every connection that this process has to
    it. Another process would take itself for the last one and remove the WAL, and neither would see
    what the other commits (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        os.close(_made_secret(path))
    except FileExistsError:
        pass
    except OSError as error:
        raise RegistryError(f"{path}: cannot be opened ({error.strerror})") from error


def _made_secret(path: str) -> int:
    """Make and open a new file; in a shared folder for its group too (`secret_mode`).

    Raises OSError.
    """
    mode = secret_mode(Path(path).parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET_MODE)
    os.fchmod(fd, mode)
    return fd


def _connection_options(url: URL) -> dict[str, Any]:
    if url.drivername == "sqlite":
        return {"connect_args": {"timeout": LOCK_WAIT_S, "check_same_thread": False}}
    return {}


def _sqlite_session(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # the driver must not begin transactions
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # in WAL mode only FULL syncs at each commit
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute(_staging_table(sqlite.dialect()))
    cursor.close()


def _postgres_session(connection: Any, record: object) -> None:
    del record
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_WAIT_S:.0f}s'")
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
        cursor.execute(_staging_table(dialect))
    connection.commit()


def _staging_table(dialect: sa.Dialect) -> str:
    return str(CreateTable(incoming).compile(dialect=dialect))


def _begin(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _lock_file(path: str) -> Iterator[None]:
    try:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            with suppress(FileExistsError):  # another process was first
                os.close(_made_secret(path))
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise RegistryError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        _wait_for(fd, path)
        yield
    finally:
        os.close(fd)  # releases the lock, as the end of the process does


def _is_held(path: str) -> RegistryError:
    return RegistryError(
        f"{path}: another command has been writing for {LOCK_WAIT_S:.0f} s;"
        " try again when it has ended"
    )


def _wait_for(fd: int, path: str) -> None:
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise _is_held(path) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return
