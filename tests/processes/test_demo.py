"""The demo as a person starts it: back office, courier, lane and crowd as processes of their own, and a story that comes true."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LIMIT_S = 240  # what takes some seconds on an idle machine
SMALL = ("demo", "--cards", "1000", "--timing", "ideal")

RESULT = (
    "taps",
    "admitted",
    "denied",
    "retry",
    "reports_received",
    "reports_lost",
    "reports_duplicated",
    "list_version",
    "tap_to_gate_ms",
)
STORY = (
    "refused at the gate",
    "without an end: refused as well",
    "lifted: admitted at the gate",
    "passengers noticed nothing",
    "the network is back",
    "has ended by itself: admitted again",
)


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "validator",
            "demo",
            "--cards",
            "5000",
            "--timing",
            "ideal",
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_what_the_city_says_is_seen_at_the_gate_and_what_the_gate_reports_in_the_city() -> None:
    ended = demo("--taps", "80", "--seed", "3")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert tuple(told) == RESULT
    assert told["taps"] == told["admitted"] + told["denied"] + told["retry"] == 80
    assert told["reports_received"] >= 2, "the two that were suspended meanwhile, at least"
    assert (told["reports_lost"], told["reports_duplicated"], told["list_version"]) == (0, 0, 4)
    assert set(told["tap_to_gate_ms"]) == {"p50", "p99", "p999", "max"}
    story = " ".join(ended.stderr.split())
    assert [line for line in STORY if line not in story] == []


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "validator",
            "demo",
            "--cards",
            "1000",
            "--taps",
            "5",
            "--timing",
            "ideal",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.iterdir()) == []
    running = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert str(tmp_path) not in running


# The demo, with what the crowd takes to be right changed before it begins.
PLANTED = """
from turnike_demo.city.people import People
deck = People.deck
{plant}
from validator.cli import main
main()
"""
ADMITTED_TAKEN_FOR_WRONG = """
People.deck = lambda people: (card | {"expect": "denied"} for card in deck(people) if card["kind"] == "matched")
"""
A_REPORT_THAT_NEVER_COMES = """
People.deck = lambda people: (card | {"report": True} for card in deck(people) if card["kind"] == "unmatched")
"""


@pytest.mark.parametrize(
    ("plant", "is_wrong"),
    [(ADMITTED_TAKEN_FOR_WRONG, True), (A_REPORT_THAT_NEVER_COMES, False)],
    ids=["wrong verdict", "lost report"],
)
def test_what_goes_wrong_makes_it_fail(plant: str, is_wrong: bool) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            PLANTED.replace("{plant}", plant),
            *SMALL,
            "--taps",
            "5",
            "--seed",
            "2",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ("wrong:" in ended.stderr) is is_wrong
    lost = json.loads(ended.stdout.splitlines()[-1])["reports_lost"]
    assert (lost == 0) is is_wrong, "one thing was planted, and that one alone is told"


def processes_of(folder: Path) -> list[str]:
    """The commands that run with something in this folder."""
    running = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in running.splitlines() if f"{folder}/" in line]


def until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_it(tmp_path: Path, number: signal.Signals) -> None:
    """Nor does its folder, if it is asked to end and not killed."""
    started = subprocess.Popen(
        [sys.executable, "-m", "validator", *SMALL],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        until(lambda: list(tmp_path.glob("*/reader")) or started.poll() is not None)
        started.send_signal(number)
        out, err = started.communicate(timeout=LIMIT_S)
    finally:
        started.kill()
    if number == signal.SIGINT:
        assert started.returncode == 0, err
        assert json.loads(out.splitlines()[-1])["reports_lost"] == 0
        assert list(tmp_path.iterdir()) == []
    until(lambda: not processes_of(tmp_path))


class Terminal:
    """The demo in a terminal of its own."""

    def __init__(self) -> None:
        self.all = self.shown = ""  # `shown` is what nobody has waited for yet
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm", "COLUMNS": "140", "LINES": "50"}
            os.execv(sys.executable, [sys.executable, "-m", "validator", *SMALL])  # noqa: S606 — no shell is wanted

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())

    def wait_for(self, words: str) -> None:
        """Until these words are shown, after those that were waited for last."""
        until(lambda: words in self.shown or not self._read())
        assert words in self.shown, self.shown
        self.shown = self.shown.split(words, 1)[1]

    def end(self) -> int:
        """Its exit code, when it has ended by itself."""
        while self._read():
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        select.select([self._fd], [], [], LIMIT_S)
        try:
            read = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # nobody holds the terminal any more
            return False
        self.all += read
        self.shown += read
        return True


def test_keys_of_a_terminal_suspend_lift_cut_mend_and_quit() -> None:
    terminal = Terminal()
    try:
        terminal.wait_for("version 1")
        terminal.wait_for("A turnstile to play with, in a browser: http://127.0.0.1:")
        terminal.press("s")
        terminal.wait_for("version 2")
        terminal.press("l")
        terminal.wait_for("version 3")
        terminal.press("n")
        terminal.wait_for("unreachable")
        terminal.press("n")
        terminal.wait_for("the network is restored")
        terminal.wait_for("courier: \x1b[32mfresh")
        terminal.press("q")
        assert terminal.end() == 0, terminal.shown
    except AssertionError:
        os.kill(terminal.pid, signal.SIGKILL)
        raise
    assert "━" not in terminal.all, "a child's progress bar"
