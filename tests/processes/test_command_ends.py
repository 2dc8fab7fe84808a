"""How commands end in unusual shells: closed pipes, full disks, other locales, no lane."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import NOW_UNIX_S, Gate, gate, serving
from tests.support.city.built_city import build
from tests.support.machine.programs import lane_config

LIMIT_S = 120


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a list, and neither devices nor a lane."""
    build(tmp_path, NOW_UNIX_S)
    return lane_config(tmp_path)


@pytest.fixture
def one_gate(tmp_path: Path) -> Iterator[Gate]:
    with gate(tmp_path) as made:
        yield made


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of bash with $turnike and $sim; the exit code is that of the first in a pipe."""
    programs = (
        f'turnike="{sys.executable} -m validator"; sim="{sys.executable} -m firmware_sim.cli"; '
    )
    return subprocess.run(
        ["bash", "-c", f"{programs}{command}; exit ${{PIPESTATUS[0]}}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=LIMIT_S,
        check=False,
    )


def unread(*arguments: str) -> tuple[int, str]:
    """Exit code and standard error of `turnike` when its output's reader has gone already."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "validator", *arguments]
    ended = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False
    )
    os.close(writing)
    return ended.returncode, ended.stderr


def test_checks_exit_code_shows_whether_the_gate_serves_also_when_only_its_first_line_is_read(
    one_gate: Gate,
) -> None:
    assert unread("check", "--config", str(one_gate.config)) == (0, "")
    for path in (one_gate.folder / "lists").iterdir():
        path.unlink()
    assert unread("check", "--config", str(one_gate.config)) == (1, "")


def test_a_closed_pipe_ends_a_command_quietly_as_any_other_program(config: Path) -> None:
    assert unread("list", "show", "--config", str(config)) == (141, "")
    assert unread("--help") == (141, "")
    assert unread("top", "--once", "--config", str(config)) == (141, "")


@pytest.mark.parametrize("command", ["list show", "check", "top --once", "--help"])
def test_a_full_disk_is_one_line(config: Path, command: str) -> None:
    more = "" if command == "--help" else f"--config {config}"
    ended = shell(f"$turnike {command} {more} > /dev/full")
    assert (ended.returncode, ended.stderr) == (
        1,
        "turnike: standard output: No space left on device\n",
    )


@pytest.mark.parametrize("device", ["pn532", "board"])
def test_a_simulated_device_whose_output_cannot_be_written_ends_in_one_line(device: str) -> None:
    ended = shell(f"$sim {device} > /dev/full")
    told = f"firmware-sim: {device}: standard output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (1, told)


@pytest.mark.parametrize("device", ["pn532", "board"])
def test_a_simulated_device_whose_reader_has_gone_ends_quietly(device: str) -> None:
    ended = shell(f"$sim {device} | head -1")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_tops_exit_code_shows_whether_every_lane_answers(one_gate: Gate) -> None:
    silent = shell(f"$turnike top --once --config {one_gate.config}")
    assert silent.returncode == 1
    assert "not running" in silent.stdout
    with serving(one_gate):
        answers = shell(f"$turnike top --once --config {one_gate.config}")
        assert (answers.returncode, answers.stderr) == (0, "")


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "iso-8859-9"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_terminal_without_every_letter_shows_what_it_can(
    one_gate: Gate, locale: dict[str, str]
) -> None:
    with serving(one_gate):
        ended = shell(f"$turnike top --once --config {one_gate.config}", **locale, PYTHONUTF8="0")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "reader" in ended.stdout


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("console", "uvicorn", "console"),
        ("console", "prometheus_client", "console"),
        ("demo", "starlette", "backoffice,console"),
    ],
)
def test_a_package_that_is_not_installed_names_its_extra(
    config: Path, tmp_path: Path, command: str, missing: str, extra: str
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no', name={missing!r})\n")
    config.write_text(f'{config.read_text()}[console]\nlanes = ["{tmp_path}/lane.sock"]\n')
    more = "" if command == "demo" else f"--config {config}"
    ended = shell(f"$turnike {command} {more}", PYTHONPATH=f"{hidden}:{Path(__file__).parents[2]}")
    told = f"turnike: {missing} is not installed; pip install 'turnike[{extra}]'\n"
    assert (ended.returncode, ended.stderr) == (2, told)


def with_upload(config: Path) -> Path:
    folder = config.parent
    config.write_text(f"""{config.read_text()}
[courier]
url = "http://127.0.0.1:9/"
root = "{folder}/root.json"
[upload]
url = "http://127.0.0.1:9/"
key = "{folder}/gate.pem"
lanes = ["{folder}/lane.sock"]
""")
    return config


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the token file is empty"),
        (b"\n", "the token file is empty"),
        (b"two words\n", "the token file has 2 words, and should have one"),
        (b"\xff\n", "the token file line 1 is not UTF-8; save it as UTF-8"),
        ("4f1a\n".encode("utf-16-le"), "the token file has zero bytes"),
        (bytes(10_000), "the token file has zero bytes"),
    ],
    ids=["empty", "blank", "words", "latin", "utf-16 without a mark", "binary"],
)
def test_a_token_file_without_a_token_is_one_line_and_makes_no_key(
    config: Path, content: bytes, told: str
) -> None:
    token = config.parent / "token"
    token.write_bytes(content)
    ended = shell(f"$turnike enroll --config {with_upload(config)} --token-file {token}")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith(f"turnike: {told}")
    assert not (config.parent / "gate.pem").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_token_file_of_windows_is_read(config: Path, encoding: str) -> None:
    token = config.parent / "token"
    token.write_bytes("4f1a\r\n".encode(encoding))
    token.chmod(0o600)
    ended = shell(f"$turnike enroll --config {with_upload(config)} --token-file {token}")
    assert ended.stderr.startswith("turnike: 127.0.0.1:9/v1/enrol: "), (
        "it was sent, where no server listens"
    )


@pytest.mark.parametrize("given", ["--token-file {0}", "< {0}"])
@pytest.mark.parametrize(
    ("mode", "is_loose"), [(0o600, False), (0o400, False), (0o644, True), (0o620, True)]
)
def test_a_token_file_that_others_may_read_is_reported_in_a_line(
    config: Path, given: str, mode: int, *, is_loose: bool
) -> None:
    token = config.parent / "token"
    token.write_bytes(b"4f1a\n")
    token.chmod(mode)
    ended = shell(f"$turnike enroll --config {with_upload(config)} {given.format(token)}")
    said, sent = ended.stderr.splitlines()[:-1], ended.stderr.splitlines()[-1]
    assert sent.startswith("turnike: 127.0.0.1:9/v1/enrol: "), "it was sent all the same"
    told = (
        f"turnike: the token file has mode {mode:04o}, others than its owner may read or change it"
    )
    assert said == ([f"{told}; chmod 600 the next one"] if is_loose else [])


def read_until(leader: int, wanted: bytes) -> bytes:
    """What a program shows on its terminal, up to this and what came with it."""
    shown = b""
    while wanted not in shown:
        try:
            shown += os.read(leader, 1_000)
        except OSError as error:  # EIO: the program has ended
            raise AssertionError(shown) from error
    return shown


def test_a_person_at_a_terminal_is_asked_for_the_token(config: Path) -> None:
    command = [sys.executable, "-m", "validator", "enroll", "--config", str(with_upload(config))]
    leader, follower = pty.openpty()
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    ) as process:
        os.close(follower)
        shown = read_until(leader, b": ")
        assert b"Token for test (turnike-backoffice enroll test prints one" in shown
        os.write(leader, b"4f1a\n")
        after = read_until(leader, b"v1/enrol")
        assert b"4f1a" not in shown + after
        assert process.wait(LIMIT_S) == 2
    os.close(leader)
