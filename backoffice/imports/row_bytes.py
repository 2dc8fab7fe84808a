"""The bytes of a file of rows: unpacked, as UTF-8, with its line end.

imports/csv_and_jsonl.py makes rows of them. A file that holds no rows, such as a workbook or a PDF,
is named in one line with the way to export it.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from validator.errors import OperatorError

CHUNK_BYTES = 1 << 20
BEGIN_BYTES = 4_098  # the longest line and its end: which byte ends lines is among them
BOM = codecs.BOM_UTF8
EXPORT = (
    "; export it as CSV: format the columns of cards as text first, then save as CSV (UTF-8)"
    " with the names of the columns in the first line"
)
UNPACK = "; unpack it, or pack it with gzip"

_GZIP = b"\x1f\x8b"
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, which begins likewise
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"PK\x03\x04", f"is a workbook (.xlsx, .ods, .numbers) or a zip file{EXPORT}"),
    (b"\xd0\xcf\x11\xe0", f"is a workbook (.xls){EXPORT}"),
    (b"%PDF", f"is a PDF; ask for the table that it was made from{EXPORT}"),
    (b"{\\rtf", f"is a text document (RTF){EXPORT}"),
    (
        b"SQLite format 3",
        "is a database of SQLite; export its table: sqlite3 -csv -header FILE 'SELECT …'",
    ),
    (b"PAR1", "is a Parquet file; export it as CSV"),
    (b"BZh", f"is packed by bzip2{UNPACK}"),
    (b"\xfd7zXZ", f"is packed by xz{UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"is packed by zstd{UNPACK}"),
    (b"7z\xbc\xaf", f"is packed by 7-Zip{UNPACK}"),
)
_DUMP = "is a dump of SQL; export the table as CSV (mysql --batch, psql --csv)"
_OTHER_TEXTS = (
    (b"<", f"is a web page or XML, which some programs call .xls{EXPORT}"),
    (b"[", "is one JSON array; write one object a line: jq -c '.[]' FILE"),
    (b"+--", "is a table drawn for people; export it as CSV (mysql --batch, psql --csv)"),
    (b"INSERT ", _DUMP),
    (b"CREATE ", _DUMP),
    (b"COPY ", _DUMP),
    (b"PRAGMA ", _DUMP),
    (b"DROP ", _DUMP),
    (b"/*", _DUMP),
    (b"-- ", _DUMP),
)


class RowFileError(OperatorError):
    """The file cannot be read as rows.

    The message shows nothing of the file but names of columns.
    """


class Chunks:
    """A file as pieces of UTF-8 of about a mebibyte.

    It knows the first bytes, and the byte that ends lines. Iterating raises RowFileError and
    OSError.
    """

    def __init__(self, file: BufferedReader, encoding: str | None) -> None:
        """`encoding` is that of the byte order mark; None for UTF-8 or any other bytes."""
        self._pieces = _read(file) if encoding is None else _transcoded(_read(file), encoding)
        self._first = b""
        for piece in self._pieces:
            self._first += piece
            if len(self._first) >= BEGIN_BYTES:
                break
        self.begins = self._first[:BEGIN_BYTES].removeprefix(BOM)
        self.line_end = b"\r" if b"\r" in self.begins and b"\n" not in self.begins else b"\n"

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, once."""
        yield self._first
        yield from self._pieces


def begun(file: BufferedReader) -> Chunks:
    """Open the pieces of a file, packed by gzip or not. Raises RowFileError, OSError."""
    if file.peek(len(_GZIP)).startswith(_GZIP):
        file = BufferedReader(gzip.GzipFile(fileobj=file))
    with _whole():
        begins = file.peek(BEGIN_BYTES)
    encoding = next((name for mark, name in _ENCODINGS if begins.startswith(mark)), None)
    if encoding is None:
        kind = next((kind for mark, kind in _OTHERS if begins.startswith(mark)), None)
        if kind is not None:
            raise RowFileError(kind)
        if b"\0" in begins[:2]:
            raise RowFileError("is UTF-16 without a byte order mark, or no text; save it as UTF-8")
    return Chunks(file, encoding)


def other_text(begins: bytes) -> str | None:
    """What a text is, if it is a known kind other than rows with column names."""
    begins = begins.lstrip()
    return next((kind for mark, kind in _OTHER_TEXTS if begins.startswith(mark)), None)


def _read(file: BufferedReader) -> Iterator[bytes]:
    while True:
        with _whole():
            piece = file.read(CHUNK_BYTES)
        if not piece:
            return
        yield piece


def _transcoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in pieces:
            yield decoder.decode(piece).encode()
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise RowFileError(f"is damaged {encoding.upper()}; nothing of it was imported") from None


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise RowFileError("is a damaged gzip file; nothing of it was imported") from None
