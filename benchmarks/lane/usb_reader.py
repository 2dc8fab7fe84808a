"""Measure an RC-S380: from a card in the field to OPEN, beside nfcpy's own loop on the same reader.

Everything runs on the simulated USB bus (firmware_sim/usb), with the real libusb. The "ideal" chip
takes no time, so what is left is the software's: libusb, the lane, and the wait for the next
request. The "real" timing is assumed (3 ms a command), not measured on a Port-100. nfcpy's loop
only reads the UID: it decides and opens nothing.

The last rows are the board's: how long its bytes lie there while the lane's loop serves a reader
that works, hangs, floods, or is gone, beside the same with a PN532 (board_wait.py).
"""

import time
from random import Random

from benchmarks.context import Bench, quiet_memory
from benchmarks.lane.gate import START_S, gate
from benchmarks.lane.nfcpy_taps import nfcpy_taps
from benchmarks.rows import Limit, Row, timed
from firmware_sim.usb.usbfs.rig import Rig, RigError
from tests.support.machine.programs import Program, program

OURS_MS = 15.0  # on top of the chip's own time
SHARE_OF_NFCPY = 0.6
SENSE_REST_S = 0.12  # two of its turns at the real timing: a card comes at any moment of one
# A state of the reader: the verbs that bring it there and back, with the events that confirm them.
Verbs = tuple[tuple[str, str], ...]
SERVES: tuple[Verbs, Verbs] = ((), ())
IS_GONE: tuple[Verbs, Verbs] = ((("unplug", "unplugged"),), (("replug", "replugged"),))
IS_OPENED = "is opened, again and again"
OPENED_EVERY_S = 0.5


def _fault(name: str) -> tuple[Verbs, Verbs]:
    return ((f"fault {name}", "fault"),), (("fault none", "fault"),)


STATES = {
    "rcs380": {
        "serves": SERVES,
        "hangs": _fault("dropped"),
        "floods": _fault("flood"),
        IS_OPENED: SERVES,
        "is gone": IS_GONE,
    },
    "pn532": {
        "serves": SERVES,
        "hangs": _fault("dead"),
        "floods": _fault("noise"),
        IS_OPENED: SERVES,
        "is gone": IS_GONE,
    },
}
NAMES = {"rcs380": "the board waits, RC-S380 {}", "pn532": "… the board waits, PN532 {}"}


def run(bench: Bench) -> list[Row]:
    """Both timings with nfcpy beside them, then the board's wait."""
    try:
        with Rig() as rig:
            rows = []
            for timing in ("ideal", "real"):
                rows += _taps(bench, rig, timing)
            return rows + _board_waits(bench, rig)
    except RigError as error:
        raise RuntimeError(f"no simulated USB bus: {error}") from error


def _taps(bench: Bench, rig: Rig, timing: str) -> list[Row]:
    scale = bench.scale
    nfcpy = nfcpy_taps(
        bench,
        ("rcs380", "--timing", timing),
        "sense",
        scale.usb_taps,
        SENSE_REST_S,
        f"nfcpy's sense() on an RC-S380, {timing} chip",
        rig.command(),
    )
    limits = (
        Limit("p50", OURS_MS, "on top of a chip that takes no time"),
        Limit("p50", SHARE_OF_NFCPY * nfcpy.p50, f"{SHARE_OF_NFCPY} × nfcpy's in this run"),
    )
    town, rest = bench.town(scale.cards), Random(timing)
    taken_ns: list[int] = []
    with quiet_memory(), gate(town, timing, rig) as at:
        numbers = bench.track(range(scale.usb_taps), f"taps on an RC-S380, {timing} timing")
        taken_ns += (at.tap(town.matched[number], rest, opens=True)[0] for number in numbers)
    budget = limits if timing == "ideal" else limits[1:]
    return [
        timed(f"tap → OPEN on the wire, RC-S380, {timing} chip", "ms", taken_ns, *budget),
        nfcpy,
    ]


def _board_waits(bench: Bench, rig: Rig) -> list[Row]:
    waits = {kind: _waits(bench, rig, kind) for kind in STATES}
    return [
        timed(
            NAMES[kind].format(state),
            "ms",
            waits[kind][state],
            compared=kind == "pn532",
            note="its bytes, in the lane's kind of loop",
        )
        for state in STATES["rcs380"]
        for kind in STATES
    ]


def _waits(bench: Bench, rig: Rig, kind: str) -> dict[str, list[int]]:
    """Return for each state how long the board's bytes lay there, in ns."""
    seconds, waits = bench.scale.board_wait_s, {}
    with program("firmware_sim", kind, "--timing", "real", before=rig.command()) as reader:
        arguments = (kind, reader.first_line(), str(seconds))
        with program("benchmarks.lane.board_wait", *arguments, before=rig.command()) as loop:
            for state, (there, back) in bench.track(STATES[kind].items(), f"waits, {kind}"):
                loop.say("serve")
                loop.event("serves", START_S)
                _say(reader, there)
                loop.say("measure")
                if state == IS_OPENED:
                    _open(reader, seconds)
                waits[state] = loop.event("waited", START_S + seconds)["ns"]
                _say(reader, back)
    return waits


def _open(reader: Program, seconds: float) -> None:
    """Let the reader restart now and then, so that it must be opened again."""
    for _ in range(max(1, int(seconds / OPENED_EVERY_S))):
        _say(reader, (("brownout", "brownout"),))
        time.sleep(OPENED_EVERY_S)


def _say(reader: Program, verbs: Verbs) -> None:
    for verb, confirmed in verbs:
        reader.say(verb)
        reader.event(confirmed)
