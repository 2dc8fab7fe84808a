"""The log beside an outbox's database (SQLite's write-ahead log), read frame by frame before SQLite opens it.

    log = read_log(path)             # log.behind_the_rot is None: it is whole, or ends where a power cut would end it
    cut_off(path, log.end)

SQLite goes by a log as far as its checksums hold and forgets the rest without a word. That is right for the last transaction, which a power cut may
tear. But each transaction is on the disk before the next one begins, so a bad frame with a whole transaction behind its own is rot, and what stands
behind it was acknowledged. https://www.sqlite.org/fileformat2.html#walformat
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct, unpack
from typing import BinaryIO, NamedTuple

from validator.reports.stored_report import RECORD_CHARACTERS_MAX, RecordError, StoredReport, decode

_HEADER = Struct(">6I2I")  # magic, version, page size, checkpoint, salt 1, salt 2; its own checksum
_FRAME = Struct(">6I")  # page, pages of the database after a commit or 0, salt 1, salt 2, checksum
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # by the order of bytes in which checksums are made
_PAGE_BYTES = {512 << doubled for doubled in range(8)}
_STEP_BYTES = 1 << 20
_RECORD = re.compile(rb'[0-9a-f]{8} \{"report_id":[^{}]{1,%d}\}' % RECORD_CHARACTERS_MAX)


class _Frame(NamedTuple):
    """One page as it was written."""

    number: int
    is_ours: bool
    """Of this run of the log; what an earlier run left behind is not."""
    is_commit: bool
    is_good: bool
    """Whether the checksums hold up to here, this one's included."""
    page: bytes


class Log(NamedTuple):
    """What a log holds."""

    end: int
    """In bytes: SQLite goes by nothing from here on."""
    behind_the_rot: list[StoredReport] | None
    """What can be read from there on, if an acknowledged transaction stands there; else None.

    Some may have been delivered meanwhile: a page keeps what was deleted until the room is needed. The back office takes none twice.
    """


def read_log(path: Path) -> Log:
    """Read all of a log. Raises OSError."""
    end = 0
    found: dict[str, StoredReport] = {}
    written: set[int] = (
        set()
    )  # by this transaction: none writes a page twice, should its end be what cannot be read
    is_rot = is_over = False
    with suppress(FileNotFoundError), path.open("rb") as log:
        for frame in _frames(log):
            if not frame.is_good:
                found.update((report.report_id, report) for report in _reports(frame.page))
            if frame.is_good and frame.is_commit:
                end = log.tell()
                written.clear()
            elif frame.is_ours:
                is_rot |= is_over or frame.number in written
                is_over |= frame.is_commit
                written.add(frame.number)
    return Log(end, list(found.values()) if is_rot else None)


def cut_off(path: Path, end: int) -> None:
    """End a log there, before anything is written behind: what a torn transaction left would follow the next one. Raises OSError."""
    with suppress(FileNotFoundError), path.open("r+b") as log:
        if log.seek(0, os.SEEK_END) > end:
            log.truncate(end)
            os.fsync(log.fileno())


def committed_pages(path: Path) -> Iterator[tuple[int, bytes]]:
    """The pages that SQLite would take from a log, by number, in the order in which they were written. Raises OSError."""
    begun: list[tuple[int, bytes]] = []
    with suppress(FileNotFoundError), path.open("rb") as log:
        for frame in _frames(log):
            if not frame.is_good:
                return
            begun.append((frame.number, frame.page))
            if frame.is_commit:
                yield from begun
                begun.clear()


def carve(path: Path) -> Iterator[StoredReport]:
    """Every report whose record stands whole anywhere in a file, in the file's order, some more than once. Raises OSError.

    For a database whose tables cannot be found any more. A record lies within one page, so none is in two parts; one
    that was delivered may still lie there.
    """
    with suppress(FileNotFoundError), path.open("rb") as file:
        before = b""
        while step := file.read(_STEP_BYTES):
            yield from _reports(before + step)
            before = step[-RECORD_CHARACTERS_MAX:]


def _frames(log: BinaryIO) -> Iterator[_Frame]:
    header = log.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return
    magic, _, page_bytes, _, *salts, _, _ = _HEADER.unpack(header)
    sums: tuple[int, int] = _HEADER.unpack(header)[6:]
    order = _MAGIC.get(magic, "<")
    is_good = magic in _MAGIC and _checksum(header[:24], order, (0, 0)) == sums
    if not is_good:
        page_bytes, salts = _guessed(log)
    if page_bytes not in _PAGE_BYTES:
        return
    while len(frame := log.read(_FRAME.size + page_bytes)) == _FRAME.size + page_bytes:
        number, pages, *its_salts, first, second = _FRAME.unpack_from(frame)
        if is_good:
            sums = _checksum(frame[:8] + frame[_FRAME.size :], order, sums)
            is_good = its_salts == salts and sums == (first, second)
        yield _Frame(number, its_salts == salts, pages > 0, is_good, frame[_FRAME.size :])


def _guessed(log: BinaryIO) -> tuple[int, list[int]]:
    """The page size and the salts of a log whose header is the rot: its first frame's, and the distance at which they come back."""
    at = log.tell()
    start = log.read(_FRAME.size + max(_PAGE_BYTES) + _FRAME.size)
    log.seek(at)
    again = start.find(start[8:16], _FRAME.size)
    return again - 8 - _FRAME.size, list(unpack(">2I", start[8:16].ljust(8, b"\0")))


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = iter(unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _reports(page: bytes) -> Iterator[StoredReport]:
    for record in _RECORD.findall(page):
        with suppress(RecordError):
            yield decode(record.decode(errors="replace"))
