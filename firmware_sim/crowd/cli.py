"""`firmware-sim crowd`: a seeded crowd at a simulated reader and board of its own."""

import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from firmware_sim.cli_errors import OneLineCommand, OneLineError, a_number
from firmware_sim.cli_types import timing_option
from firmware_sim.crowd.devices import CrowdError, Devices, Stopped, print_line
from firmware_sim.crowd.passenger import Passenger
from firmware_sim.crowd.plan import (
    MIX_PER_MILLE,
    DeckCard,
    DeckError,
    either_for,
    in_place_of,
    plan,
    read_deck,
)
from firmware_sim.crowd.score import Score

NS_PER_MS = 1_000_000
HUMAN_PACE_MS = 1_500  # one tap in one to two seconds
SCRIPTED_PACE_MS = 20
TAPS_MAX = 1_000_000
WAIT_LIMIT_S = 30.0

_EPILOG = """
A deck has one JSON object a line: uid (hex), kind (any word), expect (admitted,
admitted_with_notice, denied, try_again, unsupported), report (true, false). Each card comes once;
when all have come, those of which no report is due come again.

\b
Of a thousand taps, the crowd adds to the deck: {mix}
  phone    a random UID: unsupported         clash   two cards at once: try_again
  pulled   gone too early, presented again   held    stays on the reader: must not open twice
  stays    is admitted and does not walk

\b
Output, one JSON object a line: ready; tap, for each; waiting and served; error; summary at the end.

\b
Verbs on standard input:
  next UID OUTCOME REPORT  the next passenger has this card, in place of a planned one.
                           OUTCOME is what is right: an outcome, or either (admitted or denied).
                           REPORT is true if a report is due, else false. Its kind is "asked".
  either KIND              from now on any verdict is right for cards of this kind, since the
                           gate's list changes. Of a denial a report is due as before.
  reader VERB, board VERB  a verb for one of the devices
  pause [TAP]              hold the crowd, now or from this tap on, until resume
  step                     let one passenger of a paused crowd come; next does so too
  resume, quit

Exit 0 if every tap was right, 1 if not, or if no lane serves the gate.

\b
Example:
  firmware-sim crowd --deck deck.jsonl --reader-link /tmp/reader --board-link /tmp/board --taps 200
""".format(mix=", ".join(f"{count} {play.value}" for play, count in MIX_PER_MILLE.items()))


@dataclass(frozen=True, slots=True)
class _Run:
    deck: list[DeckCard]
    seed: int
    taps: int | None
    human: bool
    pace_ms: int


@click.command(cls=OneLineCommand, epilog=_EPILOG)
@click.option(
    "--deck", type=click.Path(path_type=Path), required=True, help="The cards, in JSON Lines."
)
@click.option(
    "--reader-link", required=True, help="Keep a symlink to the reader's port at this path."
)
@click.option(
    "--board-link", required=True, help="Keep a symlink to the board's port at this path."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The seed of crowd and devices."
)
@click.option("--taps", type=click.IntRange(1, TAPS_MAX), help="End after this many taps.")
@click.option("--forever", is_flag=True, help="Run until quit or a signal, at human pace.")
@timing_option("the devices")
@click.option(
    "--pace-ms",
    type=click.IntRange(0, 3_600_000),
    help=f"From tap to tap, at least; {HUMAN_PACE_MS} with --forever, else {SCRIPTED_PACE_MS}.",
)
@click.option(
    "--wait-limit-s",
    type=click.FloatRange(0.1, 86_400),
    callback=a_number,
    default=WAIT_LIMIT_S,
    show_default=True,
    help="How long to wait for a lane to serve the devices.",
)
def crowd(
    *,
    deck: Path,
    reader_link: str,
    board_link: str,
    seed: int,
    taps: int | None,
    forever: bool,
    timing: str,
    pace_ms: int | None,
    wait_limit_s: float,
) -> None:
    """Simulate a crowd at a reader and board of its own, and judge what a lane does."""
    if forever == (taps is not None):
        raise OneLineError("crowd: give either --taps N or --forever")
    if pace_ms is None:
        pace_ms = HUMAN_PACE_MS if forever else SCRIPTED_PACE_MS
    run = _Run(_deck(deck), seed, taps, forever, pace_ms)
    both = ("--timing", timing, "--seed", str(seed))
    devices = Devices(
        ("pn532", "--link", reader_link, *both),
        ("board", "--link", board_link, "--passenger", "manual", *both),
        wait_limit_s=wait_limit_s,
    )
    sys.exit(_run(run, devices))


def _deck(path: Path) -> list[DeckCard]:
    try:
        return read_deck(path.read_text("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise OneLineError(
            f"crowd: --deck: {path}: is not UTF-8; write one JSON object a line"
        ) from error
    except (OSError, DeckError) as error:
        raise OneLineError(f"crowd: --deck: {error}") from error


def _run(run: _Run, devices: Devices) -> int:
    """Play; return the exit status. The devices end before the summary, which is the last line."""
    score = Score()
    status = 0
    try:
        with devices:
            _play(run, devices, score)
    except Stopped:
        status = int(run.taps is not None)  # fewer taps than asked for
    except CrowdError as error:
        click.echo(f"firmware-sim: crowd: {error}", err=True)
        status = error.status
    try:
        print_line(**score.summary())
    except Stopped:
        status = 1  # its reader has gone
    except CrowdError as error:
        click.echo(f"firmware-sim: crowd: {error}", err=True)
        status = 1
    return status or int(score.wrong > 0)


def _play(run: _Run, devices: Devices, score: Score) -> None:
    paths = devices.start()
    print_line(event="ready", reader=paths["reader"], board=paths["board"])
    passenger = Passenger(devices)
    pace = Random(run.seed)  # noqa: S311  (a run must repeat)
    for planned in itertools.islice(plan(run.deck, run.seed, human=run.human), run.taps):
        spread = pace.uniform(0.67, 1.33) if run.human else 1.0
        next_ns = time.monotonic_ns() + int(run.pace_ms * spread * NS_PER_MS)
        devices.wait_turn(planned.n)
        devices.wait_served()  # a passenger of `next` that is sent meanwhile comes next
        tap = in_place_of(planned, devices.asked.popleft()) if devices.asked else planned
        sight = passenger.play(tap)
        print_line(**score.count(either_for(tap, devices.either), sight))
        devices.wait_until(next_ns)
