"""A program in the USB rig: lays cards on a simulated CCID reader, and prints how long each took.

    python -m benchmarks.lane.pcsc_cards COUNT FOLDER

The real pcscd and libccid drive the reader. Ours and pyscard's CardMonitor take turns: each serves
alone, for a card that comes to the empty reader and for one that takes another's place.
"""

import json
import sys
import time
from pathlib import Path
from random import Random
from typing import TypedDict

from tests.support.devices.pcscd import Pcscd
from tests.support.machine.programs import Program, program

REST_S = 0.5  # to the next card: pcscd takes up to 0.4 s to notice that one has left
SEEN_S = 5.0  # a card that was not seen by then is missed: pcscd may report no swap
GAP_S = 0.05  # between a card and the one that takes its place
START_S = 60.0
PATTERN = "ACS*"


class Times(TypedDict):
    """Of each card in ns, from its coming to the UID; None for one that was missed."""

    cards: list[int | None]
    swapped: list[int | None]


MONITOR = ("/usr/bin/python3", str(Path(__file__).with_name("card_monitor.py")))


def main() -> None:
    """Print one JSON object: by way, times in ns of cards and swapped ones, null for missed."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    pcscd = Pcscd(folder)
    taken: dict[str, Times | None] = {}
    try:
        with program("firmware_sim", "ccid") as reader:
            reader.first_line()
            with program("benchmarks.lane.pcsc_loop", PATTERN, str(folder)) as ours:
                ours.event("ready", START_S)
                taken["ours"] = _times(reader, ours, count)
            taken["monitor"] = _of_monitor(reader, count)
    finally:
        pcscd.stop()
    print(json.dumps({"event": "taken", "taken": taken}), flush=True)


def _of_monitor(reader: Program, count: int) -> Times | None:
    with program("card_monitor", before=MONITOR) as monitor:
        if not monitor.hear(START_S) and monitor.process.wait(START_S) != 0:
            return None  # pyscard is not installed
        monitor.event("ready", START_S)
        return _times(reader, monitor, count)


def _times(reader: Program, loop: Program, count: int) -> Times:
    rest, times = Random(count), Times(cards=[], swapped=[])
    for number in range(count):
        time.sleep(REST_S + rest.uniform(0, 0.1))
        times["cards"].append(_laid(reader, loop, f"04{2 * number:012x}"))
        if number % 4 == 0:
            time.sleep(rest.uniform(0.5, 0.6))
            reader.say("remove")
            reader.event("removed")
            time.sleep(GAP_S)
            times["swapped"].append(_laid(reader, loop, f"04{2 * number + 1:012x}"))
        reader.say("remove")
        reader.event("removed")
    return times


def _laid(reader: Program, loop: Program, uid: str) -> int | None:
    """Lay a card; return how long the loop took to know its UID, or None if it missed it."""
    reader.say(f"present {uid}")
    laid_ns: int = reader.event("present", uid=uid)["at_ns"]
    until_s = time.monotonic() + SEEN_S
    while time.monotonic() < until_s:
        for line in loop.catch_up():
            if line.get("uid") == uid:
                return int(line["at_ns"]) - laid_ns
        if not loop.hear(until_s - time.monotonic()) and loop.process.poll() is not None:
            raise RuntimeError(f"the loop ended: {loop.last_words()}")
    return None


if __name__ == "__main__":
    main()
