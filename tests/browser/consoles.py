"""A console as a process beside simulated lanes: any state of a gate, shown within a second."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.gate.console_lane import (
    NOW_UNIX_S,
    FakeLane,
    courier,
    histogram_line,
    status_line,
)
from tests.support.machine.programs import WAIT_S, Program, lane_config, program

AS_IT_IS = ("validator", "console", "--config")
ADVANCES_MAX = 60  # then the clock stops
HURRIED = ("tests.processes.hurried_console",)


@contextmanager
def console(
    folder: Path, *lanes: Path, port: int = 0, module: tuple[str, ...] = AS_IT_IS
) -> Iterator[tuple[str, Program]]:
    """Run a console for these lanes; yields its address and the process."""
    path = folder / "console.toml"
    sockets = json.dumps([str(lane) for lane in lanes])
    path.write_text(
        lane_config(folder).read_text()
        + f'[console]\nlisten = "127.0.0.1:{port}"\nlanes = {sockets}\n'
    )
    with program(*module, str(path)) as process:
        yield process.event("started")["address"], process


def tells(lane: FakeLane, **changes: Any) -> None:
    """Let the lane answer with these changes, and send an event that makes the console ask."""
    status = json.dumps(status_line(**changes)).encode() + b"\n"
    others = lane.answers
    lane.answers = lambda request: status if request == "status" else others(request)
    lane.say(b'{"event":"list"}\n')


def busy(durations_ns: dict[str, list[int]]) -> Callable[[str], bytes]:
    """Answer as a lane with one more tap of each of these durations at each request."""
    heard: dict[str, list[int]] = {stage: [] for stage in durations_ns}

    def answers(request: str) -> bytes:
        if request == "histograms":
            for stage, more in durations_ns.items():
                heard[stage] += more
        told = {
            "status": status_line(),
            "histograms": histogram_line(heard),
            "watch": {"watching": True},
        }[request]
        return json.dumps(told).encode() + b"\n"

    return answers


def advancing(durations_ns: list[int], step_s: int) -> Callable[[str], bytes]:
    """Answer as a lane that runs `step_s` seconds with these taps between two statuses."""
    asked, heard = [0], {"told": list[int]()}

    def answers(request: str) -> bytes:
        if request == "status" and asked[0] < ADVANCES_MAX:
            asked[0] += 1
            heard["told"] += durations_ns
        now_unix_s = NOW_UNIX_S + step_s * asked[0]
        told = {
            "status": status_line(unix_s=now_unix_s, courier=courier(polled_unix_s=now_unix_s)),
            "histograms": histogram_line(heard),
            "watch": {"watching": True},
        }[request]
        return json.dumps(told).encode() + b"\n"

    return answers


def has_a_day(address: str) -> None:
    """Wait until the console has something to draw."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        with urllib.request.urlopen(f"{address}day") as answer:  # noqa: S310  # the console
            if any(slot["count"] for slot in json.load(answer)["slots"]):
                return
    raise AssertionError("no slot came")
