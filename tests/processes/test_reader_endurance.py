"""A reader's months in a minute: plugged thirty times, and its program killed at any moment."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.readers.rigs import (
    RIGS,
    Listener,
    ReaderRig,
    kinds_that,
    listening,
    threads_and_descriptors,
)
from validator.domain.events import CardSeen, LaidBefore, ReaderLost

UNPLUGS = 30
KILLS = 20
STALLS_MAX = (
    2  # of all tries, those that may fall into a moment in which the whole machine did not run
)
GROWTH_KB_MAX = (
    1024  # the interpreter's own noise; a leaked port with its buffers would be 100 times 20 KB
)

# Uses the reader as the lane does until it is killed. It prints when it begins, so that the kill
# can meet every step of opening.
VICTIM = """
import sys
from tests.contracts.readers.rigs import RIGS, Listener
print("begins", flush=True)
listener = Listener(RIGS[sys.argv[1]].reader(sys.argv[2]))
while True:
    listener.armed_event()
"""


# Those in a rig of their own are plugged as often in the tests of that reader.
@pytest.fixture(params=kinds_that(lambda kind: not kind.needs_usb_rig and not kind.needs_input_rig))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rig(kind: str, tmp_path: Path) -> Iterator[ReaderRig]:
    rig = RIGS[kind].start(tmp_path)
    yield rig
    rig.close()


def private_kb() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def replug(rig: ReaderRig, listener: Listener, *, wait_s: float) -> float:
    """One unplugging; how long the reader took to be back, in seconds."""
    listener.reader.arm()
    rig.unplug()
    assert isinstance(listener.event(), ReaderLost)
    listener.event(wait_s)
    plugged_ns = rig.replug()
    return (listener.back().at_ns - plugged_ns) / 1e9


def test_plugging_in_and_out_again_and_again_leaves_nothing_behind(rig: ReaderRig) -> None:
    rng = random.Random(1)
    with listening(rig.reader()) as listener:
        listener.back()
        for _ in range(5):
            replug(rig, listener, wait_s=0.01)
        before = *threads_and_descriptors(), private_kb()
        times_s = [replug(rig, listener, wait_s=rng.uniform(0.0, 0.1)) for _ in range(UNPLUGS)]
        after = *threads_and_descriptors(), private_kb()
        rig.present("0489ab12cd34ef")
        assert listener.uid() == "0489ab12cd34ef"
    times_s.sort()
    print(f"back after {times_s[-1]:.2f} s at most, {after[2] - before[2]} KB more")  # noqa: T201

    assert times_s[-1 - STALLS_MAX] < 2.0
    assert after[0] <= before[0], "threads"
    assert after[1] <= before[1], "descriptors"
    assert after[2] - before[2] < GROWTH_KB_MAX


def kill_after(kind: str, path: str, delay_s: float) -> None:
    """Start a program that uses the reader, and kill it that long after it has begun."""
    command = [sys.executable, "-c", VICTIM, kind, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"begins\n"
        time.sleep(delay_s)  # the moment of the kill is what is drawn; nothing is waited for
        victim.kill()


def test_a_program_that_is_killed_leaves_a_reader_that_is_back_at_once(
    kind: str, rig: ReaderRig
) -> None:
    rng = random.Random(1)
    times_s = []
    for number in range(KILLS):
        uid = f"04{number:012x}"
        if number % 2:
            rig.present(uid)
        kill_after(kind, rig.path, rng.uniform(0.0, 0.05))
        started = time.monotonic()
        with listening(rig.reader()) as listener:
            listener.back()
            times_s.append(time.monotonic() - started)
            if number % 2:
                # Whether the killed one had received the card is left to chance.
                before = (LaidBefore, CardSeen) if RIGS[kind].knows_answered else LaidBefore
                assert isinstance(listener.armed_event(5.0), before)
                rig.remove()
            rig.present(uid)
            assert listener.uid() == uid
        rig.remove()
    print(f"back after {max(times_s):.2f} s at most")  # noqa: T201

    assert sorted(times_s)[-1 - STALLS_MAX] < 2.0
