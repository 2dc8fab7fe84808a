"""`firmware-sim crowd`: a seeded crowd on a simulated reader and board of its own. Arguments, pace, and the lines printed."""

import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from firmware_sim.cli_errors import OneLineCommand, OneLineError, a_number
from firmware_sim.crowd.devices import CrowdError, Devices, Stopped, say
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
A deck has one JSON object a line: uid (hex), kind (any word), expect (admitted, admitted_with_notice, denied, try_again,
unsupported), report (true, false). Each card comes once; when all have come, those of which no report is due come again.

\b
Of a thousand taps the crowd makes up, on top of the deck: {mix}
  phone    a random UID: unsupported         clash   two cards at once: try_again
  pulled   gone too early, presented again   held    stays on the reader: must not open twice
  stays    is admitted and does not walk

\b
Output, one JSON object a line: ready; tap, for each; waiting and served; error; summary at the end.
Verbs on standard input: reader VERB, board VERB, pause, resume, quit, and next UID OUTCOME REPORT: the next passenger comes with that
card and expects that (an outcome, or either: admitted or denied; report is due: true, false). It takes the place of a planned one, and its kind is asked.
either KIND: from now on any verdict is right for cards of that kind, since somebody changes what the gate decides by; of a denial a report is due as before.
pause TAP holds the crowd from that tap on, until resume; next and step let one come meanwhile.

Exit 0 if every tap was right, 1 if not, or if nobody serves the gate.

Example: firmware-sim crowd --deck deck.jsonl --reader-link /tmp/reader --board-link /tmp/board --taps 200
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
@click.option("--reader-link", required=True, help="Keep a symlink to the reader's port here.")
@click.option("--board-link", required=True, help="Keep a symlink to the board's port here.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--taps", type=click.IntRange(1, TAPS_MAX), help="Play that many and end.")
@click.option("--forever", is_flag=True, help="Play until told to stop, at human pace.")
@click.option("--timing", type=click.Choice(["ideal", "real"]), default="ideal", show_default=True)
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
    help="How long to wait for a lane.",
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
    """Simulate a crowd: starts a reader and a board, waits for a lane to serve them, and judges every tap."""
    if forever == (taps is not None):
        raise OneLineError("crowd: say either --taps N or --forever")
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
    """Play; return the exit status. The devices are stopped before the summary is said: it is the last thing."""
    score = Score()
    status = 0
    try:
        with devices:
            _play(run, devices, score)
    except Stopped:
        status = int(run.taps is not None)  # it was to be more taps than were played
    except CrowdError as error:
        click.echo(f"firmware-sim: crowd: {error}", err=True)
        status = error.status
    try:
        say(**score.summary())
    except Stopped:
        status = 1  # its reader has gone
    except CrowdError as error:
        click.echo(f"firmware-sim: crowd: {error}", err=True)
        status = 1
    return status or int(score.wrong > 0)


def _play(run: _Run, devices: Devices, score: Score) -> None:
    paths = devices.start()
    say(event="ready", reader=paths["reader"], board=paths["board"])
    passenger = Passenger(devices)
    pace = Random(run.seed)  # noqa: S311  (a run must repeat)
    for planned in itertools.islice(plan(run.deck, run.seed, human=run.human), run.taps):
        spread = pace.uniform(0.67, 1.33) if run.human else 1.0
        next_ns = time.monotonic_ns() + int(run.pace_ms * spread * NS_PER_MS)
        devices.wait_turn(planned.n)
        devices.wait_served()  # whoever is asked for meanwhile comes next
        tap = in_place_of(planned, devices.asked.popleft()) if devices.asked else planned
        sight = passenger.play(tap)
        say(**score.count(either_for(tap, devices.either), sight))
        devices.wait_until(next_ns)
