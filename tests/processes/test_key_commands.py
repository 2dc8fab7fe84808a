"""The commands about keys: the walks of the runbook, and one line for each wrong input."""

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backoffice.cli.program import main
from backoffice.home.folder import Home
from backoffice.home.steps import finished
from backoffice.signing import roles
from tests.support.city.backoffice_rig import Client, manifest
from validator.lists.fingerprint_keys import key_id, parse_key_file

PRIVATE = re.compile(r"PRIVATE KEY|[0-9a-f]{64}\.pem|-----BEGIN")


class Desk:
    """A folder in which an operator runs commands.

    They run in this process, which takes a twentieth of the time of starting one; see `starts`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = folder / "city"

    def types(self, *arguments: str, answers: str = "", code: int = 0) -> str:
        """Run a command to its end; return its output."""
        ended = self.run(*arguments, answers=answers)
        assert ended.exit_code == code, f"{arguments}: {ended.output}"
        return str(ended.output)

    def run(self, *arguments: str, answers: str = "") -> Result:
        """Run a command to its end; its output must hold no private key."""
        ended = CliRunner(catch_exceptions=False).invoke(main, arguments, input=answers)
        assert not PRIVATE.search(ended.output)
        return ended

    def starts(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "backoffice", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def refused(self, *arguments: str, answers: str = "") -> str:
        """Run a command that must refuse: exit 2, and one line, which is returned."""
        ended = self.run(*arguments, answers=answers)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.count("\n") == 1, ended.stderr
        return str(ended.stderr)

    def root_keys(self, names: str) -> None:
        """Root keys on sticks."""
        for name in names:
            self.types("root-key", "make", name, "--out", ".", "--no-passphrase")

    def ceremony(self, version: int, signers: str) -> None:
        """Carry the draft away, sign it, bring it back."""
        name = f"{version}.root.draft.json"
        (self.folder / name).write_bytes((self.city / "root" / name).read_bytes())
        previous = []
        if version > 1:
            before = f"{version - 1}.root.json"
            (self.folder / before).write_bytes((self.city / "root" / before).read_bytes())
            previous = ["--previous", before]
        for signer in signers:
            self.types("root-key", "sign", name, *previous, "--key", f"{signer}.pem", answers="y\n")
        self.types("root", "accept", name, "--home", "city")

    def shown(self) -> dict[str, object]:
        """The output of root show."""
        fields: dict[str, object] = json.loads(
            self.types("root", "show", "--home", "city", "--json")
        )
        return fields


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A folder without a city."""
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


@pytest.fixture
def founded(desk: Desk) -> Desk:
    """A folder with a city that was founded for development."""
    desk.types("init", "city", "--development")
    return desk


def test_a_town_is_founded_as_the_runbook_says(desk: Desk) -> None:
    desk.root_keys("abc")
    said = desk.types(
        "init", "city", "--root", "a.pub", "--root", "b.pub", "--root", "c.pub", "--threshold", "2"
    )
    assert f"carry {desk.city}/root/1.root.draft.json to where the root keys are" in said
    assert "No private root key is here" in said
    assert "no root is in force yet" in desk.types("root", "show", "--home", "city")
    desk.ceremony(1, "ac")
    root = desk.shown()["root"]
    assert isinstance(root, dict)
    assert [key["name"] for key in root["roles"]["root"]["keys"]] == ["a", "b", "c"]
    assert root["roles"]["root"]["threshold"] == 2
    assert (desk.city / "published/metadata/1.root.json").read_bytes() == (
        desk.city / "root/1.root.json"
    ).read_bytes()
    assert not (desk.city / "root/1.root.draft.json").exists()


def test_only_the_owner_can_read_the_secrets_of_a_home(founded: Desk) -> None:
    private = [
        path
        for path in founded.city.rglob("*")
        if path.suffix in (".pem", ".key") or path.name == "registry.db"
    ]
    assert len(private) >= 3 + 3 + 1
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    assert {
        path.stat().st_mode & 0o777 for path in founded.city.glob("keys*/**/") if path.is_dir()
    } == {0o700}
    assert (founded.city / "published").stat().st_mode & 0o777 == 0o755
    assert founded.city.stat().st_mode & 0o777 == 0o711


def test_a_development_city_is_ready_at_once_and_calls_itself_one(desk: Desk) -> None:
    said = desk.types("init", "city", "--development")
    assert "FOR DEVELOPMENT ONLY" in said
    home = Home(desk.city, desk.city / "published")
    finished(roles.publication_steps(home, manifest(1, 1_600_000_000), 1_600_000_000))
    assert (
        desk.shown()["fingerprint_key"]
        == key_id(
            parse_key_file(next((desk.city / "keys/fingerprint").glob("*.key")).read_bytes())
        ).hex()
    )


def test_a_folder_that_is_not_empty_is_refused(founded: Desk) -> None:
    assert "city: is not empty; a back office begins in a folder of its own" in founded.refused(
        "init", "city", "--development"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give the public part of each root key with --root, or use --development"),
        (("--root", "a.pub"), "a threshold of 2 with 1 root keys cannot be"),
        (("--root", "a.pub", "--root", "a.pub"), "one root key is given twice"),
        (("--root", "a.pub", "--root", "other/a.pub"), "two root keys have one name"),
        (("--root", "a.pub", "--root", "gone.pub"), "gone.pub: No such file or directory"),
        (("--root", "a.pub", "--root", "a.pem"), "a.pem: is a private key"),
        (("--root", "a.pub", "--development"), "or use --development"),
    ],
)
def test_what_cannot_be_founded_is_one_line_and_leaves_nothing(
    desk: Desk, arguments: tuple[str, ...], told: str
) -> None:
    desk.root_keys("a")
    (desk.folder / "other").mkdir()
    desk.types("root-key", "make", "a", "--out", "other", "--no-passphrase")
    assert told in desk.refused("init", "city", *arguments)
    assert not desk.city.exists()


def test_a_root_key_has_a_passphrase_unless_the_operator_declines(desk: Desk) -> None:
    (desk.folder / "words").write_text("correct horse battery staple\n")
    (desk.folder / "wrong").write_text("correct horse battery staples\n")
    (desk.folder / "short").write_text("correct horse\n")
    (desk.folder / "empty").write_text("")
    make = ("root-key", "make", "a", "--out", ".")
    assert "at least 20 characters" in desk.refused(*make, "--passphrase-file", "short")
    assert "empty: its first line is empty" in desk.refused(*make, "--passphrase-file", "empty")
    assert "not both" in desk.refused(*make, "--passphrase-file", "words", "--no-passphrase")
    assert "no terminal to ask for the passphrase; use --passphrase-file" in desk.refused(*make)
    assert not (desk.folder / "a.pem").exists()
    desk.types(*make, "--passphrase-file", "words")
    assert b"ENCRYPTED" in (desk.folder / "a.pem").read_bytes()
    desk.types("init", "city", "--root", "a.pub", "--threshold", "1")
    sign = ("root-key", "sign", "city/root/1.root.draft.json", "--yes", "--key", "a.pem")
    assert "a.pem: the passphrase is not right" in desk.refused(*sign, "--passphrase-file", "wrong")
    desk.types(*sign, "--passphrase-file", "words")
    desk.types("root", "accept", "city/root/1.root.draft.json", "--home", "city")


def test_a_passphrase_is_asked_for_twice_on_a_terminal_and_never_shown(desk: Desk) -> None:
    words = "correct horse battery staple"
    here, there = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "backoffice", "root-key", "make", "a", "--out", "."],
        cwd=desk.folder,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    ) as making:
        os.close(there)
        heard = hear(here, b"Passphrase: ")
        os.write(here, f"{words}\n".encode())
        heard += hear(here, b"confirmation: ")
        os.write(here, f"{words}\n".encode())
        heard += hear(here, b"id ")
        assert making.wait(90) == 0
    os.close(here)
    assert words.encode() not in heard
    assert b"ENCRYPTED" in (desk.folder / "a.pem").read_bytes()


def hear(terminal: int, until: bytes, wait_s: float = 60) -> bytes:
    """Read the terminal up to these words."""
    heard = b""
    while until not in heard:
        assert select.select([terminal], [], [], wait_s)[0], heard
        heard += os.read(terminal, 4_096)
    return heard


def test_a_command_is_a_process_that_ends_with_one_line(desk: Desk) -> None:
    made = desk.starts("init", "city", "--development")
    assert (made.returncode, made.stderr) == (0, "")
    again = desk.starts("init", "city", "--development")
    assert again.returncode == 2
    assert (
        again.stderr
        == "turnike-backoffice: city: is not empty; a back office begins in a folder of its own\n"
    )
    assert again.stdout == ""


def test_what_is_signed_is_shown_first_and_no_is_the_answer_to_silence(desk: Desk) -> None:
    desk.root_keys("ab")
    desk.types("init", "city", "--root", "a.pub", "--root", "b.pub")
    draft = desk.city / "root/1.root.draft.json"
    before = draft.read_bytes()
    ended = desk.run("root-key", "sign", str(draft), "--key", "a.pem", answers="\n")
    assert ended.exit_code == 2
    assert "root: any 2 of" in ended.stdout
    assert "not signed" in ended.stderr
    assert draft.read_bytes() == before


def test_every_online_key_is_rotated_in_one_ceremony(founded: Desk, tmp_path: Path) -> None:
    desk = founded
    home = Home(desk.city, desk.city / "published")
    now_unix_s = int(home.roots.stat().st_mtime)
    finished(roles.publication_steps(home, manifest(1, now_unix_s), now_unix_s))
    client = Client(home, tmp_path / "gate")
    before = client.refresh(now_unix_s)
    desk.types("rotate", "timestamp", "snapshot", "targets", "--home", "city")
    assert "waits already" in desk.refused("rotate", "root", "--home", "city")
    for name in ("development-a", "development-c"):
        (desk.folder / f"{name}.pem").write_bytes(
            (desk.city / "development-root-keys" / f"{name}.pem").read_bytes()
        )
    sign = (
        "root-key",
        "sign",
        "city/root/2.root.draft.json",
        "--previous",
        "city/root/1.root.json",
        "--key",
    )
    said = desk.types(*sign, "development-a.pem", answers="y\n")
    assert "changes against root 1:" in said
    assert said.count("timestamp: with ") == said.count("timestamp: without ") == 1
    assert "Not enough yet" in said
    assert "1 of 2 signed" in desk.refused(
        "root", "accept", "city/root/2.root.draft.json", "--home", "city"
    )
    assert client.refresh(now_unix_s) == before
    desk.types(*sign, "development-c.pem", answers="y\n")
    said = desk.types("root", "accept", "city/root/2.root.draft.json", "--home", "city")
    assert "timestamp.json" in said
    after = client.refresh(now_unix_s)
    assert after.versions.root == 2
    assert all(after.keys[role] != before.keys[role] for role in after.keys)
    assert len(list(home.retired_keys.iterdir())) == 3


def test_a_root_key_is_replaced_and_the_root_renewed(desk: Desk) -> None:
    desk.root_keys("abcd")
    desk.types("init", "city", "--root", "a.pub", "--root", "b.pub", "--root", "c.pub")
    desk.ceremony(1, "ab")
    desk.types("rotate", "root", "--remove", "a", "--add", "d.pub", "--home", "city")
    desk.ceremony(2, "bc")
    root = desk.shown()["root"]
    assert isinstance(root, dict)
    assert [key["name"] for key in root["roles"]["root"]["keys"]] == ["b", "c", "d"]
    desk.types("rotate", "root", "--home", "city")
    said = desk.types(
        "root-key",
        "sign",
        "city/root/3.root.draft.json",
        "--previous",
        "city/root/2.root.json",
        "--key",
        "d.pem",
        answers="n\n",
        code=2,
    )
    assert "none but the date" in said
    assert "is no root key of the draft" in desk.refused(
        "root-key", "sign", "city/root/3.root.draft.json", "--yes", "--key", "a.pem"
    )
    desk.ceremony(3, "bd")


def test_a_draft_is_given_up_and_another_made(founded: Desk) -> None:
    founded.types("rotate", "timestamp", "--home", "city")
    assert founded.shown()["draft"]
    assert "given up" in founded.types("root", "discard", "--home", "city")
    assert founded.shown()["draft"] is None
    assert "no draft waits here" in founded.refused("root", "discard", "--home", "city")
    founded.types("rotate", "snapshot", "--home", "city")


def test_the_fingerprint_key_is_started_and_then_switched_to(founded: Desk) -> None:
    before = founded.shown()["fingerprint_key"]
    assert "there is no next key" in founded.refused(
        "rotate", "fingerprint-key", "--switch", "--home", "city"
    )
    founded.types("rotate", "fingerprint-key", "--start", "--home", "city")
    shown = founded.shown()
    assert shown["fingerprint_key"] == before
    coming = shown["next_fingerprint_key"]
    assert (founded.city / f"keys/fingerprint/{coming}.key").stat().st_mode & 0o777 == 0o600
    founded.types("rotate", "fingerprint-key", "--switch", "--home", "city")
    assert founded.shown()["fingerprint_key"] == coming


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("fingerprint-key",), "rotate fingerprint-key alone, with --start or with --switch"),
        (("fingerprint-key", "timestamp", "--start"), "rotate fingerprint-key alone"),
        (("timestamp", "--start"), "go with fingerprint-key"),
        (("timestamp", "--remove", "a"), "with root"),
        (("root", "--remove", "nobody"), "'nobody' is no root key of root 1"),
        (
            ("root", "--remove", "development-a", "--remove", "development-b"),
            "a threshold of 2 with 1 keys",
        ),
        (("root", "--add", "gone.pub"), "gone.pub: No such file"),
        (("everything",), "'everything' is not one of"),
        ((), "name what to rotate"),
    ],
)
def test_a_rotation_that_cannot_be_is_one_line_and_changes_nothing(
    founded: Desk, arguments: tuple[str, ...], told: str
) -> None:
    before = sorted(founded.city.rglob("*"))
    assert told in founded.refused("rotate", *arguments, "--home", "city")
    assert sorted(founded.city.rglob("*")) == before


@pytest.mark.parametrize("command", [("root", "show"), ("root", "discard"), ("rotate", "root")])
def test_a_folder_that_is_no_home_is_one_line(desk: Desk, command: tuple[str, ...]) -> None:
    assert "nowhere" in desk.refused(*command, "--home", "nowhere")


@pytest.mark.parametrize(
    "command",
    [
        ["init"],
        ["root-key", "make"],
        ["root-key", "sign"],
        ["root", "accept"],
        ["root", "show"],
        ["root", "discard"],
        ["rotate"],
    ],
    ids=" ".join,
)
def test_help_of_each_command_shows_an_example(desk: Desk, command: list[str]) -> None:
    assert "Example: turnike-backoffice" in desk.types(*command, "--help")
