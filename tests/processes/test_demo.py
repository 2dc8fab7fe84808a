"""The demo as an operator starts it, with back office, courier, lane and crowd as processes."""

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


def test_the_gate_follows_the_city_and_the_city_gets_the_gate_s_reports() -> None:
    ended = demo("--taps", "80", "--seed", "3")
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert tuple(result) == RESULT
    assert result["taps"] == result["admitted"] + result["denied"] + result["retry"] == 80
    assert result["reports_received"] >= 2, "at least the two of the scenario"
    assert (result["reports_lost"], result["reports_duplicated"], result["list_version"]) == (
        0,
        0,
        4,
    )
    assert set(result["tap_to_gate_ms"]) == {"p50", "p99", "p999", "max"}
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


# The demo, with the crowd's expectations changed before it begins.
PLANTED = """
from turnike_demo.city.people import People
deck = People.deck
{plant}
from validator.cli import main
main()
"""
ADMITTED_TAKEN_FOR_WRONG = """
matched = lambda people: (card for card in deck(people) if card["kind"] == "matched")
People.deck = lambda people: (card | {"expect": "denied"} for card in matched(people))
"""
A_REPORT_THAT_NEVER_COMES = """
unmatched = lambda people: (card for card in deck(people) if card["kind"] == "unmatched")
People.deck = lambda people: (card | {"report": True} for card in unmatched(people))
"""


@pytest.mark.parametrize(
    ("plant", "is_wrong"),
    [(ADMITTED_TAKEN_FOR_WRONG, True), (A_REPORT_THAT_NEVER_COMES, False)],
    ids=["wrong verdict", "lost report"],
)
def test_a_wrong_verdict_or_a_lost_report_makes_it_fail(plant: str, is_wrong: bool) -> None:
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
    assert (lost == 0) is is_wrong, "one fault was planted, and only that one is reported"


def processes_of(folder: Path) -> list[str]:
    """Return the running commands with a path in this folder."""
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
    """Nor does its folder, if a signal ends the demo and SIGKILL does not."""
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
        self.all = self.shown = ""  # `shown` is what `wait_for` has not passed yet
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm", "COLUMNS": "140", "LINES": "50"}
            os.execv(sys.executable, [sys.executable, "-m", "validator", *SMALL])  # noqa: S606

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())

    def wait_for(self, words: str) -> None:
        """Read until these words are shown, after those of the last call."""
        until(lambda: words in self.shown or not self._read())
        assert words in self.shown, self.shown
        self.shown = self.shown.split(words, 1)[1]

    def end(self) -> int:
        """Read until the demo has ended; return its exit code."""
        while self._read():
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        select.select([self._fd], [], [], LIMIT_S)
        try:
            read = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:  # no process has the terminal open
            return False
        self.all += read
        self.shown += read
        return True


def test_keys_of_a_terminal_suspend_lift_cut_restore_and_quit() -> None:
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
