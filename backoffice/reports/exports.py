"""Exports reports for the authority, and logs who exported what.

    done = export(store, Opener(keys), order, path)      # raises OperatorError, OSError

The log is written before the file gets its key and its name, so the log knows every export. A
killed export leaves at most a file `.new-…` that is unreadable or logged; the next export into that
folder removes it.
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
from backoffice.home.steps import finished
from backoffice.reports.export_file import ExportWriter, Header
from backoffice.reports.keys import CannotOpenError, Opener
from backoffice.reports.store import Export, ReportStore
from validator.errors import OperatorError
from validator.host.durable import TEMPORARY, sync_folder
from validator.host.plain_files import SECRET_MODE
from validator.reports.sealing_keys import sealing_key_id

SETTLED_S = 300
"""The age in seconds from which on every report of a period is stored.

It is ten times the wait for the database's lock. A report that is being stored while its period is
exported would be missing from every export.
"""
SAY_EACH = 5_000
_DRAWN_BYTES = 4
_LEFT = f"{TEMPORARY}{'[0-9a-f]' * 2 * _DRAWN_BYTES}-*"

Say = Callable[[str, int, int], None]


class Order(NamedTuple):
    """What to export: reports received in [from, up to), in Unix seconds, and by and for whom.

    `who` is the exporter's name and `signing` the exporter's key; `to` is the authority's public
    key and `to_name` its name.
    """

    from_unix_s: int
    up_to_unix_s: int
    made_unix_s: int
    who: str
    signing: Ed25519PrivateKey
    to_name: str
    to: bytes


class Done(NamedTuple):
    """A finished export: its row of the log, and how many reports lack a UID, by the reason."""

    logged: Export
    without: Mapping[str, int]


def export(
    store: ReportStore,
    opener: Opener,
    order: Order,
    path: Path,
    say: Say = lambda _what, _done, _all: None,
) -> Done:
    """Export to a new file. Raises OperatorError, OSError, and leaves no file then."""
    return finished(export_steps(store, opener, order, path, say))


def export_steps(
    store: ReportStore,
    opener: Opener,
    order: Order,
    path: Path,
    say: Say = lambda _what, _done, _all: None,
) -> Generator[str, None, Done]:
    """`export` in steps, so that a test can kill it between any two."""
    if order.up_to_unix_s > order.made_unix_s - SETTLED_S:
        raise OperatorError(
            f"--up-to: reports of the last {SETTLED_S // 60} minutes cannot be exported yet:"
            " more of them may be arriving; end the period earlier"
        )
    if order.from_unix_s >= order.up_to_unix_s:
        raise OperatorError("the period ends before it begins: --from must be before --up-to")
    witnessed_unix_s = store.witnessed().best_unix_s
    if witnessed_unix_s is not None and order.up_to_unix_s > witnessed_unix_s + DAY_S:
        # This clock runs ahead. The next export begins where this one ends, so reports that arrive
        # until then would be in no export.
        raise OperatorError(
            "the period ends more than a day after the last status of any gate:"
            " set the clock, or end the period earlier (--up-to)"
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
    """Write the header and a line for each report. Returns how many reports."""
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
    """What the authority gets of a report.

    It has the UID in hex instead of the sealed one, or why there is none.
    """
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
    """Make a new locked file beside `path`, and remove what killed exports left there."""
    for left in path.parent.glob(_LEFT):
        _remove_if_left(left)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        drawn = secrets.token_hex(_DRAWN_BYTES)  # two exports may run at once
        temporary = path.with_name(f"{TEMPORARY}{drawn}-{path.name}")
        fd = os.open(temporary, flags, SECRET_MODE)
        with suppress(OSError):  # where locks fail, _remove_if_left removes nothing
            fcntl.flock(fd, fcntl.LOCK_EX)
        if temporary.exists():
            return temporary, fd
        os.close(fd)  # another export removed it before it was locked


def _remove_if_left(temporary: Path) -> None:
    """Remove a file that no process writes: the lock of an export ends with its process."""
    with suppress(OSError):
        fd = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()
        finally:
            os.close(fd)


def _take_name(temporary: Path, path: Path) -> None:
    """Rename, but fail if another program has made `path` meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        _refuse_if_there(path)
        raise
    except OSError:  # a memory stick's file system may have no hard links
        _refuse_if_there(path)
        temporary.rename(path)
    else:
        temporary.unlink()


def _refuse_if_there(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise OperatorError(f"{path}: is there already, and an export is never overwritten")
