"""The log beside an outbox's database (SQLite's write-ahead log), read before SQLite opens it.

    log = read_log(path)             # behind_the_rot is None: it is whole, or torn by a power cut
    cut_off(path, log.end)

SQLite reads a log as far as its checksums hold and silently drops the rest. That is right for the
last transaction, which a power cut may tear. But each transaction is on the disk before the next
one begins. So a bad frame with a whole transaction behind it is rot, and that transaction was
acknowledged. https://www.sqlite.org/fileformat2.html#walformat
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct, unpack
from typing import BinaryIO, NamedTuple

from validator.reports.stored_report import RECORD_CHARACTERS_MAX, RecordError, StoredReport, decode

_HEADER = Struct(">6I2I")  # magic, version, page size, checkpoint, two salts; its checksum
_FRAME = Struct(">6I")  # page, pages after a commit or 0, two salts, checksum
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of checksums
_PAGE_BYTES = {512 << doubled for doubled in range(8)}
_STEP_BYTES = 1 << 20
_RECORD = re.compile(rb'[0-9a-f]{8} \{"report_id":[^{}]{1,%d}\}' % RECORD_CHARACTERS_MAX)


class _Frame(NamedTuple):
    """One frame: a page as it was written."""

    number: int
    is_ours: bool
    """Whether it belongs to this run of the log, and was not left by an earlier one."""
    is_commit: bool
    is_good: bool
    """Whether all checksums up to this frame hold."""
    page: bytes


class Log(NamedTuple):
    """The result of reading a log."""

    end: int
    """In bytes: SQLite drops everything from here on."""
    behind_the_rot: list[StoredReport] | None
    """The readable reports behind `end`, if an acknowledged transaction is there; else None.

    Some may be delivered already: a page keeps deleted rows until it needs the room. The back
    office stores none twice.
    """


def read_log(path: Path) -> Log:
    """Read a whole log; a missing file is an empty log. Raises OSError."""
    end = 0
    found: dict[str, StoredReport] = {}
    # The pages of this transaction. None writes a page twice, so a second frame of a page proves
    # that a transaction has ended, even if the frame of its end is unreadable.
    written: set[int] = set()
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
    """Truncate a log at `end` bytes and sync it. Raises OSError.

    Else the frames of a torn transaction would follow the next transaction.
    """
    with suppress(FileNotFoundError), path.open("r+b") as log:
        if log.seek(0, os.SEEK_END) > end:
            log.truncate(end)
            os.fsync(log.fileno())


def committed_pages(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the committed pages, in the order of writing. Raises OSError."""
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
    """Yield every report whose record is whole anywhere in a file, some more than once.

    For a database whose table SQLite no longer finds. A record lies within one page, so none is in
    two parts. A delivered one may still be there. Raises OSError.
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
    """Guess page size and salts of a log with a rotten header.

    The salts are those of the first frame. They come again at the distance of one frame.
    """
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
