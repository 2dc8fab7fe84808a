"""Wrong input for every command of a gate and of the simulated hardware.

Each ends in one line and the right exit code, and changes nothing. A table lists what a person's
editor, shell and disk do to files; each command meets each row.
"""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import NOW_UNIX_S
from tests.support.city.built_city import build
from tests.support.machine.programs import lane_config

LIMIT_S = 120
REPOSITORY = Path(__file__).parents[2]
COMMANDS = (
    "lane",
    "courier",
    "console",
    "top",
    "enroll",
    "check",
    "bench",
    "list show",
    "reports show",
    "reports retry",
)
CAPABILITIES = "-dac_override,-dac_read_search"


def run(
    command: str,
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """`turnike …` or `firmware-sim …` to its end."""
    program, *arguments = command.split()
    module = {"turnike": "validator", "firmware-sim": "firmware_sim"}[program]
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        timeout=LIMIT_S,
        check=False,
    )


def one_line(ended: "subprocess.CompletedProcess[bytes]", code: int = 2) -> str:
    """The only line of standard error of a command that ended with `code` and printed nothing."""
    told = ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (code, b""), told
    assert told.count("\n") == 1, told
    assert told.rstrip("\n").isprintable(), told
    assert "Traceback" not in told
    return told


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with everything in it, a list and keys; no device, no lane, no city."""
    build(tmp_path, NOW_UNIX_S)
    path = lane_config(tmp_path)
    path.write_text(f"""{path.read_text()}
[courier]
url = "http://127.0.0.1:9/"
root = "{tmp_path}/root.json"
[upload]
url = "http://127.0.0.1:9/"
key = "{tmp_path}/gate.pem"
lanes = ["{tmp_path}/lane.sock"]
[console]
listen = "127.0.0.1:0"
lanes = ["{tmp_path}/lane.sock"]
""")
    return path


def state(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder there, with what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _is_removed(path: Path) -> None:
    path.unlink()


def _is_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _is_endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _holds(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


WRONG_CONFIGURATIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (
        _is_removed,
        "cannot be read (No such file or directory); name another with --config",
    ),
    "a folder": (_is_a_folder, "is a directory"),
    "endless": (_is_endless, "is larger than 1 MiB; it is no configuration"),
    "huge": (_holds(b"# comment\n" * 200_000), "is larger than 1 MiB; it is no configuration"),
    "binary": (_holds(b"\x7fELF\x02\x01\x01\0\0\0"), "has zero bytes"),
    "latin": (
        _holds('gate_id = "ş"\n'.encode("iso-8859-9")),
        "line 1 is not UTF-8; save it as UTF-8",
    ),
    "utf-16 without a mark": (_holds("a = 1\n".encode("utf-16-le")), "has zero bytes"),
    "old Macintosh": (_holds(b'gate_id = "a"\rlane = 1\r'), "ends its lines with CR alone"),
    "json": (_holds(b'{"gate_id": "a"}\n'), "is not TOML"),
    "torn": (_holds(b'gate_id = "a"\n[reader\n'), "is not TOML"),
}


@pytest.mark.parametrize("wrong", WRONG_CONFIGURATIONS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_configuration_that_is_wrong_is_one_line_and_nothing_changes(
    config: Path, command: str, wrong: str
) -> None:
    make, says = WRONG_CONFIGURATIONS[wrong]
    make(config)
    before = state(config.parent)
    told = one_line(run(f"turnike {command} --config {config}", stdin=b"4f1a\n"))
    assert str(config) in told
    assert says in told
    assert state(config.parent) == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("command", ["check", "list show"])
def test_a_configuration_of_windows_is_read(config: Path, command: str, encoding: str) -> None:
    plain = run(f"turnike {command} --config {config} --json")
    config.write_bytes(config.read_text().replace("\n", "\r\n").encode(encoding))
    ended = run(f"turnike {command} --config {config} --json")
    assert (ended.returncode, ended.stderr) == (plain.returncode, b"")
    assert len(ended.stdout) > 100


@pytest.mark.parametrize("command", COMMANDS)
def test_a_configuration_that_may_not_be_read_is_one_line(config: Path, command: str) -> None:
    """Root obeys a file's mode once it has given up its capabilities; other users do anyway."""
    config.chmod(0)
    as_others = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}"]
    program = [sys.executable, "-m", "validator", *command.split(), "--config", str(config)]
    ended = subprocess.run(
        [*(as_others if os.geteuid() == 0 else ()), *program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "cannot be read (Permission denied)" in one_line(ended)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("turnike lan", "No such command 'lan'. (Did you mean one of: 'lane', 'learn'?)"),
        ("turnike check --jsn", "Did you mean '--json'?"),
        ("turnike bench --decisions many", "'many' is not a valid integer range"),
        ("turnike demo --taps 0", "0 is not in the range"),
        ("turnike demo --chaos", "--chaos is for a run of so many --taps"),
        ("turnike check too many", "Got unexpected extra arguments (too many)"),
        ("firmware-sim pn533", "No such command 'pn533'. Did you mean 'pn532'?"),
        ("firmware-sim --crad", "No such option '--crad'"),
        ("firmware-sim pn532 --card zz", "'zz' is not a UID"),
        ("firmware-sim pn532 --fault dropt", "dropt"),
        ("firmware-sim pn532 --link /proc/nothing/here", "pn532: "),
        ("firmware-sim board --fault nothing", "nothing"),
        ("firmware-sim board --walk-ms -1", "-1 is not in the range"),
        ("firmware-sim board --link /proc/nothing/here", "--link"),
        ("firmware-sim crowd --taps 1", "Missing option '--deck'"),
        ("firmware-sim crowd --deck /nowhere --reader-link a --board-link b --taps 1", "/nowhere"),
        ("firmware-sim crowd --deck /proc --reader-link a --board-link b --taps 1", "/proc"),
        ("firmware-sim crowd --deck /bin/sh --reader-link a --board-link b --taps 1", "/bin/sh"),
        (
            "firmware-sim crowd --deck /dev/null --reader-link a --board-link b --taps 1",
            "/dev/null",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(tmp_path: Path, command: str, says: str) -> None:
    assert says in one_line(run(command, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    ["top --once", "reports show", "reports retry", "list show", "check", "bench --decisions 1000"],
)
@pytest.mark.parametrize("columns", ["20", "1", "0", "100000", "wide"])
def test_a_terminal_of_any_width_is_served(config: Path, command: str, columns: str) -> None:
    ended = run(
        f"turnike {command} --config {config}", environment={"COLUMNS": columns, "LINES": columns}
    )
    assert ended.returncode in {0, 1}, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert ended.stdout or ended.stderr


@pytest.mark.parametrize("command", ["lane", "courier", "console"])
def test_a_daemon_that_is_started_without_what_it_needs_ends_in_one_line(
    config: Path, command: str
) -> None:
    """The lane serves without devices, but not with too long a socket path."""
    text = config.read_text()
    if command == "lane":
        config.write_text(text.replace(f"{config.parent}/lane.sock", f"/run/{'s' * 200}.sock"))
    else:
        config.write_text(text[: text.index("[courier]")])
    told = one_line(run(f"turnike {command} --config {config}"))
    assert {"lane": "ssss", "courier": "[courier]", "console": "[console]"}[command] in told


@pytest.fixture
def at_a_terminal(config: Path) -> Iterator[Callable[[str], "tuple[subprocess.Popen[bytes], int]"]]:
    """Start a command at a terminal of its own; returns the process and the terminal's end."""
    started: list[tuple[subprocess.Popen[bytes], int]] = []

    def start(command: str) -> "tuple[subprocess.Popen[bytes], int]":
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "validator", *command.split(), "--config", str(config)],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        started.append((process, leader))
        return process, leader

    yield start
    for process, leader in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(leader)


@pytest.mark.parametrize(
    ("command", "shows", "code"),
    [
        ("top", b"q ends this", 0),
        ("enroll", b"Token for test", 130),
        ("bench --decisions 10000000", b"", 130),
    ],
)
def test_ctrl_c_ends_a_command_without_a_traceback(
    at_a_terminal: Callable[[str], "tuple[subprocess.Popen[bytes], int]"],
    command: str,
    shows: bytes,
    code: int,
) -> None:
    process, leader = at_a_terminal(command)
    shown = b""
    if shows:
        while shows not in shown:
            shown += os.read(leader, 65_536)
    else:  # nothing is shown before the end: once it has read its list it is at work
        maps = Path(f"/proc/{process.pid}/maps")
        while ".seg" not in maps.read_text():
            assert process.poll() is None
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            more = os.read(leader, 65_536)
        except OSError:
            break
        if not more:
            break
        shown += more
    assert process.wait(LIMIT_S) == code, shown
    assert shown.endswith(b"turnike: interrupted\r\n") is (code == 130), shown
    assert b"Traceback" not in shown
