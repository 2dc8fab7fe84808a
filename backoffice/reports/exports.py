"""Takes reports out for the authority: opens what is sealed, writes the file that the authority alone can read, and writes down who took what.

    done = export(store, Opener(keys), order, path)      # raises OperatorError, OSError

The log is written before the file gets its key and its name: there is no export that it does not know. Killed before, there is at most a file
`.new-…` that nobody can read, or one that the log knows; the next export into that folder removes it.
"""

import fcntl
import os
import secrets
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backoffice.home.folder import DAY_S
from backoffice.reports.export_file import ExportWriter, Header
from backoffice.reports.keys import CannotOpenError, Opener
from backoffice.reports.store import Export, ReportStore
from validator.errors import OperatorError
from validator.host.durable import TEMPORARY, sync_folder
from validator.host.plain_files import SECRET_MODE
from validator.reports.sealing_keys import sealing_key_id

SETTLED_S = 300
"""How long after a moment no report can come any more that was received before it: ten times the wait for the database's lock.

Otherwise a report that is being written while its period is exported would be in no export ever.
"""
SAY_EACH = 5_000
_DRAWN_BYTES = 4
_LEFT = f"{TEMPORARY}{'[0-9a-f]' * 2 * _DRAWN_BYTES}-*"

Say = Callable[[str, int, int], None]


class Order(NamedTuple):
    """What to export: reports received in [from, up to), by whom, signed with which key, for whom, sealed to which key. Times in Unix seconds."""

    from_unix_s: int
    up_to_unix_s: int
    made_unix_s: int
    who: str
    signing: Ed25519PrivateKey
    to_name: str
    to: bytes


class Done(NamedTuple):
    """An export: its row of the log, and how many reports went without a UID, by the reason."""

    logged: Export
    without: Mapping[str, int]


def export(
    store: ReportStore,
    opener: Opener,
    order: Order,
    path: Path,
    say: Say = lambda _what, _done, _all: None,
) -> Done:
    """Export to a file that was not there. Raises OperatorError, OSError; then there is none."""
    steps = export_steps(store, opener, order, path, say)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Done = done.value
            return result


def export_steps(
    store: ReportStore,
    opener: Opener,
    order: Order,
    path: Path,
    say: Say = lambda _what, _done, _all: None,
) -> Generator[str, None, Done]:
    """The same, step by step, so that a test can kill between any two."""
    if order.up_to_unix_s > order.made_unix_s - SETTLED_S:
        raise OperatorError(
            f"reports of the last {SETTLED_S // 60} minutes are not exported yet: more of that time may be coming in"
        )
    if order.from_unix_s >= order.up_to_unix_s:
        raise OperatorError("the period ends before it begins")
    witnessed_unix_s = store.witnessed().best_unix_s
    if witnessed_unix_s is not None and order.up_to_unix_s > witnessed_unix_s + DAY_S:
        # By a clock that runs ahead: what comes until that time would be in no export, since the next one begins there.
        raise OperatorError(
            "the period ends more than a day after any gate has spoken last: set the clock, or end the period earlier"
            " (--up-to)"
        )
    _refuse_if_there(path)
    without: Counter[str] = Counter()
    temporary, fd = _begin(path)
    try:
        with os.fdopen(fd, "wb") as out:
            writer = ExportWriter(out, order.to, order.signing)
            count = _write(writer, store, opener, order, without, say)
            sha256 = writer.end()
            out.flush()
            yield "written"
            logged = _log(store, order, count, sha256)
            yield f"logged {logged.number}"
            writer.release()
            out.flush()
            yield "released"
            os.fsync(out.fileno())
        yield "synced"
        _take_name(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    yield f"renamed {path.name}"
    sync_folder(path.parent)
    yield "folder synced"
    return Done(logged, dict(without))


def _write(
    writer: ExportWriter,
    store: ReportStore,
    opener: Opener,
    order: Order,
    without: Counter[str],
    say: Say,
) -> int:
    """The header and a line for each report; returns how many reports."""
    with closing(store.select(order.from_unix_s, order.up_to_unix_s)) as rows:
        return _write_rows(writer, rows, opener, order, without, say)


def _write_rows(
    writer: ExportWriter,
    rows: Iterator[Mapping[str, Any]],
    opener: Opener,
    order: Order,
    without: Counter[str],
    say: Say,
) -> int:
    first = next(rows, None)
    count = int(first["selected"]) if first else 0
    writer.line(
        Header(
            exporter=order.signing.public_key().public_bytes_raw().hex(),
            who=order.who,
            to=sealing_key_id(order.to).hex(),
            made_unix_s=order.made_unix_s,
            from_unix_s=order.from_unix_s,
            up_to_unix_s=order.up_to_unix_s,
            reports=count,
        )
    )
    for done, row in enumerate(chain(filter(None, [first]), rows), start=1):
        writer.line(_told(row, opener, without))
        if done % SAY_EACH == 0:
            say("exporting", done, count)
    return count


def _told(row: Mapping[str, Any], opener: Opener, without: Counter[str]) -> dict[str, Any]:
    """What the authority gets of a report: the UID in hex in place of what was sealed, or why there is none."""
    left_out = ("sealed", "sealed_to", "selected")
    told: dict[str, Any] = {name: value for name, value in row.items() if name not in left_out}
    try:
        told["uid"] = opener.uid(row["sealed"], row["sealed_to"]).hex()
    except CannotOpenError as error:
        told["uid"], told["no_uid"] = None, str(error)
        without[str(error)] += 1
    return told


def _log(store: ReportStore, order: Order, count: int, sha256: str) -> Export:
    to = f"{order.to_name} {sealing_key_id(order.to).hex()}"
    period = (order.from_unix_s, order.up_to_unix_s)
    row = Export(0, order.made_unix_s, order.who, to, *period, count, sha256)
    return row._replace(number=store.log_export(row))


def _begin(path: Path) -> tuple[Path, int]:
    """A new file beside this one that this process alone is at; what killed exports left there is gone."""
    for left in path.parent.glob(_LEFT):
        _remove_if_left(left)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        drawn = secrets.token_hex(_DRAWN_BYTES)  # two may be at it
        temporary = path.with_name(f"{TEMPORARY}{drawn}-{path.name}")
        fd = os.open(temporary, flags, SECRET_MODE)
        with suppress(OSError):  # where nobody can lock, nobody removes
            fcntl.flock(fd, fcntl.LOCK_EX)
        if temporary.exists():
            return temporary, fd
        os.close(fd)  # another export came before our lock, and took it for one that was left


def _remove_if_left(temporary: Path) -> None:
    """Remove it if no process is at it: the lock of an export ends with its process, however that ends."""
    with suppress(OSError):
        fd = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()
        finally:
            os.close(fd)


def _take_name(temporary: Path, path: Path) -> None:
    """A rename, but for a name that somebody else may have taken meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        _refuse_if_there(path)
        raise
    except OSError:  # a stick's file system may have no second names
        _refuse_if_there(path)
        temporary.rename(path)
    else:
        temporary.unlink()


def _refuse_if_there(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise OperatorError(f"{path}: is there already, and an export is never overwritten")
