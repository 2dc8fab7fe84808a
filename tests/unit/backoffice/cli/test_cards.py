"""The commands about cards: import, suspend, lift, add, remove, show; one line for each error."""

import errno
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backoffice.registry.registry import State
from tests.support.city.desk import NOBODY, NUMBER, SHELVES, A, B, C, Desk
from tests.support.city.registry_reads import set_state

FAR = "2035-01-01T00:00Z"


@pytest.fixture
def desk() -> Iterator[Desk]:
    with TemporaryDirectory(dir=SHELVES) as home:
        yield Desk(Path(home))


# One card


def test_a_card_is_suspended_and_lifted(desk: Desk) -> None:
    said = desk.types("suspend", A.hex())
    assert said == "suspended, without an end: it goes out with the next publish\n"
    assert desk.members() == [State(A, is_in=True)]
    assert "so already" in desk.types("suspend", NUMBER)
    assert (
        desk.types("lift", A.hex(":"))
        == "not suspended any more: it goes out with the next publish\n"
    )
    assert "so already" in desk.types("lift", "1234 5678 1234 5678")
    assert desk.members() == []


def test_a_suspension_ends_at_the_end_that_was_given(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.cli.cards.now_unix_s", lambda: 1_612_000_000)
    assert "2021-02-09 09:46:40 UTC" in desk.types("suspend", A.hex(), "--for", "10d")
    desk.types("suspend", B.hex(), "--until", "2021-02-01T03:00+03:00")
    desk.types("suspend", C.hex(), "--until", "1612137601")
    assert [state.ends_unix_s for state in desk.members()] == [
        1_612_864_000,
        1_612_137_600,
        1_612_137_601,
    ]


def test_several_cards_are_suspended_and_lifted_or_none_is(desk: Desk) -> None:
    said = desk.types("suspend", A.hex(), B.hex(), A.hex(":"), NUMBER)
    assert said == "suspended, without an end: 2 cards; it goes out with the next publish\n"
    wrong = desk.types("suspend", C.hex(), NOBODY.hex(), B.hex(), code=2)
    assert "card 2 of 3: no such card is issued" in wrong
    assert "nothing was changed" in wrong
    assert "card 3 of 3: the card is given by its UID" in desk.types(
        "lift", A.hex(), B.hex(), "4-17-34-51", code=2
    )
    assert {state.uid for state in desk.members()} == {A, B}
    assert "1 cards, and 2 were so already" in desk.types("suspend", A.hex(), B.hex(), C.hex())
    assert "all 3 cards are so already" in desk.types("suspend", A.hex(), B.hex(), C.hex())
    assert desk.types("lift", A.hex(), B.hex(), C.hex()).startswith(
        "not suspended any more: 3 cards; "
    )
    assert desk.members() == []


def test_a_shorter_suspension_replaces_no_longer_one_without_the_option(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_612_000_000
    monkeypatch.setattr("backoffice.cli.cards.now_unix_s", lambda: now)
    desk.types("suspend", B.hex(), "--for", "10d")
    desk.types("suspend", C.hex())
    before = desk.members()
    assert (
        "card 1 is suspended until 2021-02-09 09:46:40 UTC, which is longer; nothing was changed."
        in desk.types("suspend", B.hex(), "--for", "9d", code=2)
    )
    refused = desk.types("suspend", A.hex(), C.hex(), B.hex(), "--for", "9d", code=2)
    assert (
        "card 2 is suspended without an end, which is longer, as are 1 more of those named"
        in refused
    )
    assert "card 1 is suspended without an end" in desk.types(
        "add", "suspended", C.hex(), "--for", "1d", code=2
    )
    assert desk.members() == before
    desk.types("suspend", B.hex(), "--for", "11d")
    desk.types("suspend", A.hex(), C.hex(), B.hex(), "--for", "9d", "--shorten")
    assert [state.ends_unix_s for state in desk.members()] == [now + 9 * 86_400] * 3
    now += 10 * 86_400  # they have ended: what comes next shortens nothing
    desk.types("suspend", A.hex(), "--for", "60s")
    desk.types("add", "staff", A.hex())
    desk.types("add", "staff", A.hex(), "--for", "60s")  # lets in for less long: harmless


def test_any_rule_takes_cards_in_and_lets_them_go(desk: Desk) -> None:
    desk.types("add", "staff", A.hex(), "--until", "2029-01-01T00:00Z")
    desk.types("add", "matched", NUMBER)
    refused = desk.types("suspend", A.hex(), "--rule", "staff", code=2)
    assert "staff refuses no card" in refused  # it would let in whom it should keep out
    desk.types("add", "staff", A.hex())
    assert (desk.members("staff"), desk.members("matched")) == (
        [State(A, is_in=True)],
        [State(A, is_in=True)],
    )
    desk.types("remove", "staff", A.hex())
    assert (desk.members("staff"), desk.members("suspended")) == ([], [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("suspend", NOBODY.hex()), "no such card is issued"),
        (("suspend", "0000000000000009"), "no such card is issued"),
        (("lift", NOBODY.hex()), "no such card is issued"),
        (("show", NOBODY.hex()), "no such card is issued"),
        (("suspend", "card"), "UID in hex, or by its printed number: not hex"),
        (("suspend", A.hex()[:10] + "ab"), "not 4, 7 or 10 bytes"),
        (("suspend", "08112233"), "a random UID"),
        (("suspend", A.hex(), "--for", "10"), "give a span such as 90s, 30m, 12h or 10d"),
        (("suspend", A.hex(), "--for", "1d", "--until", FAR), "not both"),
        (("suspend", A.hex(), "--until", "2021-01-01T00:00Z"), "the end of suspended: in the past"),
        (("suspend", A.hex(), "--until", "2029-01-01"), "without its offset from UTC"),
        (
            ("suspend", A.hex(), "--until", FAR),
            "further away than this rule's steps reach; its steps reach to 20",
        ),
        (("suspend", A.hex(), "--for", "46d"), "further away than this rule's steps reach"),
        (
            ("add", "nothing", A.hex()),
            "has no rule 'nothing'; its rules are suspended, staff, matched",
        ),
        (("remove", "nothing", A.hex()), "its rules are suspended, staff, matched"),
        (("import", "nothing", "-"), "its rules are suspended, staff, matched"),
        (("import", "cards", "/nowhere.csv"), "/nowhere.csv: No such file or directory"),
        (("suspend",), "Missing argument"),
        (("add", "suspnded", A.hex()), "did you mean suspended?"),
        (("publsh",), "No such command 'publsh'. Did you mean 'publish'?"),
        (("nothing",), "No such command 'nothing'."),
        (("publish", "--every", "5"), "--every goes with --watch; without it publish runs once"),
    ],
)
def test_what_is_wrong_is_one_line(desk: Desk, arguments: tuple[str, ...], told: str) -> None:
    assert told in desk.types(*arguments, code=2)
    assert desk.members() == []


def test_show_prints_the_state_of_the_registry_and_of_a_card(desk: Desk) -> None:
    desk.types("suspend", A.hex(), "--for", "10d")
    desk.types("add", "staff", A.hex())
    with desk.registry() as registry:
        registry.claim(1)
    desk.types("remove", "staff", A.hex())
    assert desk.types("show").splitlines() == [
        "cards issued: 3",
        "  suspended: 1",
        "  staff: 0; changes that wait for the next publish: 1",
        "  matched: 0",
    ]
    assert json.loads(desk.types("show", "--json"))["rules"]["staff"] == {"in": 0, "pending": 1}
    suspended, staff = desk.types("show", NUMBER).splitlines()
    assert suspended.startswith("suspended until 20")
    assert suspended.endswith("UTC: since list 1")
    assert staff == "not staff: it goes out with the next publish"
    shown = json.loads(desk.types("show", A.hex(), "--json"))
    assert [(each["rule"], each["in"], each["list_version"]) for each in shown] == [
        ("suspended", True, 1),
        ("staff", False, None),
    ]
    assert desk.types("show", B.hex()) == "issued, and under no rule\n"


def test_a_registry_is_its_owners_alone(desk: Desk) -> None:
    with desk.registry() as registry:
        set_state(registry, "suspended", A)
        files = list(desk.home.glob("registry.db*"))
        assert {path.name: path.stat().st_mode & 0o777 for path in files} == dict.fromkeys(
            ("registry.db", "registry.db-wal", "registry.db-shm", "registry.db.lock"), 0o600
        )


# Files


def test_the_good_rows_of_a_file_are_imported_and_the_others_reported(desk: Desk) -> None:
    rows = (
        f"uid,number,ends,state\n{A.hex()},,,\n,9,,\n{NOBODY.hex()},,,\n"
        f"{B.hex()},{NUMBER},,\n{C.hex()},,{FAR},\n,{NUMBER},,out\n"
    )
    path = desk.file("today.csv", rows)
    assert "a card is in the file more than once (line 2 and line 7)" in desk.types(
        "import", "suspended", str(path), code=2
    )
    assert desk.members() == []
    said = desk.types("import", "suspended", str(path), "--meant", "twice", code=1)
    assert said.splitlines()[0] == "rows 6: added 1, changed 0, unchanged 0, refused 5"
    report = desk.home / "today.csv.refused.jsonl"
    assert report.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {
            "line": 3,
            "field": "number",
            "reason": "under 16 digits: a spreadsheet drops zeros in front; "
            "export the column as text",
        },
        {"line": 4, "field": "uid", "reason": "no such card is issued"},
        {"line": 5, "field": "number", "reason": "not the number of this card"},
        {
            "line": 6,
            "field": "ends",
            "reason": "further away than this rule's steps reach",
            "text": FAR,
        },
        {"line": 7, "reason": "the card is earlier in the file, with another state or number"},
    ]
    assert desk.members() == [State(A, is_in=True)]
    path.write_text(f"uid\n{A.hex()}\n", encoding="utf-8")
    assert "unchanged 1, refused 0" in desk.types("import", "suspended", str(path))
    assert not report.exists(), "an earlier report would be taken for this import's"


def test_a_program_reads_what_became_of_an_import(desk: Desk) -> None:
    path = desk.file(
        "cards",
        f'{{"uid": "{A.hex()}"}}\n{{"uid": "{NOBODY.hex()}", "number": "{NUMBER[::-1]}"}}\nnone\n',
    )
    report = desk.home / "report"
    arguments = ("import", "cards", str(path), "--json", "--refused", str(report))
    told = {
        "rows": 3,
        "added": 1,
        "changed": 0,
        "unchanged": 1,
        "refused": 1,
        "ended": 0,
        "removed": 0,
        "shortened": 0,
        "reasons": {"the line is not a JSON object of texts and numbers": 1},
        "report": str(report),
        "dry_run": False,
    }
    assert json.loads(desk.types(*arguments, "--dry-run", code=1)) == told | {"dry_run": True}
    assert json.loads(desk.types(*arguments, code=1)) == told
    assert json.loads(desk.types(*arguments, code=1)) == told | {"added": 0, "unchanged": 2}


def test_a_suspension_that_has_ended_is_imported_and_counted(desk: Desk) -> None:
    path = desk.file("ended.jsonl", f'{{"uid": "{A.hex()}", "ends": 1600000000}}\n')
    assert "  in, until a time that has passed: 1" in desk.types("import", "suspended", str(path))
    assert desk.members() == [State(A, is_in=True, ends_unix_s=1_600_000_000)]


def test_standard_input_may_be_packed(desk: Desk) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "backoffice",
            "import",
            "staff",
            "-",
            "--home",
            desk.home,
            "--refused",
            desk.home / "r",
        ],
        input=gzip.compress(f"uid\n{B.hex()}\n".encode()),
        capture_output=True,
        check=True,
    )
    assert ended.stdout.startswith(b"rows 1: added 1")
    assert ended.stderr == b"", "no terminal is there"
    assert desk.members("staff") == [State(B, is_in=True)]


def test_half_a_file_imports_nothing(desk: Desk) -> None:
    path = desk.home / "half.csv.gz"
    path.write_bytes(gzip.compress(f"uid\n{A.hex()}\n{B.hex()}\n".encode())[:-10])
    assert "half.csv.gz: is a damaged gzip file; nothing of it was imported" in desk.types(
        "import", "suspended", str(path), code=2
    )
    assert desk.members() == []


def test_a_report_never_takes_the_place_of_something_else(desk: Desk) -> None:
    path = desk.file("today.csv", "uid\n")
    for place in (str(path), "/dev/null"):
        assert "is no place for a report" in desk.types(
            "import", "suspended", str(path), "--refused", place, code=2
        )
    assert "its folder cannot be written" in desk.types(
        "import", "suspended", str(path), "--refused", "/nowhere/report", code=2
    )


def test_a_report_that_has_no_room_names_what_was_imported(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.file("today.csv", f"uid\n{A.hex()}\n{NOBODY.hex()}\n")

    def no_room(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("backoffice.cli.imports.os.fsync", no_room)
    said = desk.types("import", "suspended", str(path), code=2)
    assert (
        "today.csv.refused.jsonl: No space left on device; what could be imported is in effect"
        in said
    )
    assert desk.members() == [State(A, is_in=True)]
    assert not list(desk.home.glob("*refused*"))
    assert not list(desk.home.glob(".today*"))
