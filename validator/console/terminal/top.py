"""`turnike top`: the status page's content in a terminal.

top(config)                     # until q or Ctrl-C
top(config, once=True)          # one picture; as_json: the same as one JSON object

It connects to the lanes itself, so it needs no console. It only shows, and changes nothing.
"""

import asyncio
import json
import os
import sys
import termios
import tty
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import msgspec
from rich.console import Console, ConsoleDimensions
from rich.live import Live

from validator.config import Config
from validator.console.gate import Gate, Lane
from validator.console.lane_line import lane_says
from validator.console.terminal.view import Window, draw
from validator.errors import OperatorError

STEP_S = 0.5  # between two pictures
FIRST_S = 6.0  # for a lane's first answer: its clerk may be adopting a list
WIDTH_MIN = 20  # even on a terminal that reports a width of 0
HEIGHT_MIN = 4  # likewise: a verdict, a line, and what q does
ALL_LINES = 1 << 20

MOVES: dict[bytes, Callable[[Window], None]] = {
    **dict.fromkeys((b"j", b"\x1b[B", b"\x1bOB", b"\r", b"\n"), lambda window: window.move(1)),
    **dict.fromkeys((b"k", b"\x1b[A", b"\x1bOA"), lambda window: window.move(-1)),
    **dict.fromkeys((b" ", b"f", b"\x1b[6~"), lambda window: window.page(1)),
    **dict.fromkeys((b"b", b"\x1b[5~"), lambda window: window.page(-1)),
    **dict.fromkeys((b"g", b"\x1b[H", b"\x1b[1~"), lambda window: window.move(-ALL_LINES)),
    **dict.fromkeys((b"G", b"\x1b[F", b"\x1b[4~"), lambda window: window.move(ALL_LINES)),
}
"""What each key does, by the bytes that terminals send; arrows in both of their modes."""
QUIT = b"q"


class _Terminal(Console):
    """A rich console at least WIDTH_MIN wide, which reads its size again for each picture."""

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and rows."""
        found = super().size
        return ConsoleDimensions(max(found.width, WIDTH_MIN), max(found.height, HEIGHT_MIN))

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        """See rich."""
        self._width, self._height = new_size


def top(config: Config, *, once: bool = False, as_json: bool = False) -> bool:
    """Show the lanes that [console] names, else those of [upload], else this one.

    Returns:
        Whether every lane answered; True when a person ended it.

    Raises:
        OperatorError: no lane can be asked.
    """
    sockets = _sockets(config)
    gate = Gate(config.gate_id, version("turnike"), sockets)
    shown = _Terminal()
    if once or as_json or not shown.is_terminal:
        asyncio.run(_once(gate, sockets))
        if as_json:
            sys.stdout.write(json.dumps(msgspec.to_builtins(gate.state())) + "\n")
        else:
            shown.print(draw(gate))
        return all(lane.up for lane in gate.lanes)
    with suppress(KeyboardInterrupt):
        asyncio.run(_live(gate, sockets, shown))
    return True


def _sockets(config: Config) -> list[Path]:
    if config.console is not None:
        return [Path(lane) for lane in config.console.lanes]
    if config.upload is not None:
        return [Path(lane) for lane in config.upload.lanes]
    if config.reports.socket:
        return [Path(config.reports.socket)]
    raise OperatorError(
        "reports.socket: not set, so no program can ask this lane; name a socket there"
    )


async def _once(gate: Gate, sockets: list[Path]) -> None:
    """Wait until each lane has answered, or is known not to."""

    async def first_answer(lane: Lane, path: Path) -> None:
        async for received in lane_says(path):
            lane.take(received)
            return

    async with asyncio.TaskGroup() as group:
        for lane, path in zip(gate.lanes, sockets, strict=True):
            group.create_task(_at_most(first_answer(lane, path)))


async def _at_most(word: Coroutine[None, None, None]) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(word, FIRST_S)


async def _live(gate: Gate, sockets: list[Path], shown: Console) -> None:
    ended = asyncio.Event()

    async def follow(lane: Lane, path: Path) -> None:
        async for received in lane_says(path):
            lane.take(received)

    window, pressed = Window(gate), asyncio.Event()

    def press(key: bytes) -> None:
        if key in MOVES:
            MOVES[key](window)
        elif key in (QUIT, b""):
            ended.set()
        pressed.set()

    with _keys(press), Live(window, console=shown, screen=True, auto_refresh=False) as live:
        followers = [
            asyncio.create_task(follow(*both)) for both in zip(gate.lanes, sockets, strict=True)
        ]
        while not ended.is_set():
            live.refresh()
            with suppress(TimeoutError):
                await asyncio.wait_for(pressed.wait(), STEP_S)
            pressed.clear()
        for follower in followers:
            follower.cancel()


@contextmanager
def _keys(press: Callable[[bytes], None]) -> Iterator[None]:
    """Read single keys of the terminal, if it is one; an empty key means that it has gone."""
    if not sys.stdin.isatty():
        yield
        return
    fd, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(fd)

    def readable() -> None:
        try:
            typed = os.read(fd, 256)
        except OSError:
            typed = b""
        for key in keys_in(typed) or [b""]:
            press(key)

    tty.setcbreak(fd)
    loop.add_reader(fd, readable)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        with suppress(termios.error):  # it has gone
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def keys_in(typed: bytes) -> list[bytes]:
    """Split what a terminal sent into keys: those of MOVES whole, anything else byte by byte."""
    keys = []
    while typed:
        key = next((known for known in MOVES if typed.startswith(known)), typed[:1])
        keys.append(key)
        typed = typed[len(key) :]
    return keys
