"""What any command may meet, as a table: wrong files, outputs without room, terminals, Ctrl-C.

A table of commands names the places where a command takes a file; `WRONG` and `REWRITTEN` make the
file. Whatever it is, `refused` or `ended_well` holds of the command's end, and `state` of its
folder is unchanged. Each program's table uses these parts:

    @pytest.mark.parametrize("wrong", WRONG)
    @pytest.mark.parametrize("place", PLACES)
    def test_…(place, wrong, tmp_path): WRONG[wrong](tmp_path / "file", b"the right content"); …
"""

import errno
import fcntl
import hashlib
import os
import pty
import random
import resource
import select
import shlex
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from click import Group
from click.testing import CliRunner

LIMIT_S = 120
MEMORY_BYTES_MAX = (
    3 << 30
)  # of address space: what reads without a limit ends here, not the machine
HUGE_BYTES = 64 << 20
INTERRUPTED = 130
PIPE_CLOSED = 141
_PASSING = (
    "-wal",
    "-shm",
    ".lock",
    ".hold",
    ".publisher",
    ".publisher.sock",
)  # come with being opened


class Ended(NamedTuple):
    """How a command ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


# Files


def _empty(path: Path, _right: bytes) -> None:
    path.write_bytes(b"")


def _missing(path: Path, _right: bytes) -> None:
    path.unlink(missing_ok=True)


def _directory(path: Path, _right: bytes) -> None:
    path.mkdir()


def _unreadable(path: Path, _right: bytes) -> None:
    path.symlink_to("/proc/self/mem")  # opens, and cannot be read, not even by root


def _loop(path: Path, _right: bytes) -> None:
    path.symlink_to(path)


def _huge(path: Path, _right: bytes) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)


def _binary(path: Path, _right: bytes) -> None:
    path.write_bytes(random.Random(1).randbytes(5_000))


def _half(path: Path, right: bytes) -> None:
    path.write_bytes(right[: len(right) // 2])


def _page(path: Path, _right: bytes) -> None:
    path.write_bytes(b"<!doctype html><title>404 Not Found</title>\n")


Make = Callable[[Path, bytes], None]
"""Puts something at a path, made from what would be right there."""

WRONG: Mapping[str, Make] = {
    "missing": _missing,
    "empty": _empty,
    "directory": _directory,
    "unreadable": _unreadable,
    "loop": _loop,
    "huge": _huge,
    "binary": _binary,
    "half": _half,
    "web page": _page,
}
"""What no command can use as its file. A huge or half file may be right where its prefix is."""

REWRITTEN: Mapping[str, Callable[[bytes], bytes]] = {
    "byte order mark": lambda right: b"\xef\xbb\xbf" + right,
    "CRLF": lambda right: right.replace(b"\n", b"\r\n"),
    "CR": lambda right: right.replace(b"\n", b"\r"),
    "UTF-16": lambda right: right.decode("latin-1").encode("utf-16"),
    "UTF-16 without a mark": lambda right: right.decode("latin-1").encode("utf-16-le"),
    "no last line end": lambda right: right.rstrip(b"\n"),
    "blank lines": lambda right: b"\n\n" + right + b"\n\n",
}
"""How editors may save a text file: a command reads the result, or refuses it in one line."""


# What a command did


def refused(ended: Ended, program: str, codes: Sequence[int] = (2,)) -> str:
    """Assert that a command refused in one line that names the program; return the line."""
    assert ended.code in codes, ended
    assert "Traceback" not in ended.err + ended.out, ended.err
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith(program), ended.err
    assert len(ended.err) > len(program) + 8, "the line has no text"
    return ended.err


def ended_well(ended: Ended) -> None:
    """Assert that a command worked or refused, without a traceback."""
    assert ended.code in {0, 1, 2}, ended
    assert "Traceback" not in ended.err + ended.out, ended.err
    if ended.code == 2:
        assert ended.err.count("\n") == 1, ended.err


def state(folder: Path) -> dict[str, str]:
    """The lasting state of a folder, by path: a file's mode and content, a database's rows.

    Two states are equal if nothing was changed.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(_PASSING):
            continue
        name, mode = str(path.relative_to(folder)), f"{path.lstat().st_mode:o}"
        if path.is_symlink():
            found[name] = f"to {path.readlink()}"
        elif path.is_file():
            found[name] = f"{mode} {_content(path)}"
        else:
            found[name] = mode
    return found


def _content(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(16) == b"SQLite format 3\0":
            with sqlite3.connect(path) as database:
                return hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


# Ways to run it


def typed(
    group: Group, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a command in this process, 20 times as fast as in one of its own, without a terminal."""
    ended = CliRunner(catch_exceptions=False).invoke(group, arguments, input=stdin, env=environment)
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def started(
    module: str,
    *arguments: str,
    stdin: bytes = b"",
    stdout: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `python -m module arguments` as a process, with no terminal and bounded memory."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=stdin,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        timeout=LIMIT_S,
        check=False,
        preexec_fn=_bounded,
    )
    return Ended(
        ended.returncode,
        (ended.stdout or b"").decode(errors="replace"),
        ended.stderr.decode(errors="replace"),
    )


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def unread(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command whose standard output has lost its reader before the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return started(module, *arguments, stdout=writing, environment=environment)
    finally:
        os.close(writing)


def without_room(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a command whose standard output is a full disk."""
    with Path("/dev/full").open("wb") as full:
        return started(module, *arguments, stdout=full.fileno(), environment=environment)


def on_a_full_disk(module: str, folder: Path, *arguments: str, free_kib: int = 0) -> Ended:
    """Run a command with `folder` on a disk of its own that is full but for `free_kib`.

    Afterwards `folder` is as the command left it.

    Raises:
        OSError: this user may not mount (see tests/power_cut/record.py).
    """
    size_kib = (
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1_024 + 4_096
    )
    program = shlex.join([sys.executable, "-m", module, *arguments])
    with TemporaryDirectory() as name:
        kept, left = shlex.quote(f"{name}/before"), shlex.quote(f"{name}/after")
        here = shlex.quote(str(folder))
        script = f"""
            cp -a {here} {kept} || exit 99
            mount -t tmpfs -o size={size_kib}k,mode=0700 none {here} &&
                cp -a {kept}/. {here}/ || exit 99
            head -c {free_kib}k /dev/zero > {here}/.room
            cat /dev/zero > {here}/.full 2> /dev/null
            rm {here}/.room
            {program}
            code=$?
            rm -f {here}/.full; cp -a {here} {left} || exit 99
            exit $code
        """
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", *as_root, "--mount", "sh", "-c", script]
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if ended.returncode == 99 or not Path(name, "after").is_dir():
            raise OSError(errno.EPERM, ended.stderr)
        subprocess.run(
            ["sh", "-c", f"find {here} -mindepth 1 -delete; cp -a {left}/. {here}/"], check=True
        )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def wait_until_asleep(process: "subprocess.Popen[bytes]") -> None:
    """Wait until a process sleeps.

    Python handles a Ctrl-C that comes just before a blocking call only when that call returns.
    """
    deadline_s = time.monotonic() + LIMIT_S
    stat = Path(f"/proc/{process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline_s, "the process is still at work"
        os.sched_yield()


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(
        self,
        columns: int,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "TERM": "xterm", **(environment or {})},
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 as above
        )
        os.close(follower)

    def wait_for(self, text: str) -> None:
        """Wait until `text` is shown. Raises AssertionError if the command ends before."""
        while text not in self.shown:
            assert self._hear(), f"the command ended without {text!r}: {self.shown}"

    def types(self, keys: bytes) -> None:
        """Type the keys as a person does."""
        os.write(self._leader, keys)

    def interrupts(self) -> None:
        """Send Ctrl-C once the command waits for something."""
        wait_until_asleep(self.process)
        self.types(b"\x03")

    def end(self) -> Ended:
        """Wait until the command ends by itself; return all that it showed."""
        while self._hear():
            pass
        return Ended(self.process.wait(LIMIT_S), self.shown, "")

    def close(self) -> None:
        """End the command if it runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._leader)

    def _hear(self) -> bool:
        ready = select.select([self._leader], [], [], LIMIT_S)[0]
        assert ready, f"nothing more came: {self.shown}"
        try:
            content = os.read(self._leader, 4_096)
        except OSError:  # Linux: the last program has closed its side
            return False
        self.shown += content.decode(errors="replace")
        return bool(content)


@contextmanager
def on_a_terminal(
    module: str, *arguments: str, columns: int = 80, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a command on a terminal for the length of a block."""
    terminal = Terminal(columns, module, *arguments, environment=environment)
    try:
        yield terminal
    finally:
        terminal.close()
