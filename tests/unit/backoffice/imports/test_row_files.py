"""Files of rows, whatever program saved them: each line is a row or one refusal."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from backoffice.imports.card_rows import (
    Fields,
    Reason,
    Refused,
)
from backoffice.imports.csv_and_jsonl import (
    LINE_BYTES_MAX,
    Format,
    Line,
    RowFileError,
    Rows,
    lines,
    opened,
)
from backoffice.imports.importer import CARD_COLUMNS, STATE_COLUMNS
from backoffice.imports.row_bytes import CHUNK_BYTES, Chunks


def rows_of(content: bytes, format_: Format | None = None) -> Rows:
    return opened(io.BufferedReader(io.BytesIO(content)), STATE_COLUMNS, format_)


def parsed(content: bytes, format_: Format | None = None) -> list[Fields | str]:
    """The fields of each line, or why there are none."""
    rows = rows_of(content, format_)

    def each() -> Iterator[Fields | str]:
        for line in rows.lines:
            try:
                yield rows.parse(line.content)
            except Refused as error:
                yield str(error)

    return list(each())


def test_csv_is_read_as_spreadsheets_write_it() -> None:
    expected = [Fields("04112233", "", "5", "out"), Fields("04112234", "1")]
    assert (
        parsed(b'\xef\xbb\xbfUID;State;Ends;number\r\n"04112233"; out ;5;\r\n\r\n04112234;;;1')
        == expected
    )
    assert parsed(b"number,uid\n,04112233\n") == [Fields("04112233")]


CARD, END = "04a12b3c4d5e6f", "2021-02-01T00:00+03:00"


TABLE = f"uid,ends\n{CARD},{END}\n{CARD[:8]},\n"


TABLE_FIELDS = [Fields(CARD, ends=END), Fields(CARD[:8])]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        b"\xfe\xff" + TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.replace(",", "\t").encode("utf-16"),  # Excel's "Unicode text"
        TABLE.replace("\n", "\r").encode(),  # Excel's "CSV (Macintosh)"
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace(",", "\t").encode(),  # mysql --batch, a copied range of cells
        TABLE.replace(",", ";").encode(),  # where the comma is in numbers
        TABLE.replace(",", "|").encode(),  # sqlite3, psql --no-align
        TABLE.replace("\n", ",,\n").encode(),  # empty columns behind
        TABLE.replace(",\n", ",NULL\n").encode(),
        TABLE.replace(",\n", ",\\N\n").encode(),
        TABLE.replace("ends", "ends,,").encode(),
        (TABLE + ",\n,,,,\r\n , \n").encode(),  # rows that were emptied, or only coloured
        (",,\n" + TABLE).encode(),
        TABLE.replace("uid", "UİD").encode(),  # as Turkish writes it in capitals
        TABLE.replace("uid", "uıd").encode(),
        TABLE.replace(CARD, f"\u200b\u202a{CARD}\u202c").encode(),  # copied from a phone
        TABLE.replace(CARD, f"\u00a0\ufeff {CARD}\u00a0").encode(),  # from a web page
        ("sep=,\n" + TABLE).encode(),
        ("sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n")).encode(),
        ('"sep=;"\n' + TABLE.replace(",", ";")).encode("utf-8-sig"),
        ("SEP=\t\n" + TABLE.replace(",", "\t")).encode("utf-16"),
        TABLE.replace(CARD + ",", f'="{CARD}",').encode(),
        TABLE.replace(CARD + ",", f'"=""{CARD}""",').encode(),
        TABLE.replace(CARD + ",", f"'{CARD},").encode(),
        TABLE.replace(CARD + ",", f"'{CARD}',").encode(),
        TABLE.replace("uid", "UID").replace(CARD, f"  {CARD}\u00a0").encode(),
    ],
)
def test_a_table_is_read_however_a_program_saves_it(content: bytes) -> None:
    assert parsed(content) == TABLE_FIELDS
    assert parsed(gzip.compress(content)) == TABLE_FIELDS


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"PK\x03\x04\x14\0\x06\0",
            r"is a workbook \(\.xlsx, \.ods, \.numbers\).*export it as CSV",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"is a workbook \(\.xls\); export it as CSV"),
        (b"<html><table>", r"is a web page or XML.*export it as CSV"),
        (b"  <?xml version='1.0'?>", r"is a web page or XML"),
        (b"%PDF-1.7", r"is a PDF"),
        (b"SQLite format 3\0", r"is a database of SQLite"),
        (b'[{"uid": "04a12b3c4d5e6f"}]', r"is one JSON array; write one object a line"),
        (b"+-----+--------+\n| uid | number |", r"is a table drawn for people"),
        (b"-- MySQL dump 10.13\n", r"is a dump of SQL"),
        (b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", r"is a dump of SQL"),
        (b"/*!40101 SET NAMES utf8mb4 */;\n", r"is a dump of SQL"),
        (b"DROP TABLE IF EXISTS cards;\n", r"is a dump of SQL"),
        (b"INSERT INTO cards VALUES (0x04a1);\n", r"is a dump of SQL"),
        (b"COPY public.cards (uid) FROM stdin;\n", r"is a dump of SQL"),
        (b"BZh91AY", r"is packed by bzip2; unpack it"),
        ("uid\n04a1".encode("utf-16-le"), r"is UTF-16 without a byte order mark"),
        ("uid\n04a1".encode("utf-16-be"), r"is UTF-16 without a byte order mark"),
        (b"\xff\xfeu\0i\0d\0\n\0\0", r"is damaged UTF-16; nothing of it was imported"),
        (b"sep=;\n", r"line 1: should name the columns"),
        (b"sep=;", r"line 1: should name the columns"),
        (b"uid,name,street\n", r"it has uid and 2 others$"),
        (b"\x7fELF\x02\x01", r"line 1: should name the columns"),
    ],
)
def test_what_holds_no_rows_is_named(content: bytes, told: str) -> None:
    with pytest.raises(RowFileError, match=told) as caught:
        list(rows_of(content).lines)
    assert "04a1" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,b,c", Reason.WRONG_COLUMNS),
        (b'"a,b', Reason.NOT_CSV),
        (b'"a"b,c', Reason.NOT_CSV),
        (b"a\0,b", Reason.ZERO_BYTE),
        (b"\xff,b", Reason.NOT_UTF8),
        (b"x" * (LINE_BYTES_MAX + 1), Reason.TOO_LONG),
    ],
)
def test_a_line_that_is_no_csv_is_one_refusal_and_the_next_is_read(
    line: bytes, reason: Reason
) -> None:
    assert parsed(b"uid,number\n" + line + b"\n04112233,\n") == [reason.value, Fields("04112233")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", Reason.NOT_JSON),
        (b"[1]", Reason.NOT_JSON),
        (b'{"uid": {}}', Reason.NOT_JSON),
        (b"[" * 4_000, Reason.NOT_JSON),
        (b'{"uid": "04112233", "name": "x"}', Reason.UNKNOWN_KEY),
        (b'{"number": 1234567812345678}', f"number: {Reason.NOT_TEXT}"),
        (b'{"uid": "04112233", "ends": true}', f"ends: {Reason.NOT_TEXT}"),
        (b'{"uid": "04112233", "ends": 1.5}', f"ends: {Reason.NOT_TEXT}"),
    ],
)
def test_a_line_that_is_no_object_is_one_refusal_and_the_next_is_read(
    line: bytes, reason: str
) -> None:
    good = json.dumps({"uid": "04112233", "ends": 5, "state": None}).encode()
    assert parsed(line + b"\n" + good, Format.JSONL) == [str(reason), Fields("04112233", ends="5")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"is empty; its first line should name the columns"),
        (
            b"04112233445566,1\n",
            r"line 1: should name the columns, which may be uid, number, ends, state",
        ),
        (b"ends,state\n", r"line 1: should name the columns"),
        (b"\n\nuid,uid\n", r"line 3: names a column twice"),
        (b'"uid\n', r"line 1: the line is not CSV"),
        (b"\xff\n", r"line 1: the line is not UTF-8"),
    ],
)
def test_a_file_without_columns_is_not_read(content: bytes, told: str) -> None:
    with pytest.raises(RowFileError, match=told) as caught:
        rows_of(content, Format.CSV)
    assert "04112233445566" not in str(caught.value)


def test_cards_have_no_state() -> None:
    with pytest.raises(RowFileError, match=r"which may be uid, number; it has uid and 1 others$"):
        opened(io.BufferedReader(io.BytesIO(b"uid,ends\n")), CARD_COLUMNS)


class Endless(io.RawIOBase):
    """So many bytes, without a line end."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._left)
        buffer[:size] = b"x" * size
        self._left -= size
        return size


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    tracemalloc.start()
    try:
        assert list(lines(Chunks(io.BufferedReader(Endless(40 * CHUNK_BYTES)), None))) == [
            Line(1, None)
        ]
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK_BYTES
    finally:
        tracemalloc.stop()
