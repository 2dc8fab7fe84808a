"""However the demo ends, nothing of it is left: no process, no folder, no traceback. Real processes, most of them in a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

LIMIT_S = 240  # what takes a second on an idle machine
DEMO = [
    sys.executable,
    "-m",
    "validator",
    "demo",
    "--cards",
    "1000",
    "--timing",
    "ideal",
    "--page-port",
    "0",
]
MARK = "TURNIKE_TEST_MARK"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/\n")
RUNS = "to play with"  # what it says when all of its programs run
STAGES = ("founding a back office", "importing cards", "publishing the first list")


class Terminal:
    """The demo in a terminal of its own, by the arguments of a command; whoever has its mark is of it."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.mark = f"{MARK}={uuid.uuid4()}"
        self.said = ""
        self.is_open = True
        self.pid, self._fd = pty.fork()
        if not self.pid:
            name, value = self.mark.split("=")
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
            more = {
                "TERM": "xterm",
                "COLUMNS": "140",
                "LINES": "50",
                "TMPDIR": str(folder),
                name: value,
            }
            os.execve(command[0], command, os.environ | more)  # noqa: S606 — no shell is wanted

    def read(self) -> bool:
        """What has come; whether more may come."""
        select.select([self._fd], [], [], LIMIT_S)
        try:
            read = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # nobody holds the terminal any more
            return False
        self.said += read
        return True

    def wait_for(self, words: str) -> None:
        """Until it has said this."""
        while words not in self.said:
            assert self.read(), self.said

    def press(self, keys: bytes) -> None:
        """As somebody at it would."""
        os.write(self._fd, keys)

    def close(self) -> None:
        """Close the window."""
        if self.is_open:
            os.close(self._fd)
            self.is_open = False

    def ended(self) -> int:
        """Its exit code, or the signal below 0, when it has ended."""
        while self.is_open and self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def alive(self) -> list[str]:
        """The commands of all processes that are of it."""
        return [*commands_with(self.mark)]


def commands_with(mark: str) -> Iterator[str]:
    """Those that have this in their environment, and have not ended."""
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and mark.encode() in (each / "environ").read_bytes().split(
                b"\0"
            ):
                yield (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended meanwhile


def until(is_so: Callable[[], object], what: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, what()
        time.sleep(0.05)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens a terminal. What of it still runs after the test is ended then."""
    opened: list[Terminal] = []

    def open_one(*command: str) -> Terminal:
        opened.append(Terminal(tmp_path, *command))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and has_mark(process, each.mark):
                os.kill(int(process.name), signal.SIGKILL)


def has_mark(process: Path, mark: str) -> bool:
    try:
        return mark.encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.mark.parametrize("stage", [*STAGES, RUNS])
def test_its_terminal_closed_nothing_of_it_is_left(
    tmp_path: Path, terminals: Callable[..., Terminal], stage: str
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(stage)
    assert len(terminal.alive()) > (8 if stage == RUNS else 1), "there is something to leave"
    terminal.close()
    assert terminal.ended() == 128 + signal.SIGHUP
    until(lambda: not terminal.alive(), terminal.alive)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", [STAGES[1], RUNS])
@pytest.mark.parametrize("killed", ["the demo", "who started it"])
def test_killed_or_whoever_started_it_its_programs_end(
    tmp_path: Path, terminals: Callable[..., Terminal], killed: str, stage: str
) -> None:
    shell = ("/bin/sh", "-c", '"$@"; echo ended', "sh", *DEMO)
    terminal = terminals(*(DEMO if killed == "the demo" else shell))
    terminal.wait_for(stage)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.ended()
    until(lambda: not terminal.alive(), terminal.alive)
    if killed == "who started it":
        assert list(tmp_path.iterdir()) == []


def test_a_stopped_program_of_a_demo_that_is_killed_ends_too(
    terminals: Callable[..., Terminal],
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(RUNS)
    for process in Path("/proc").iterdir():
        if (
            process.name.isdigit()
            and has_mark(process, terminal.mark)
            and int(process.name) != terminal.pid
        ):
            os.kill(int(process.name), signal.SIGSTOP)
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.ended()
    # The crowd's own two devices end when nobody reads them, which one that is stopped cannot see.
    until(
        lambda: all(" pn532 " in each or " board " in each for each in terminal.alive()),
        terminal.alive,
    )


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_while_the_city_is_founded_ends_it_in_one_line(
    tmp_path: Path, terminals: Callable[..., Terminal], stage: str
) -> None:
    terminal = terminals(*DEMO)
    terminal.wait_for(stage)
    terminal.press(b"\x03")
    assert terminal.ended() == 130, terminal.said
    assert "Traceback" not in terminal.said
    assert terminal.said.count("ended before the crowd came") == 1
    assert terminal.alive() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_a_signal_while_its_programs_start_ends_it_in_one_line(
    tmp_path: Path, number: signal.Signals
) -> None:
    started = subprocess.Popen(
        DEMO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    try:
        # The gate's key is there: it is being enrolled, and nobody has come yet.
        until(
            lambda: list(tmp_path.glob("*/validator.toml")) or started.poll() is not None,
            lambda: started,
        )
        started.send_signal(number)
        out, err = started.communicate(timeout=LIMIT_S)
    finally:
        started.kill()
    assert (started.returncode, out) == (128 + number, ""), err
    assert "Traceback" not in err
    assert "ended before the crowd came" in err
    assert list(tmp_path.iterdir()) == []


def test_started_to_outlive_its_shell_it_does(
    tmp_path: Path, terminals: Callable[..., Terminal]
) -> None:
    """With SIGHUP ignored, as nohup has it, the end of a terminal and of a shell is none of its business."""
    said = tmp_path / "said"
    said.touch()
    script = 'trap "" HUP; "$@" </dev/null >"$TMPDIR/said" 2>&1 & echo started; read line'
    terminal = terminals("/bin/sh", "-c", script, "sh", *DEMO)
    terminal.wait_for("started")
    until(lambda: ADDRESS.search(said.read_text()), said.read_text)
    terminal.close()
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    found = ADDRESS.search(said.read_text())
    assert found
    for _ in range(
        2
    ):  # whoever answers the second has heard of everything that was before the first
        pushed = {"content-type": "application/json", "origin": found[1]}
        asked = Request(f"{found[1]}/do", b'{"verb":"push"}', pushed)  # noqa: S310
        with urlopen(asked, timeout=LIMIT_S) as answer:  # noqa: S310
            assert answer.status == 204


def test_what_a_killed_demo_has_left_the_next_one_removes_and_nothing_else(tmp_path: Path) -> None:
    program = "from turnike_demo.folder import folder; import sys\nwith folder() as f: print(f, flush=True); sys.stdin.read()"

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )

    def folder_of(process: "subprocess.Popen[str]") -> Path:
        assert process.stdout is not None
        return Path(process.stdout.readline().strip())

    others = tmp_path / "turnike-demo-mine"
    others.mkdir()
    (others / "notes").write_text("not a demo's")
    (tmp_path / "turnike-demo-link").symlink_to(others)
    first, second = start(), start()
    left, running = folder_of(first), folder_of(second)
    (left / "city").mkdir()
    first.kill()
    first.communicate()
    third = start()
    folder_of(third)
    assert not left.exists()
    assert running.exists()
    assert (others / "notes").exists()
    for each in (second, third):
        each.communicate("")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "turnike-demo-link",
        "turnike-demo-mine",
    ]
