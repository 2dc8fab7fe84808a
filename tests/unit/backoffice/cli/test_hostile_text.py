"""Text of others on a terminal and in a log: it moves no cursor, turns no line, begins no line."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey

from backoffice.reports.export_file import ExportWriter, Header
from backoffice.reports.store import ReportStore
from tests.support.city.statuses import set_status
from tests.support.gate.console_lane import fake_lane, status_line
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.machine.programs import lane_config
from validator.check import show
from validator.check.finding import Finding
from validator.config import load
from validator.console.terminal.top import top
from validator.formats.shown import json_shown, shown
from validator.host.log import JsonLog
from validator.reports.sealing_keys import sealing_key_id

CLEAR, OVERRIDE, CSI, NEXT_LINE, TITLE = (
    "\x1b[2J",
    "\u202e",
    "\x9b31m",
    "\u2028",
    "\x1b]0;all well\x07",
)
HOSTILE = f"a{CLEAR}{OVERRIDE}{CSI}{NEXT_LINE}\x85\r\x08\x7f{TITLE}\nlane 1 is well"
WAIT_S = 120.0
anything = st.text(st.characters(codec=None), max_size=60) | st.just(HOSTILE)


def is_harmless(said: str) -> bool:
    """Whether each line of it is what it looks like."""
    return all(line.isprintable() for line in said.split("\n"))


@given(anything)
def test_whatever_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(text) == text or not text.isprintable()
    assert len(shown("x" * 9_999, 10)) == 11


@given(
    st.recursive(
        anything, lambda below: st.lists(below, max_size=3) | st.dictionaries(anything, below)
    )
)
def test_json_is_the_same_value_when_it_is_shown(value: object) -> None:
    line = json_shown(json.dumps(value, ensure_ascii=False))
    assert line.isprintable()
    assert json.loads(line) == value


def test_letters_of_any_language_stay_as_they_are() -> None:
    assert shown("Kadıköy – çıkış №3 ğüşöç 駅") == "Kadıköy – çıkış №3 ğüşöç 駅"
    assert json_shown('{"who":"Ayşe Kaya"}') == '{"who":"Ayşe Kaya"}'


@given(st.dictionaries(st.sampled_from(["event", "reason", "problem"]), anything))
def test_one_entry_of_a_log_is_one_line_of_json(fields: dict[str, str]) -> None:
    fields = {name: text.encode("utf-8", "replace").decode() for name, text in fields.items()}
    read_fd, write_fd = os.pipe()
    JsonLog(write_fd).line(fields)
    os.close(write_fd)
    with os.fdopen(read_fd) as pipe:
        said = pipe.read()
    (line,) = said.splitlines()
    assert line.isprintable()
    assert json.loads(line) == fields


def test_top_shows_a_lanes_text_and_obeys_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("lists", "keys"):
        (tmp_path / name).mkdir()
    config = load(lane_config(tmp_path, more=f'[console]\nlanes = ["{tmp_path}/lane-1.sock"]\n'))
    said = status_line(
        version=f"[red]{CLEAR}[/]"[:64],
        reports_trouble=HOSTILE,
        list_problems=[HOSTILE],
        run_id=OVERRIDE,
    )
    with fake_lane(tmp_path / "lane-1.sock") as lane:
        lane.answers = lambda _: json.dumps(said).encode() + b"\n"
        top(config, once=True)
        shown_ = capsys.readouterr().out
        assert is_harmless(shown_)
        assert "\\x1b[2J" in "".join(shown_.split())
        assert "[red]" in shown_, "a lane's text is no markup"
        lane.answers = lambda _: json.dumps({"error": HOSTILE}).encode() + b"\n"
        top(config, once=True)
        assert is_harmless(capsys.readouterr().out)
        top(config, as_json=True)
        assert is_harmless(capsys.readouterr().out)


def test_check_shows_each_finding_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(iter([Finding("courier", "note", HOSTILE)]), as_json=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isprintable()
    assert "\\x1b[2J" in line


def command(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": str(Path(__file__).parents[4])},
        encoding="utf-8",
        timeout=WAIT_S,
    )


def test_an_export_that_its_exporter_made_to_deceive_is_shown_as_what_it_is(tmp_path: Path) -> None:
    authority, signing = PrivateKey.generate(), Ed25519PrivateKey.generate()
    out = BytesIO()
    writer = ExportWriter(out, bytes(authority.public_key), signing)
    exporter = signing.public_key().public_bytes_raw().hex()
    writer.line(
        Header(
            exporter=exporter,
            who=HOSTILE[:128],
            to=sealing_key_id(bytes(authority.public_key)).hex(),
            made_unix_s=1,
            from_unix_s=0,
            up_to_unix_s=1,
            reports=1,
        )
    )
    writer.line({"uid": HOSTILE, "rule": "kadıköy"})
    writer.end()
    writer.release()
    (tmp_path / "out").write_bytes(out.getvalue())
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415

    opening = X25519PrivateKey.from_private_bytes(bytes(authority))
    pem = opening.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ministry.pem").write_bytes(pem)
    public = signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "exporter.pub").write_bytes(public)
    (tmp_path / "ministry.pem").chmod(0o600)
    opened = command(
        "backoffice",
        "reports",
        "open",
        "out",
        "--key",
        "ministry.pem",
        "--signer",
        "exporter.pub",
        cwd=tmp_path,
    )
    assert opened.returncode == 0, opened.stderr
    (line,) = opened.stdout.splitlines()
    assert line.isprintable()
    assert json.loads(line) == {"uid": HOSTILE, "rule": "kadıköy"}
    assert "kadıköy" in line
    assert is_harmless(opened.stderr)


def test_whatever_a_command_of_the_back_office_prints_is_harmless(tmp_path: Path) -> None:
    """Also what no command has thought of: it is escaped where it is written."""
    script = tmp_path / "prints.py"
    script.write_text(
        "from validator.command_line.output import guard\n"
        f"guard(escapes=True)\nprint({HOSTILE!r})\n"
    )
    said = command("prints", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout == "\n".join(shown(line) for line in HOSTILE.split("\n")) + "\n"
    assert is_harmless(said.stdout)


RULES = '[[rules]]\nname = "suspended"\neffect = "refuse"\nuntil_unit_s = 60\n'


def test_the_content_of_the_receivers_database_is_harmless_to_an_operator(tmp_path: Path) -> None:
    """An attacker who has broken into the receiver writes there what he likes."""
    (tmp_path / "backoffice.toml").write_text(RULES)
    name = HOSTILE[:60]
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        store.enrol(name, store.invite(name, NOW_UNIX_S), bytes(32), NOW_UNIX_S)
        set_status(
            store, name, NOW_UNIX_S, NOW_UNIX_S, json.dumps({"lanes": [{"problem": HOSTILE}]})
        )
        store.add(name, [stored(1, gate_id=name, outbox_id=OVERRIDE * 8)], NOW_UNIX_S)
    for arguments in (("gates",), ("gates", "--json"), ("reports", "list"), ("reports", "log")):
        said = command("backoffice", *arguments, "--home", ".", cwd=tmp_path)
        assert said.returncode == 0, said.stderr
        assert is_harmless(said.stdout)
        assert is_harmless(said.stderr)
        lines = [line for line in said.stdout.splitlines() if line.startswith("lane 1 is well")]
        assert lines == [], "no line is forged"


@pytest.mark.parametrize(
    "arguments",
    [
        ("validator", HOSTILE),
        ("validator", "check", f"--{HOSTILE}"),
        ("validator", "check", "--config", HOSTILE),
        ("validator", "top", "--config", HOSTILE),
        ("validator", "bench", "--decisions", HOSTILE),
        ("validator", "enroll", "--token-file", HOSTILE),
        ("backoffice", HOSTILE),
        ("backoffice", "gates", "--home", HOSTILE),
        ("backoffice", "enroll", HOSTILE, "--home", "."),
        ("backoffice", "strike-off", HOSTILE, "--home", "."),
        ("backoffice", "suspend", HOSTILE, "--home", "."),
        ("backoffice", "import", "cards", HOSTILE, "--home", "."),
        ("backoffice", "publish", "--every", HOSTILE, "--home", "."),
        ("backoffice", "serve", "--host", HOSTILE, "--home", "."),
        ("backoffice", "root-key", "make", HOSTILE, "--out", ".", "--no-passphrase"),
        ("backoffice", "root-key", "sign", HOSTILE, "--key", HOSTILE),
        ("backoffice", "reports", "open", HOSTILE, "--key", HOSTILE, "--signer", HOSTILE),
        ("firmware_sim", "pn532", "--timing", HOSTILE),
        ("firmware_sim", "board", f"--{HOSTILE}"),
    ],
    ids=lambda each: " ".join(part for part in each if part.isprintable()),
)
def test_a_complaint_about_input_quotes_it_in_one_harmless_line(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "backoffice.toml").write_text(RULES)
    said = command(*arguments, cwd=tmp_path)
    assert said.returncode == 2, said
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    assert line.isprintable()
