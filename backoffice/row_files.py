"""CSV and JSON Lines as rows of text fields, a line a row, whatever the bytes are: each line that is none is one refused row.

A field of CSV cannot hold a line end here: no card does, and a quote that is never closed must not swallow the rest of the file.
Memory stays within a chunk and a line, of however many and however long lines the file is.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from io import BufferedReader
from typing import NamedTuple

import msgspec

from backoffice.card_rows import Fields, Reason, Refused

LINE_BYTES_MAX = 4_096  # forty times what a row needs
CHUNK_BYTES = 1 << 20
COLUMNS = Fields._fields

Parse = Callable[[bytes | None], Fields]
"""The fields of a line, None if it was too long; raises Refused."""

_GZIP = b"\x1f\x8b"
_PEEK_BYTES = 64
_BOM = b"\xef\xbb\xbf"
_QUOTE = '"'


class Format(StrEnum):
    """How a file holds rows."""

    CSV = "csv"
    JSONL = "jsonl"


class RowFileError(Exception):
    """The file cannot be read as rows at all; the message is one clear line and shows nothing that stands in it but names of columns."""


class Line(NamedTuple):
    """A line of a file: its number, from 1, and its bytes without the line end; None if it has more than LINE_BYTES_MAX."""

    number: int
    content: bytes | None


class Rows(NamedTuple):
    """An open file of rows: its lines, and how to parse one."""

    lines: Iterator[Line]
    parse: Parse


def opened(file: BufferedReader, columns: Sequence[str], format_: Format | None = None) -> Rows:
    """The rows of a file, packed by gzip or not. Without a format it is JSON Lines if it begins with "{". Raises RowFileError, OSError.

    So does taking its lines.
    """
    if file.peek(len(_GZIP)).startswith(_GZIP):
        file = BufferedReader(gzip.GzipFile(fileobj=file))
    with _whole():
        begins = file.peek(_PEEK_BYTES)[:_PEEK_BYTES].removeprefix(_BOM).lstrip()
    if format_ is None:
        format_ = Format.JSONL if begins.startswith(b"{") else Format.CSV
    found = lines(file)
    return Rows(found, _parser(found, format_, columns))


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise RowFileError("is a damaged gzip file; nothing of it was imported") from None


def lines(file: BufferedReader) -> Iterator[Line]:
    """The lines of a file that are not empty. A byte order mark at its beginning is passed over. Raises RowFileError, OSError."""
    number, rest, is_long = 0, b"", False
    while chunk := _read(file):
        *whole, tail = chunk.split(b"\n")
        for content in whole:
            number += 1
            yield from _line(number, rest + content if rest else content, is_long)
            rest, is_long = b"", False
        is_long = is_long or len(rest) + len(tail) > LINE_BYTES_MAX + 1  # one for the CR
        rest = b"" if is_long else rest + tail
    yield from _line(number + 1, rest, is_long)


def _read(file: BufferedReader) -> bytes:
    with _whole():
        return file.read(CHUNK_BYTES)


def _line(number: int, content: bytes, is_long: bool) -> Iterable[Line]:
    if number == 1 and content.startswith(_BOM):
        content = content[len(_BOM) :]
    content = content.removesuffix(b"\r")
    if is_long or len(content) > LINE_BYTES_MAX:
        return (Line(number, None),)
    return (Line(number, content),) if content else ()


def _parser(found: Iterator[Line], format_: Format, columns: Sequence[str]) -> Parse:
    """How to parse these lines; of CSV, the first is taken for it. `columns` are the names it may have. Raises RowFileError."""
    if format_ is Format.JSONL:
        return _json_lines(columns)
    header = next(found, None)
    if header is None:
        raise RowFileError(
            f"is empty; its first line should name the columns, which may be {', '.join(columns)}"
        )
    return _csv(header, columns)


def text_of(content: bytes | None) -> str:
    """A line as text. Raises Refused."""
    if content is None:
        raise Refused("", Reason.TOO_LONG)
    if b"\0" in content:
        raise Refused("", Reason.ZERO_BYTE)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused("", Reason.NOT_UTF8) from None


def _csv(header: Line, columns: Sequence[str]) -> Parse:
    try:
        first = text_of(header.content)
        separator = ";" if ";" in first and "," not in first else ","  # as some spreadsheets write it
        names = [name.strip().lower() for name in _split(first, separator)]
    except Refused as error:
        raise RowFileError(f"line {header.number}: {error}; it should name the columns") from None
    unknown = [name for name in names if name not in columns]
    if unknown or not {"uid", "number"} & set(names):
        told = ", ".join(columns)
        raise RowFileError(f"line {header.number}: should name the columns, which may be {told}")
    if len(set(names)) != len(names):
        raise RowFileError(f"line {header.number}: names a column twice")
    places = [names.index(name) if name in names else len(names) for name in COLUMNS]

    def parse(content: bytes | None) -> Fields:
        values = _split(text_of(content), separator)
        if len(values) != len(names):
            raise Refused("", Reason.WRONG_COLUMNS)
        values.append("")  # the place of what the file has no column for
        return Fields(*[values[place].strip() for place in places])

    return parse


def _split(text: str, separator: str) -> list[str]:
    if _QUOTE not in text:
        return text.split(separator)
    try:
        return next(csv.reader([text], delimiter=separator, strict=True))
    except csv.Error:
        raise Refused("", Reason.NOT_CSV) from None


def _json_lines(columns: Sequence[str]) -> Parse:
    known = frozenset(columns)
    decoder = msgspec.json.Decoder(dict[str, str | int | float | bool | None])

    def parse(content: bytes | None) -> Fields:
        try:
            values = decoder.decode(text_of(content))
        except (msgspec.MsgspecError, RecursionError, ValueError):
            raise Refused("", Reason.NOT_JSON) from None
        if not values.keys() <= known:
            raise Refused("", Reason.UNKNOWN_KEY)
        return Fields(*[_json_text(name, values.get(name)) for name in COLUMNS])

    return parse


def _json_text(name: str, value: object) -> str:
    """A value as the text that CSV would have. A printed number must be text: as a number it loses its zeros, or its last digit."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if name == "ends" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refused(name, Reason.NOT_TEXT)
