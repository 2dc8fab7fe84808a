"""One row of an import: what it means, and the one reason why it is refused."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from backoffice.imports.card_rows import (
    UNIX_S_MAX,
    YEAR_2000_UNIX_S,
    Fields,
    Limits,
    Reason,
    Refused,
    Row,
    meant,
)
from backoffice.imports.importer import CARD_COLUMNS, STATE_COLUMNS
from backoffice.imports.row_bytes import CHUNK_BYTES, Chunks
from backoffice.imports.row_files import (
    LINE_BYTES_MAX,
    Format,
    Line,
    RowFileError,
    Rows,
    lines,
    opened,
)

UID = bytes.fromhex("04112233445566")
LIMITS = Limits(0, 2_000_000_000)


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


@pytest.mark.parametrize(
    ("fields", "uid", "number", "ends_unix_s", "is_in"),
    [
        (Fields("04112233445566"), UID, None, None, True),
        (Fields("04:11:22:33:44:55:66", state="OUT"), UID, None, None, False),
        (
            Fields("04 11 22 33 44 55 66", ends="1612137600", state="in"),
            UID,
            None,
            1_612_137_600,
            True,
        ),
        (Fields(number="0000 0000 0000 0007"), None, 7, None, True),
        (Fields("04112233", "1234-5678-1234-5678"), UID[:4], 1_234_567_812_345_678, None, True),
        (Fields("04112233445566778899"), bytes.fromhex("04112233445566778899"), None, None, True),
        (
            Fields("04112233445566", ends="2021-02-01T03:00:00+03:00"),
            UID,
            None,
            1_612_137_600,
            True,
        ),
        (Fields("04112233445566", ends="2021-02-01T00:00:00.25Z"), UID, None, 1_612_137_601, True),
        (Fields("04112233445566", ends="never read", state="out"), UID, None, None, False),
    ],
)
def test_what_a_row_means(
    fields: Fields, uid: bytes | None, number: int | None, ends_unix_s: int | None, is_in: bool
) -> None:
    assert meant(7, fields, LIMITS) == Row(7, uid, number, ends_unix_s, is_in)


@pytest.mark.parametrize(
    ("fields", "field", "reason", "text"),
    [
        (Fields(), "uid", Reason.NO_CARD, ""),
        (Fields("0411223344556"), "uid", Reason.UID_DECIMAL, ""),
        (Fields("0411223344556g"), "uid", Reason.UID_NOT_HEX, ""),
        (Fields("04112233ab"), "uid", Reason.UID_LENGTH, ""),
        (Fields("08112233"), "uid", Reason.UID_RANDOM, ""),
        (Fields("88041122"), "uid", Reason.UID_PARTIAL, ""),
        (Fields(number="123456781234567"), "number", Reason.NUMBER_SHORT, ""),
        (Fields(number="١٢٣٤٥٦٧٨١٢٣٤٥٦٧٨"), "number", Reason.BAD_NUMBER, ""),
        (Fields("04112233", ends="tomorrow"), "ends", Reason.BAD_END, ""),
        (Fields("04112233", ends="2021-13-01T00:00Z"), "ends", Reason.BAD_END, "2021-13-01T00:00Z"),
        (Fields("04112233", ends="2021-02-01"), "ends", Reason.NO_OFFSET, "2021-02-01"),
        (Fields("04112233", ends="0"), "ends", Reason.BEFORE_2000, "0"),
        (Fields("04112233", ends="2000000001"), "ends", Reason.TOO_FAR, ""),
        (Fields("04112233", ends="2222-02-01T00:00Z"), "ends", Reason.TOO_FAR, ""),
        (Fields("04112233", state="1"), "state", Reason.BAD_STATE, "1"),
        (Fields("04112233", state="Ayşe"), "state", Reason.BAD_STATE, ""),
    ],
)
def test_why_a_row_is_refused(fields: Fields, field: str, reason: Reason, text: str) -> None:
    with pytest.raises(Refused) as caught:
        meant(7, fields, LIMITS)
    assert (caught.value.field, caught.value.reason, caught.value.text) == (field, reason, text)


SPELT = "04 a1 2b 3c 4d 5e 6f"


@pytest.mark.parametrize(
    "text",
    [
        "04a12b3c4d5e6f",
        "04A12B3C4D5E6F",  # Oracle's RAW, Excel's DEC2HEX
        "04a12B3c4D5e6F",
        SPELT,  # pyscard, proxmark3
        "04  a1  2b  3c  4d  5e  6f",  # nfc-list
        "04:a1:2b:3c:4d:5e:6f",  # NFC Tools, TagInfo
        "04-A1-2B-3C-4D-5E-6F",  # .NET's BitConverter
        "0x04a12b3c4d5e6f",  # SQL Server, MySQL
        "0X04A12B3C4D5E6F",
        r"\x04a12b3c4d5e6f",  # PostgreSQL
        "0x04 0xA1 0x2B 0x3C 0x4D 0x5E 0x6F",  # Arduino sketches
        "0x04:0xa1:0x2b:0x3c:0x4d:0x5e:0x6f",
    ],
)
def test_a_uid_is_read_as_programs_print_it(text: str) -> None:
    assert meant(1, Fields(text), LIMITS).uid == bytes.fromhex(SPELT)


@pytest.mark.parametrize("text", ["a1b2c3d4", "04a1b2c3", "0fa1b2c3", "fea1b2c3", "80a1b2c3"])
def test_4_bytes_may_begin_with_almost_anything(text: str) -> None:
    assert meant(1, Fields(text), LIMITS).uid == bytes.fromhex(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # Bytes in decimal, as MFRC522 sketches, their Python port and access controllers print
        ("4-17-34-51-68-85-102", Reason.UID_DECIMAL),
        ("4 17 34 51 68 85 102", Reason.UID_DECIMAL),
        ("4:17:34:51:68:85:102", Reason.UID_DECIMAL),
        ("4,17,34,51,68,85,102", Reason.UID_DECIMAL),
        ("4.17.34.51.68.85.102", Reason.UID_DECIMAL),
        ("004-017-034-051-068-085-102", Reason.UID_DECIMAL),
        ("004017034051068085102", Reason.UID_DECIMAL),
        ("[136, 4, 81, 170, 119]", Reason.UID_DECIMAL),
        ("173, 178, 219, 234", Reason.UID_DECIMAL),
        ("0003034786", Reason.UID_DECIMAL),
        ("3271084853", Reason.UID_DECIMAL),
        ("116,23152", Reason.UID_DECIMAL),
        ("30166134113", Reason.UID_DECIMAL),
        ("4112233445566", Reason.UID_DECIMAL),  # without its zero
        ("41122334455.0", Reason.UID_DECIMAL),
        ("1234567812345678", Reason.UID_IS_NUMBER),
        # A spreadsheet's
        ("4.11E+12", Reason.EXPONENT),
        ("4,11223E+12", Reason.EXPONENT),
        ("4.11223344556e+12", Reason.EXPONENT),
        # Separators elsewhere than between pairs
        ("4:a1:2b:3c:4d:5e:6f", Reason.UID_GROUPS),
        ("04:a1-2b:3c:4d:5e:6f", Reason.UID_GROUPS),
        ("04 a1-2b3c 4d5e6f", Reason.UID_NOT_HEX),
        ("04a1 2b3c 4d5e 6f", Reason.UID_NOT_HEX),
        ("04a-12b-3c4-d5e-6f", Reason.UID_NOT_HEX),
        ("04:a1:2b:3c:4d:5e:6f:", Reason.UID_NOT_HEX),
        (":04a12b3c4d5e6f", Reason.UID_NOT_HEX),
        ("04::a1::2b::3c::4d::5e::6f", Reason.UID_GROUPS),
        ("04.a1.2b.3c.4d.5e.6f", Reason.UID_GROUPS),
        ("04,a1,2b,3c,4d,5e,6f", Reason.UID_GROUPS),
        ("0x4 0xA1 0x2B 0x3C 0x4D 0x5E 0x6F", Reason.UID_NOT_HEX),
        ("0x04a1 0x2b3c 0x4d5e6f", Reason.UID_NOT_HEX),
        ("0x04 a1 2b 3c 4d 5e 6f", Reason.UID_NOT_HEX),
        ("UID: 04 a1 2b 3c 4d 5e 6f", Reason.UID_NOT_HEX),
        ("04a12b3c4d5e6fh", Reason.UID_NOT_HEX),
        ("٠٤a12b3c4d5e6f", Reason.UID_NOT_HEX),
        ("０４a12b3c4d5e6f", Reason.UID_NOT_HEX),
        ("04\u2011a1\u20112b\u20113c\u20114d\u20115e\u20116f", Reason.UID_NOT_HEX),
        ("04 a1\t2b 3c 4d 5e 6f", Reason.UID_NOT_HEX),
        # Lengths: with check byte, status word or cascade tag, FeliCa's and vicinity cards'
        ("04a12b3c5a", Reason.UID_LENGTH),
        ("4a12b3c4d5e6f", Reason.UID_LENGTH),  # without the zero in front
        ("0x4a12b3c4d5e6f", Reason.UID_LENGTH),
        ("04 a1 2b 3c 4d 5e 6f 90 00", Reason.UID_LENGTH),
        ("8804a12b3c4d5e6f", Reason.UID_LENGTH),
        ("0123456789abcdef", Reason.UID_LENGTH),
        ("e00401081b6ef522", Reason.UID_LENGTH),
        ("a1", Reason.UID_LENGTH),
        ("04a12b3c4d5e6f" * 100, Reason.UID_LENGTH),
        # What no card has
        ("88041122334455", Reason.UID_PARTIAL),
        ("88:04:A1:2B", Reason.UID_PARTIAL),
        ("8804a12b3c4d5e6f0011", Reason.UID_PARTIAL),
        ("08a12b3c", Reason.UID_RANDOM),
        ("00000000", Reason.UID_IMPOSSIBLE),
        ("00000000000000", Reason.UID_IMPOSSIBLE),
        ("000000a12b3c4d", Reason.UID_IMPOSSIBLE),
        ("00a12b3c", Reason.UID_IMPOSSIBLE),
        ("ffffffff", Reason.UID_IMPOSSIBLE),
        ("ffffffffffffff", Reason.UID_IMPOSSIBLE),
        ("FF:FF:FF:FF:FF:FF:FF:FF:FF:FF", Reason.UID_IMPOSSIBLE),
        ("a1041122334455", Reason.UID_MAKER),
        ("fe041122334455667788", Reason.UID_MAKER),
    ],
)
def test_what_is_no_uid_is_refused_with_its_reason(text: str, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        meant(1, Fields(text), LIMITS)
    assert (caught.value.reason, caught.value.text) == (reason, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.23456781234568E+15", Reason.EXPONENT),
        ("1,23E+15", Reason.EXPONENT),
        ("123456781234567", Reason.NUMBER_SHORT),
        ("7", Reason.NUMBER_SHORT),
        ("12345678123456780", Reason.BAD_NUMBER),
        ("1234567812345678.0", Reason.BAD_NUMBER),
        ("1,234,567,812,345,678", Reason.BAD_NUMBER),
        ("1.234.567.812.345.678", Reason.BAD_NUMBER),
        ("1234 5678-1234 5678", Reason.BAD_NUMBER),
        ("12345678 12345678", Reason.BAD_NUMBER),
        ("4-17-34-51-68-85-102-12", Reason.BAD_NUMBER),
        ("0000000000000000", Reason.NUMBER_ZERO),
        ("########", Reason.BAD_NUMBER),
    ],
)
def test_what_is_no_printed_number_is_refused_with_its_reason(text: str, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        meant(1, Fields(number=text), LIMITS)
    assert (caught.value.reason, caught.value.text) == (reason, "")


def test_a_spreadsheets_day_is_no_end() -> None:
    with pytest.raises(Refused, match="a spreadsheet's days have five"):
        meant(1, Fields("04a12b3c4d5e6f", ends="44211"), Limits(YEAR_2000_UNIX_S))


def test_no_end_is_beyond_what_a_manifest_can_hold() -> None:
    assert meant(1, Fields("04112233", ends=str(UNIX_S_MAX)), Limits(0)).ends_unix_s == UNIX_S_MAX
    with pytest.raises(Refused, match="further away"):
        meant(1, Fields("04112233", ends=str(UNIX_S_MAX + 1)), Limits(0))


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
