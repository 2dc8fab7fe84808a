"""CSV and JSON Lines as rows of text fields, a line a row.

Each line that is no row is refused alone.

What spreadsheets write is read as it is meant: commas, semicolons, tabs or bars; `sep=;` before the
names; UTF-16; lines that end in CR, LF or both; `="text"` and `'text`. A workbook is not read: it
holds long numbers rounded to 15 digits, and the loss would not show.

A CSV field here cannot hold a line end: no card does, and an unclosed quote must not take in the
rest of the file. Memory is bounded by a chunk and a line, whatever the file is.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from io import BufferedReader
from typing import NamedTuple

import msgspec

from backoffice.imports.card_rows import Fields, Reason, Refused
from backoffice.imports.row_bytes import BOM, Chunks, RowFileError, begun, other_text

__all__ = ["Format", "Line", "RowFileError", "Rows", "lines", "opened"]

LINE_BYTES_MAX = 4_096  # forty times what a row needs
COLUMNS = Fields._fields
SEPARATORS = ",;\t|"

Parse = Callable[[bytes | None], Fields]
"""Takes a line, None if it was too long, and returns its fields; raises Refused."""

_QUOTE = '"'
_BLANK = b" ,;\t|"  # spreadsheets save such rows for cells that were emptied, or only coloured
# Characters without width, or that set a direction of writing: copying from a phone or a web page
# leaves them around a text.
_INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069"
    "\ufeff"
)
_NOTHING = {"NULL", r"\N"}  # mysql --batch, and PostgreSQL's and MySQL's text files
_SEP = re.compile(r'"?sep=([,;\t|])"?[,;\t| ]*', re.IGNORECASE)
_FORMULA = re.compile(r'="(.*)"', re.DOTALL)


class Format(StrEnum):
    """How a file holds rows."""

    CSV = "csv"
    JSONL = "jsonl"


class Line(NamedTuple):
    """A line of a file: its number, from 1, and its bytes without the line end.

    The bytes are None if there are more than LINE_BYTES_MAX.
    """

    number: int
    content: bytes | None


class Rows(NamedTuple):
    """An open file of rows: its lines, and how to parse one."""

    lines: Iterator[Line]
    parse: Parse


def opened(file: BufferedReader, columns: Sequence[str], format_: Format | None = None) -> Rows:
    """Open the rows of a file, packed by gzip or not.

    Without `format_` it is JSON Lines if it begins with "{", else CSV. Raises RowFileError and
    OSError, as iterating the lines does.
    """
    chunks = begun(file)
    if format_ is None:
        format_ = Format.JSONL if chunks.begins.lstrip().startswith(b"{") else Format.CSV
    found = lines(chunks)
    try:
        return Rows(found, _parser(found, format_, columns))
    except RowFileError as error:
        raise RowFileError(other_text(chunks.begins) or str(error)) from None


def lines(chunks: Chunks) -> Iterator[Line]:
    """The lines of a file, without those that hold only separators.

    Raises RowFileError, OSError.
    """
    number, rest, is_long = 0, b"", False
    end = chunks.line_end
    for chunk in chunks:
        *whole, tail = chunk.split(end)
        for content in whole:
            number += 1
            yield from _line(number, rest + content if rest else content, is_long)
            rest, is_long = b"", False
        is_long = is_long or len(rest) + len(tail) > LINE_BYTES_MAX + 1  # one for the CR
        rest = b"" if is_long else rest + tail
    yield from _line(number + 1, rest, is_long)


def _line(number: int, content: bytes, is_long: bool) -> Iterable[Line]:
    if number == 1 and content.startswith(BOM):
        content = content[len(BOM) :]
    content = content.removesuffix(b"\r")
    if is_long or len(content) > LINE_BYTES_MAX:
        return (Line(number, None),)
    return (Line(number, content),) if content.strip(_BLANK) else ()


def _parser(found: Iterator[Line], format_: Format, columns: Sequence[str]) -> Parse:
    """The parser of these lines; for CSV it takes the first line, which names the columns.

    `columns` are the allowed names. Raises RowFileError.
    """
    if format_ is Format.JSONL:
        return _json_lines(columns)
    header = next(found, None)
    if header is None:
        raise RowFileError(
            f"is empty; its first line should name the columns, which may be {', '.join(columns)}"
        )
    return _csv(header, found, columns)


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


def _csv(header: Line, found: Iterator[Line], columns: Sequence[str]) -> Parse:
    try:
        declared = _SEP.fullmatch(text_of(header.content))
        if declared:  # a line for Excel alone, before the names
            header = next(found, header)
        first = text_of(header.content)
        separator = declared[1] if declared else _separator(first)
        names = [_name(name) for name in _split(first, separator)]
        while len(names) > 1 and not names[-1]:  # spreadsheets save empty columns at the end
            names.pop()
    except Refused as error:
        raise RowFileError(f"line {header.number}: {error}; it should name the columns") from None
    _check_names(header.number, names, columns)
    places = [names.index(name) if name in names else len(names) for name in COLUMNS]

    def parse(content: bytes | None) -> Fields:
        values = _split(text_of(content), separator)
        while len(values) > len(names) and not values[-1]:
            values.pop()
        if len(values) != len(names):
            raise Refused("", Reason.WRONG_COLUMNS)
        values.append("")  # for the fields that the file has no column for
        return Fields(*[values[place] for place in places])

    return parse


def _name(text: str) -> str:
    """A column's name in lower case.

    Turkish writes uid as UİD in capitals, and UID as uıd in small letters.
    """
    return text.replace("İ", "i").lower().replace("ı", "i")


def _separator(header: str) -> str:
    """The most frequent separator of the header: a column's name may hold another one."""
    return max(SEPARATORS, key=header.count)


def _check_names(line: int, names: Sequence[str], columns: Sequence[str]) -> None:
    """Raise RowFileError unless these are columns' names.

    The message shows known names alone: a file without a header has cards in its first line.
    """
    allowed = ", ".join(columns)
    unknown = [name for name in names if name not in columns]
    if unknown or not {"uid", "number"} & set(names):
        only = sum(name in columns for name in names)
        known = f" and {len(unknown)} others" if unknown and only else ""
        seen = (
            f"; it has {', '.join(name for name in names if name in columns)}{known}"
            if only
            else ""
        )
        raise RowFileError(f"line {line}: should name the columns, which may be {allowed}{seen}")
    if len(set(names)) != len(names):
        raise RowFileError(f"line {line}: names a column twice")


def _split(text: str, separator: str) -> list[str]:
    if _QUOTE not in text:
        return [_unquoted(field) for field in text.split(separator)]
    try:
        return [
            _unquoted(field) for field in next(csv.reader([text], delimiter=separator, strict=True))
        ]
    except csv.Error:
        raise Refused("", Reason.NOT_CSV) from None


def _unquoted(field: str) -> str:
    """A field without what spreadsheets and databases write around a text.

    That is `="text"`, `'text` or `'text'`. NULL becomes an empty text.
    """
    field = field.strip()
    if not field.isascii():
        field = field.strip(_INVISIBLE).strip()
    if field in _NOTHING:
        return ""
    if field[:1] not in {"=", "'"}:
        return field
    formula = _FORMULA.fullmatch(field)
    return (formula[1] if formula else field.removeprefix("'").removesuffix("'")).strip()


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
    """A JSON value as the text that CSV would have.

    A printed number must be text: as a number it loses its leading zeros, or its last digit.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if name == "ends" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Refused(name, Reason.NOT_TEXT)
