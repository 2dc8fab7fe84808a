"""One row of an import: what it means, and the one reason why it is refused."""

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

UID = bytes.fromhex("04112233445566")


LIMITS = Limits(0, 2_000_000_000)


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
        ("73588229188", Reason.UID_DECIMAL),  # 11 22 33 44 and its check byte, as one number
        ("584193258143", Reason.UID_DECIMAL),  # 88 04 A1 B2 9F, the same of a part of a UID
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
