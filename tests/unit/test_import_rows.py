"""One row of an import: what it means, and the one reason why it is refused."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from backoffice.card_rows import UNIX_S_MAX, Fields, Limits, Reason, Refused, Row, meant
from backoffice.importer import CARD_COLUMNS, STATE_COLUMNS
from backoffice.row_files import CHUNK_BYTES, LINE_BYTES_MAX, Format, Line, RowFileError, Rows, lines, opened

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
        (Fields("04 11-2233 445566", ends="1612137600", state="in"), UID, None, 1_612_137_600, True),
        (Fields(number="0000 0000 0000 0007"), None, 7, None, True),
        (Fields("04112233", "1234-5678-1234-5678"), UID[:4], 1_234_567_812_345_678, None, True),
        (Fields("04112233445566778899"), bytes.fromhex("04112233445566778899"), None, None, True),
        (Fields("04112233445566", ends="2021-02-01T03:00:00+03:00"), UID, None, 1_612_137_600, True),
        (Fields("04112233445566", ends="2021-02-01T00:00:00.25Z"), UID, None, 1_612_137_601, True),
        (Fields("04112233445566", ends="never looked at", state="out"), UID, None, None, False),
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
        (Fields("0411223344556"), "uid", Reason.UID_NOT_HEX, ""),
        (Fields("0411223344556g"), "uid", Reason.UID_NOT_HEX, ""),
        (Fields("0411223344"), "uid", Reason.UID_LENGTH, ""),
        (Fields("08112233"), "uid", Reason.UID_RANDOM, ""),
        (Fields("88041122"), "uid", Reason.UID_PARTIAL, ""),
        (Fields(number="123456781234567"), "number", Reason.BAD_NUMBER, ""),
        (Fields(number="١٢٣٤٥٦٧٨١٢٣٤٥٦٧٨"), "number", Reason.BAD_NUMBER, ""),
        (Fields("04112233", ends="tomorrow"), "ends", Reason.BAD_END, ""),
        (Fields("04112233", ends="2021-13-01T00:00Z"), "ends", Reason.BAD_END, "2021-13-01T00:00Z"),
        (Fields("04112233", ends="2021-02-01"), "ends", Reason.NO_OFFSET, "2021-02-01"),
        (Fields("04112233", ends="0"), "ends", Reason.ENDED, "0"),
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


def test_no_end_is_beyond_what_a_manifest_can_say() -> None:
    assert meant(1, Fields("04112233", ends=str(UNIX_S_MAX)), Limits(0)).ends_unix_s == UNIX_S_MAX
    with pytest.raises(Refused, match="further away"):
        meant(1, Fields("04112233", ends=str(UNIX_S_MAX + 1)), Limits(0))


def test_csv_is_read_as_spreadsheets_write_it() -> None:
    expected = [Fields("04112233", "", "5", "out"), Fields("04112234", "1")]
    assert parsed(b'\xef\xbb\xbfUID;State;Ends;number\r\n"04112233"; out ;5;\r\n\r\n04112234;;;1') == expected
    assert parsed(b"number,uid\n,04112233\n") == [Fields("04112233")]


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
def test_a_line_that_is_no_csv_is_one_refusal_and_the_next_is_read(line: bytes, reason: Reason) -> None:
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
def test_a_line_that_is_no_object_is_one_refusal_and_the_next_is_read(line: bytes, reason: str) -> None:
    good = json.dumps({"uid": "04112233", "ends": 5, "state": None}).encode()
    assert parsed(line + b"\n" + good, Format.JSONL) == [str(reason), Fields("04112233", ends="5")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"is empty; its first line should name the columns"),
        (b"04112233445566,1\n", r"line 1: should name the columns, which may be uid, number, ends, state"),
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
    with pytest.raises(RowFileError, match=r"which may be uid, number$"):
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
        assert list(lines(io.BufferedReader(Endless(40 * CHUNK_BYTES)))) == [Line(1, None)]
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK_BYTES
    finally:
        tracemalloc.stop()
