"""Card lists as people have them: wrong as a whole though each row could be right, or far-reaching.

Nothing of such a file is imported until a person confirms it; each message names what was seen,
and no card.
"""

import json

import pytest

from backoffice.cli.imports import MEANT
from backoffice.imports.plausibility import CANNOT_BE_MEANT, Mistake
from tests.support.city.card_lists import RANDOM, UIDS, table
from tests.support.city.desk import Desk

NUMBERS = [f"{RANDOM.randrange(10**15, 9 * 10**15):016}" for _ in range(300)]


def decimal(uid: bytes, separator: str = "-") -> str:
    return separator.join(str(byte) for byte in uid)


def rounded(number: str) -> str:
    """As a spreadsheet keeps it."""
    return f"{round(int(number), -1):016}"


IMPROBABLE = {
    "numbers of a door system, one box": (
        "uid",
        [f"{number}" for number in range(41_223_300, 41_223_330)],
        "decimal",
        "30 of 30 UIDs have no letter",
    ),
    "decimal bytes": (
        "uid",
        [decimal(uid) for uid in UIDS],
        "decimal",
        "300 of 300 UIDs have no letter",
    ),
    "decimal bytes, run together": (
        "uid",
        [decimal(uid, "") for uid in UIDS],
        "decimal",
        "no letter from a to f (lines 2, 3, 4 and 297 more; the first is ",
    ),
    "decimal bytes of two digits": (
        "uid",
        ["-".join(f"{byte % 90 + 10}" for byte in uid) for uid in UIDS[:20]],
        "decimal",
        "the first is ..-..-..-..-..-..-..",
    ),
    "a single one in decimal, and one that could be hex": (
        "uid",
        [decimal(UIDS[0]), "04112233445566"],
        "decimal",
        "2 of 2 UIDs",
    ),
    "4 bytes as one number": (
        "uid",
        [str(int.from_bytes(uid[1:5])) for uid in UIDS],
        "decimal",
        "have no letter",
    ),
    "reversed": (
        "uid",
        [uid[::-1].hex() for uid in UIDS[:100]],
        "reversed",
        "UIDs end in 04 and begin otherwise (lines 2, 3, 4 and ",
    ),
    "reversed, with colons": (
        "uid",
        [uid[::-1].hex(":") for uid in UIDS[:100]],
        "reversed",
        "the first is ..:..:..:..:..:..:04",
    ),
    "three reversed": (
        "uid",
        [uid[::-1].hex() for uid in UIDS if uid[-1] < 128][:3],
        "reversed",
        "3 UIDs end in 04",
    ),
    "some reversed": (
        "uid",
        [uid.hex() for uid in UIDS[:250]] + [uid[::-1].hex() for uid in UIDS[250:]],
        "reversed",
        "end in 04",
    ),
    "two digits of each byte swapped": (
        "uid",
        ["".join(f"{byte:02x}"[::-1] for byte in uid) for uid in UIDS[:20]],
        "reversed",
        "20 of 20 UIDs begin with 40",
    ),
    "reversed, of another maker": (
        "uid",
        [(uid[:0:-1] + b"\x05").hex() for uid in UIDS if uid[-1] < 128],
        "reversed",
        "end in the same byte",
    ),
    "cut after 4 bytes": (
        "uid",
        [uid[:4].hex() for uid in UIDS],
        "cut",
        "300 of 300 UIDs of 4 bytes begin with 04",
    ),
    "filled up with zeros": (
        "uid",
        [f"{uid.hex()}000000" for uid in UIDS],
        "padded",
        "300 of 300 UIDs end in 000000",
    ),
    "numbers rounded": (
        "uid,number",
        [f"{uid.hex()},{rounded(number)}" for uid, number in zip(UIDS, NUMBERS, strict=True)],
        "rounded",
        "300 of 300 numbers end in 0 (lines 2, 3, 4 and 297 more; the first is ...............0)",
    ),
    "four numbers rounded": (
        "uid,number",
        [f"{uid.hex()},{rounded(number)}" for uid, number in zip(UIDS[:4], NUMBERS, strict=False)],
        "rounded",
        "4 of 4 numbers end in 0",
    ),
    "half of the numbers rounded": (
        "uid,number",
        [
            f"{uid.hex()},{rounded(number) if place % 2 else number}"
            for place, (uid, number) in enumerate(zip(UIDS, NUMBERS, strict=True))
        ],
        "rounded",
        "numbers end in 0",
    ),
    "numbers kept as doubles": (
        "uid,number",
        [f"{uid.hex()},{9_100_000_000_000_002 + 10 * place:016}" for place, uid in enumerate(UIDS)],
        "rounded",
        "all 300 numbers above 9007199254740992 are even",
    ),
    "a number filled down": (
        "uid,number",
        [f"{uid.hex()},{NUMBERS[0]}" for uid in UIDS[:3]],
        "twice",
        "a printed number is in the file more than once (line 2 and line 4)",
    ),
    "a card twice": (
        "uid",
        [uid.hex() for uid in (*UIDS, UIDS[7])],
        "twice",
        "a card is in the file more than once (line 9 and line 302)",
    ),
    "cards twice, spelt otherwise": (
        "uid",
        [text for uid in UIDS for text in (uid.hex(), uid.hex(":").upper())],
        "twice",
        "300 cards are in the file more than once (line 2 and line 3)",
    ),
}


@pytest.mark.parametrize("name", IMPROBABLE)
def test_an_improbable_file_is_refused_until_it_is_meant(desk: Desk, name: str) -> None:
    columns, rows, mistake, told = IMPROBABLE[name]
    path = str(table(desk, rows, columns))
    for more in ((), ("--json",), ("--dry-run",), ("--yes",)):
        said = desk.types("import", "cards", path, *more, code=2)
        assert told in said
        assert "Nothing was imported." in said
        assert f"--meant {mistake}" in said
        assert not any(uid.hex() in said or uid[::-1].hex() in said for uid in UIDS)
        assert not any(number in said for number in NUMBERS)
    with desk.registry() as registry:
        assert registry.card_count() == 3
    flags = [word for meant in MEANT for word in ("--meant", meant) if f"--meant {meant}" in said]
    done = json.loads(desk.types("import", "cards", path, *flags, "--json", code=(0, 1)))
    assert done["rows"] == len(rows)


@pytest.mark.parametrize(
    "rows",
    [
        ["4.11E+12"] * 3,
        ["4,11223E+12", "4.11E+12"],
        [f"{int(number):.5E}" for number in NUMBERS],
        [*[f"{int(number):.14E}" for number in NUMBERS[:10]], *[uid.hex() for uid in UIDS[:10]]],
    ],
)
def test_a_column_of_exponents_is_named_and_cannot_be_meant(desk: Desk, rows: list[str]) -> None:
    said = desk.types("import", "cards", str(table(desk, [f'"{row}"' for row in rows])), code=2)
    assert "cards are numbers with an exponent" in said
    assert "format the column as text" in said
    assert "--meant exponent" not in said
    assert "--meant" in desk.types("import", "cards", "-", "--meant", "exponent", code=2)
    assert {*MEANT, *CANNOT_BE_MEANT} == set(Mistake)


HONEST = {
    "DESFire": [uid.hex() for uid in UIDS],
    "of several makers": [bytes([1 + uid[1] % 100, *uid[1:]]).hex() for uid in UIDS],
    "10 bytes": [(uid + uid[1:4]).hex() for uid in UIDS],
    "4 bytes": [bytes([0x11 + uid[1] % 100, *uid[2:5]]).hex() for uid in UIDS],
    "4 bytes that begin with 04": [uid[:4].hex() for uid in UIDS[:19]],
    "a few without a letter": [f"041122334455{number}" for number in range(10, 28)],
    "a box of 100, without a letter in what they have in common": [
        f"041122334455{number:02x}" for number in range(100)
    ],
    "a box that counts in the middle": [f"04{number:02x}1234567880" for number in range(100)],
    "a box of 4 bytes": [f"412233{number:02x}" for number in range(32)],
    "a box of 4 bytes that begin with 04": [f"0412{number:04x}" for number in range(1_000)],
    "one in a row": [f"04a12b{number:08x}" for number in range(256)],
    "one": ["04112233445566"],
    "one that ends in 04": ["05a12b3c4d5e04"],
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_file_is_not_suspect(desk: Desk, name: str) -> None:
    rows = HONEST[name]
    done = json.loads(desk.types("import", "cards", str(table(desk, rows)), "--json"))
    assert done["added"] == len(rows)


def test_uids_of_4_bytes_may_be_twice_in_a_long_list_by_chance(desk: Desk) -> None:
    # Of 10,000 that a maker drew, two are the same in one list of a hundred.
    drawn = list(
        {bytes([0x11 + RANDOM.randrange(100), *RANDOM.randbytes(3)]) for _ in range(9_999)}
    )
    path = table(desk, [uid.hex() for uid in (*drawn, drawn[7])])
    assert json.loads(desk.types("import", "cards", str(path), "--json"))["added"] == len(drawn)
    many = table(desk, [uid.hex() for uid in (*drawn, *drawn[7:10])])
    assert "3 cards are in the file more than once" in desk.types(
        "import", "cards", str(many), code=2
    )
    few = table(desk, [uid.hex() for uid in (*drawn[:500], drawn[7])])
    assert "a card is in the file more than once" in desk.types("import", "cards", str(few), code=2)
    long = table(desk, [uid.hex() for uid in (*drawn, *UIDS, UIDS[7])])
    assert "a card is in the file more than once" in desk.types(
        "import", "cards", str(long), code=2
    )


@pytest.mark.parametrize("count", [1, 2, 3, 300])
def test_honest_numbers_are_not_suspect(desk: Desk, count: int) -> None:
    # Of three, all may end in 0 by chance.
    numbers = NUMBERS if count > 3 else [rounded(number) for number in NUMBERS[:count]]
    rows = [f"{uid.hex()},{number}" for uid, number in zip(UIDS[:count], numbers, strict=False)]
    done = json.loads(desk.types("import", "cards", str(table(desk, rows, "uid,number")), "--json"))
    assert done["added"] == count
