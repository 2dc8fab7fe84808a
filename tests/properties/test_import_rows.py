"""A file of any bytes: each of its lines takes effect or is refused, once.

The message of a refused line names no card.
"""

import gzip
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backoffice.imports.card_rows import Limits, Reason, Refused
from backoffice.imports.csv_and_jsonl import LINE_BYTES_MAX, Format, RowFileError, opened
from backoffice.imports.importer import CARD_COLUMNS, STATE_COLUMNS, Import, Imported
from backoffice.imports.plausibility import Mistake
from backoffice.imports.scratch import Refusal, Scratch
from backoffice.registry.registry import IssuedCard, Registry

# Memory, if there is some: the tests call fsync hundreds of times.
SCRATCH = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108
UIDS = [
    b"\x04\x11\x22\x33",
    b"\x04\x11\x22\x33\x44\x55\x66",
    b"\x04\x11\x22\x33\x44\x55\x66\x77\x88\x99",
]
NUMBERS = [1, 1_234_567_812_345_678]
NOW_UNIX_S = 1_800_000_000

# Pieces of lines, so that many are nearly right.
words = st.one_of(
    st.sampled_from([uid.hex() for uid in UIDS]),
    st.sampled_from([f"{number:016}" for number in NUMBERS]),
    st.sampled_from(
        [
            "",
            "in",
            "out",
            "08112233",
            "2027-01-01T00:00Z",
            "2027-01-01",
            "1800000001",
            "99999999999999",
        ]
    ),
    st.text(max_size=6),
)
rows = st.lists(words, max_size=5).map(lambda values: ",".join(values).encode())
objects = st.dictionaries(
    st.sampled_from([*STATE_COLUMNS, "more"]), words | st.none() | st.integers() | st.booleans()
)
any_lines = st.one_of(
    rows,
    objects.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"\r", b'"', b"{", b"\xef\xbb\xbf", b",,,", b"x" * (LINE_BYTES_MAX + 1), b"[" * 3_000]
    ),
)
files = st.lists(any_lines, max_size=12).map(b"\n".join)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with (
        TemporaryDirectory(dir=SCRATCH) as folder,
        Registry.open(f"sqlite:///{folder}/registry.db") as shelf,
    ):
        shelf.add_cards(
            [IssuedCard(uid, number) for uid, number in zip(UIDS, [*NUMBERS, None], strict=True)]
        )
        yield shelf


def run(
    registry: Registry, content: bytes, rule: str | None, format_: Format | None = None
) -> tuple[Imported, list[Refusal]]:
    with Scratch() as scratch:
        columns = STATE_COLUMNS if rule else CARD_COLUMNS
        limits = Limits(0, NOW_UNIX_S + 10**8)
        task = Import(registry, scratch, limits, rule, now_unix_s=NOW_UNIX_S, meant=list(Mistake))
        done = task.run(opened(io.BufferedReader(io.BytesIO(content)), columns, format_))
        return done, list(scratch.refusals())


def lines_of(content: bytes) -> list[int]:
    """Return the numbers of the lines that are not blank."""
    found = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [
        number
        for number, line in enumerate(found, start=1)
        if line.removesuffix(b"\r").strip(b" ,;\t|")
    ]


@settings(max_examples=300)
@given(files, st.sampled_from(Format), st.sampled_from([None, "suspended"]))
@example(b"\xef\xbb\xbf\n" + b"y" * (3 * LINE_BYTES_MAX), Format.JSONL, None)
def test_each_line_is_taken_or_refused_once(
    registry: Registry, body: bytes, format_: Format, rule: str | None
) -> None:
    # JSON Lines get a first line, too: how a file begins decides what it is.
    names = ",".join(STATE_COLUMNS if rule else CARD_COLUMNS).encode()
    header = (names if format_ is Format.CSV else b"{}") + b"\n"
    done, refusals = run(registry, header + body, rule, format_)
    refused = [refusal.line for refusal in refusals]
    expected = lines_of(header + body)[1 if format_ is Format.CSV else 0 :]
    assert done.rows == len(expected) == done.added + done.changed + done.unchanged + done.refused
    assert min(done[:5]) >= 0
    assert refused == sorted(set(refused))
    assert set(refused) <= set(expected)
    assert len(refused) == done.refused == sum(done.reasons.values())
    again, same = run(registry, header + body, rule, format_)
    assert (again.added, again.changed, again.unchanged) == (0, 0, done.rows - done.refused)
    assert [(each.line, str(each), each.text) for each in same] == [
        (r.line, str(r), r.text) for r in refusals
    ]


@given(st.binary(max_size=200) | files, st.booleans())
def test_any_file_is_read_or_refused_whole(
    registry: Registry, content: bytes, is_packed: bool
) -> None:
    packed = gzip.compress(content, 1) if is_packed else content
    with suppress(RowFileError):
        run(registry, packed, "suspended")
    if is_packed:
        with pytest.raises(RowFileError, match=r"damaged gzip|UTF-16 without|is a |is packed"):
            run(registry, packed[:-9], "suspended")


spelt = st.builds(
    lambda uid, separator, is_upper: (
        (separator.join(f"{b:02x}" for b in uid)).upper()
        if is_upper
        else separator.join(f"{b:02x}" for b in uid)
    ),
    st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.sampled_from(["", ":", "-", " "]),
    st.booleans(),
)
printed = st.builds(
    lambda number, separator: separator.join(
        f"{number:016}"[at : at + 4] for at in range(0, 16, 4)
    ),
    st.integers(0, 10**16 - 1),
    st.sampled_from(["", " ", "-"]),
)


@given(
    spelt | printed,
    st.sampled_from(["", "x", "2021-01-01T", "2021-01-01 ", "-"]),
    st.sampled_from(["", "Z", "+03:00", "g"]),
)
@example("ABCDEFAB", "", "")
@example("04:11:22:33:44:55:66", "2021-01-01T", "")
def test_no_refusal_shows_what_could_be_a_card(card: str, before: str, after: str) -> None:
    plain = str.maketrans("", "", ":- ")
    for reason in Reason:
        shown = Refused("ends", reason, before + card + after).text
        assert card.translate(plain).lower() not in shown.translate(plain).lower()


@given(
    spelt | printed,
    st.sampled_from(STATE_COLUMNS),
    st.sampled_from(["{}", "{}0", "x{}", "2021-01-01T{}"]),
)
def test_the_report_of_a_card_in_any_column_does_not_name_it(
    registry: Registry, card: str, column: str, form: str
) -> None:
    value = json.dumps({"uid": "zz", "number": "1", column: form.format(card)}).encode()
    _, refusals = run(registry, value, "suspended", Format.JSONL)
    plain = str.maketrans("", "", ":- ")
    for refusal in refusals:
        shown = f"{refusal.field} {refusal.reason} {refusal.text} {refusal} {refusal!r}".translate(
            plain
        ).lower()
        assert card.translate(plain).lower() not in shown
