"""Files that change much: nothing is imported until a person confirms it."""

import json
import os
import pty
import select
import subprocess
import sys

import pytest

from backoffice.cli.imports import SHARE_ASKED
from backoffice.imports.importer import ASKED_ABOVE_MIN
from backoffice.registry.registry import IssuedCard, State
from tests.support.city.card_lists import UIDS, table
from tests.support.city.desk import A, Desk


def issue(desk: Desk) -> None:
    with desk.registry() as registry:
        registry.add_cards([IssuedCard(uid) for uid in sorted(UIDS)])


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("suspended", "in"),
        ("staff", "in"),
        ("matched", "in"),
        ("suspended", "out"),
        ("matched", "out"),
    ],
)
def test_a_file_that_changes_much_is_not_imported_before_a_person_confirms_it(
    desk: Desk, rule: str, state: str
) -> None:
    issue(desk)
    if state == "out":
        with desk.registry() as registry:
            registry.set_states(rule, [State(uid, is_in=True) for uid in sorted(UIDS)])
    before = desk.members(rule)
    path = str(table(desk, [f"{uid.hex()},{state}" for uid in UIDS], "uid,state"))
    for more in ((), ("--json",)):
        said = desk.types("import", rule, path, *more, code=2)
        what = "come under" if state == "in" else "leave, or end earlier under,"
        assert f"this changes much: 300 of 303 cards {what} {rule}; nothing was imported" in said
        assert "--yes" in said
    assert desk.members(rule) == before
    assert json.loads(desk.types("import", rule, path, "--json", "--dry-run"))["changed"] == 300 * (
        state == "out"
    )
    done = json.loads(desk.types("import", rule, path, "--json", "--yes"))
    assert (done["added"], done["removed"]) == ((300, 0) if state == "in" else (0, 300))
    assert len(desk.members(rule)) == len(UIDS) * (state == "in")
    desk.types("import", rule, path)  # which changes nothing, and so is not asked about


def test_a_file_that_changes_little_is_imported(desk: Desk) -> None:
    issue(desk)
    few = table(desk, [uid.hex() for uid in UIDS[:ASKED_ABOVE_MIN]])
    assert "added 20" in desk.types("import", "suspended", str(few))


def test_little_is_a_hundredth_of_all_cards(desk: Desk) -> None:
    issue(desk)
    more = [bytes([4, *number.to_bytes(6)]) for number in range(10**12, 10**12 + 6_000 - len(UIDS))]
    with desk.registry() as registry:
        registry.add_cards([IssuedCard(uid) for uid in more])
        assert registry.card_count() // SHARE_ASKED == 60
    hundredth = table(desk, [uid.hex() for uid in UIDS[:60]])
    assert "added 60" in desk.types("import", "suspended", str(hundredth))
    above = table(desk, [uid.hex() for uid in UIDS[60:121]])
    assert "61 of 6,003 cards come under suspended" in desk.types(
        "import", "suspended", str(above), code=2
    )
    assert len(desk.members()) == 60


def on_a_terminal(desk: Desk, answer: bytes, *arguments: str) -> tuple[int, bytes]:
    """The exit code, and all that a terminal shows of a command that asks and gets this answer."""
    main, side = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "backoffice", *arguments],
        env={**os.environ, "TURNIKE_HOME": str(desk.home), "TERM": "xterm"},
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    shown = b""
    with open(main, "rb+", buffering=0) as terminal:  # noqa: PTH123 a descriptor
        while select.select([terminal], [], [], 60)[0]:
            try:
                shown += os.read(main, 4_096)
            except OSError:  # Linux's answer when the last program has closed its side
                break
            if answer and b"Import it?" in shown:
                terminal.write(answer)
                answer = b""
    return program.wait(60), shown


@pytest.mark.parametrize("answer", [b"y\n", b"n\n"])
def test_on_a_terminal_it_asks(desk: Desk, answer: bytes) -> None:
    issue(desk)
    path = str(table(desk, [uid.hex() for uid in UIDS]))
    code, shown = on_a_terminal(desk, answer, "import", "suspended", path)
    assert b"300 of 303 cards come under suspended. Import it? [y/N]: " in shown
    is_yes = answer == b"y\n"
    assert (code, len(desk.members())) == ((0, 300) if is_yes else (2, 0))
    assert (b"nothing was imported" in shown) is not is_yes


def test_an_import_shortens_no_suspension_without_the_option(desk: Desk) -> None:
    soon, later, over = 1_900_000_000, 1_900_086_400, 1_600_000_000
    issue(desk)
    a, b, c, d, e = sorted(UIDS[:5])
    old = [
        State(a, is_in=True),
        State(b, is_in=True, ends_unix_s=later),
        State(c, is_in=True, ends_unix_s=soon),
    ]
    old += [State(d, is_in=True, ends_unix_s=over)]
    with desk.registry() as registry:
        registry.set_states("suspended", old)
        registry.set_states("staff", old)
    rows = [
        f"{a.hex()},{soon}",
        f"{b.hex()},{soon}",
        f"{c.hex()},{later}",
        f"{d.hex()},{soon}",
        f"{e.hex()},{soon}",
    ]
    path = desk.home / "today.csv"
    path.write_text("\n".join(["uid,ends", *rows]), encoding="utf-8")
    toml = desk.home / "backoffice.toml"
    toml.write_text(toml.read_text().replace("until_unit_s = 60 ", "until_unit_s = 86400 "))
    done = json.loads(desk.types("import", "suspended", str(path), "--json", code=1))
    assert (done["added"], done["changed"], done["refused"], done["shortened"]) == (1, 2, 2, 0)
    assert done["reasons"] == {"earlier than the end that it has; --shorten takes it": 2}
    ends = {state.uid: state.ends_unix_s for state in desk.members()}
    assert ends == {a: None, b: later, c: later, d: soon, e: soon}
    assert "  of the changed, taken out 0, ending earlier 2" in desk.types(
        "import", "suspended", str(path), "--shorten"
    )
    assert {state.ends_unix_s for state in desk.members()} == {soon, later}
    desk.types("import", "staff", str(path))  # what admits may end earlier
    assert A not in UIDS
