"""`turnike top` in terminals of many sizes: no figure is cut, and every line can be reached."""

from io import StringIO
from pathlib import PurePath
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from tests.support.gate.console_lane import CARDS, courier, status, tap
from validator.console.gate import Gate
from validator.console.terminal.top import MOVES, QUIT, WIDTH_MIN, keys_in
from validator.console.terminal.view import Window, draw

WIDEST: dict[str, Any] = {
    name: {"count": 9, "p50": 99_900, "p99": 999_400, "p999": 99_900_000, "max": 999_900_000}
    for name in ("decided_us", "told_us", "filed_us")
}
FIGURES = (
    "99.9 ms",
    "999.4 ms",
    "99.9 s",
    "999.9 s",
    "8,260,000 cards",
    "4.7 GiB free",
    "admitted with notice",
)
SIZES = [(20, 10), (40, 24), (80, 24), (100, 30), (120, 40), (200, 50)]


def gate(lanes: int, **changes: Any) -> Gate:
    made = Gate(
        "kadikoy-03",
        "0.2.0",
        [PurePath(f"/run/lane-{number}.sock") for number in range(1, lanes + 1)],
    )
    for number, lane in enumerate(made.lanes, 1):
        lane.take(status(lane=number, **WIDEST, **changes))
        for tapped in range(20):
            lane.take(
                tap(tap=tapped, token=f"{number:02x}{tapped:02x}", outcome="admitted_with_notice")
            )
    return made


def screen(window: Window, width: int, height: int) -> list[str]:
    """What the terminal shows, line by line."""
    console = Console(file=StringIO(), width=width, height=height)
    lines = console.render_lines(window, console.options.update(height=height))
    return ["".join(segment.text for segment in line) for line in lines]


def words(text: str) -> str:
    """Without frames, and however it wraps."""
    return " ".join("".join(" " if each in "│╭╮╰╯─" else each for each in text).split())


@pytest.mark.parametrize("width", [WIDTH_MIN, 40, 60, 64, 80, 99, 120, 200, 300])
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_no_figure_is_cut_in_any_width(lanes: int, width: int) -> None:
    out = StringIO()
    Console(file=out, width=width, height=50).print(draw(gate(lanes)))
    said = out.getvalue()
    assert "…" not in said
    assert max(map(len, said.splitlines())) <= width
    if lanes == 1:
        assert [figure for figure in FIGURES if figure not in words(said)] == []
    assert said.count("─╮") == (0 if width < 52 else lanes)
    assert not [card for card in CARDS if card in said]


def test_lanes_are_drawn_side_by_side_where_there_is_room() -> None:
    for width, beside in ((80, 1), (119, 1), (120, 2), (200, 3), (300, 5)):
        out = StringIO()
        Console(file=out, width=width, height=50).print(draw(gate(5)))
        assert max(line.count("╮") for line in out.getvalue().splitlines()) == beside


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    "changes", [{}, {"courier": courier(state="disk", problem="/l: read-only"), "tamper": True}]
)
def test_every_line_can_be_scrolled_to_and_the_verdict_stays(
    width: int, height: int, changes: dict[str, Any]
) -> None:
    window = Window(gate(3, **changes))
    seen = set[str]()
    first = screen(window, width, height)
    while True:
        shown = screen(window, width, height)
        assert len(shown) == height
        assert max(map(len, shown)) <= width
        assert shown[0] == first[0], "the verdict"
        assert "q ends this." in words(" ".join(shown))
        before = len(seen)
        seen |= {line.strip() for line in shown}
        if len(seen) == before:
            break
        window.move(1)
    whole = Console(file=StringIO(), width=width, height=height).render_lines(
        draw(gate(3, **changes))
    )
    lines = {"".join(segment.text for segment in line).strip() for line in whole[:-3]}
    assert {line for line in lines if "ends this" not in line and "A token" not in line} <= seen
    window.move(-(1 << 20))
    assert screen(window, width, height) == first


def test_a_picture_that_fits_does_not_scroll_and_one_that_shrinks_shows_its_end() -> None:
    window = Window(gate(1))
    MOVES[b"G"](window)
    assert "Arrows" not in " ".join(screen(window, 120, 60))
    screen(window, 80, 24)
    MOVES[b"G"](window)
    assert screen(window, 80, 24) != screen(Window(gate(1)), 80, 24)
    assert screen(window, 120, 60) == screen(Window(gate(1)), 120, 60)


def test_keys_are_read_as_terminals_send_them() -> None:
    assert keys_in(b"j\x1b[A\x1bOB\x1b[6~xq") == [
        b"j",
        b"\x1b[A",
        b"\x1bOB",
        b"\x1b[6~",
        b"x",
        QUIT,
    ]
    window = Window(gate(3))
    for down, up in ((b"j", b"k"), (b"\x1b[B", b"\x1b[A"), (b"\x1b[6~", b"\x1b[5~"), (b"G", b"g")):
        first = screen(window, 80, 24)
        MOVES[down](window)
        assert screen(window, 80, 24) != first
        MOVES[up](window)
        assert screen(window, 80, 24) == first


def test_on_a_whole_screen_it_is_as_high_as_the_screen() -> None:
    out = StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    with Live(Window(gate(3)), console=console, screen=True, auto_refresh=False) as live:
        live.refresh()
    assert "Arrows, j, k" in out.getvalue()
    assert "..." not in out.getvalue()
