"""The command `learn`: the next refused or unknown card at a gate, on this operator's screen."""

import os
import pwd
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backoffice.cli.shared import home_option, moment, now_unix_s, os_errors_on_one_line
from validator.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backoffice.learning.operator_request import Desk, OperatorRequest, Place
    from validator.learning.answer import Answer

LOOK_S = 0.25  # between two looks for the gate's answer
WAIT_S, WAIT_S_MAX = 60, 180
WHO_CHARACTERS_MAX = 128
_UNITS_S = {"s": 1, "m": 60}
_SPAN = re.compile(r"([1-9][0-9]{0,2})([sm])\Z", re.ASCII)


class _Span(click.ParamType[int]):
    name = "span"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value)
        found = _SPAN.match(text)
        seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
        if not 1 <= seconds <= WAIT_S_MAX:
            self.fail(f"{text[:20]!r} is no span from 1s to 3m", param, ctx)
        return seconds


@click.command(epilog="Example: turnike-backoffice learn kadikoy-03 --home city")
@click.argument("gate_id", metavar="GATE", required=False)
@home_option
@click.option("--lane", type=click.IntRange(1, 99), help="Which lane, if the gate has several.")
@click.option(
    "--for",
    "wait_s",
    type=_Span(),
    default=f"{WAIT_S}s",
    show_default=True,
    metavar="SPAN",
    help="How long the gate waits for the card: 1s to 3m.",
)
@click.option("--who", default="", help="Your name, for the record; else your login's.")
@click.option("--log", "is_log", is_flag=True, help="Show who learned a card, when, and where.")
def learn(
    gate_id: str | None, home_folder: Path, lane: int | None, wait_s: int, who: str, is_log: bool
) -> None:
    """Show the next refused or unknown card at a gate, to register it: its UID, on this screen.

    The gate takes the order with its next status, within a minute; then lay the card on its reader.
    The card is sealed to this command alone, and nothing says why the gate refused it. The registry
    records who asked, and whether a card was shown; never which.

    Exit 1: no card came, or the gate did not answer.
    """
    if is_log:
        _show_log(home_folder)
        return
    if gate_id is None:
        raise OperatorError("name a gate; turnike-backoffice gates lists them")
    who = _who(who)
    with _withdrawn_at_signals(), _desk(home_folder) as desk:
        _learn(desk, _place(desk, gate_id, lane), who, wait_s)


def _learn(desk: "Desk", place: "Place", who: str, wait_s: int) -> None:
    from backoffice.learning.operator_request import OperatorRequest

    known = desk.log.last_key(place.gate_id)
    with OperatorRequest(desk, place, who, wait_s) as request:
        _say(f"{_name(place)}: the gate takes the order with its next status, within a minute …")
        answer = _await_final(request, place, wait_s)
        if not answer.sealed:
            _say(f"{_name(place)}: {_shown(answer.problem) or 'no card came'}")
            raise SystemExit(1)
        card = request.card(answer)
    click.echo(f"UID {card.uid}")
    if card.number:
        click.echo(f"printed number {card.number}")
    _tell_key(place, known)
    _tell_next(card.uid)


def _await_final(request: "OperatorRequest", place: "Place", wait_s: int) -> "Answer":
    """Wait for the gate's last answer. Exits with 1 and a line if it does not come."""
    from backoffice.learning.operator_request import GRACE_S
    from validator.learning.order import ACCEPT_S

    ends_s, is_waiting = time.monotonic() + ACCEPT_S + GRACE_S, False
    while True:
        answer = request.look()
        if answer is not None and answer.state.is_final:
            return answer
        if answer is not None and not is_waiting:
            is_waiting, ends_s = True, time.monotonic() + wait_s + GRACE_S
            _say(f"{_name(place)}: lay the card on the reader now, within {wait_s} s")
        if time.monotonic() >= ends_s:
            request.no_answer()
            said = "it stopped answering" if is_waiting else f"it did not ask within {ACCEPT_S} s"
            _say(f"{_name(place)}: {said}; turnike-backoffice gates shows how it is")
            raise SystemExit(1)
        time.sleep(LOOK_S)


def _tell_key(place: "Place", known: bytes | None) -> None:
    from validator.learning.signed_text import shown_key_id

    key_id = shown_key_id(place.gate_key.hex())
    if known is None:
        _say(
            f"the first card of {place.gate_id}; signed by its key {key_id}: turnike check at the"
            " gate shows the same (enrolment)"
        )
    elif known != place.gate_key:
        _say(
            f"CAUTION: {place.gate_id} signed its last card by another key than {key_id}: if it was"
            " not enrolled anew since, this may be another card than the one at the gate"
        )


def _tell_next(uid: str) -> None:
    if len(uid) == 8 and uid.startswith("08"):  # noqa: PLR2004
        _say("this UID is random, as phones have it: another one at each tap; no card to register")
        return
    _say("next: import it (import cards), then put it under a rule (add), then publish")


def _place(desk: "Desk", gate_id: str, lane: int | None) -> "Place":
    from backoffice.learning.operator_request import Place
    from backoffice.reports.gate_views import lane_runs

    key = desk.store.public_key(gate_id)
    rows = [row for row in desk.store.gate_rows() if row["gate_id"] == gate_id]
    if key is None or not rows:
        raise OperatorError(
            f"{gate_id[:64]!r}: no such gate is enrolled; turnike-backoffice gates lists them"
        )
    runs = lane_runs(rows[0]["status"])
    if not runs:
        raise OperatorError(
            f"{gate_id}: no status with a running lane came yet; turnike-backoffice gates shows it"
        )
    if lane is None and len(runs) > 1:
        raise OperatorError(f"{gate_id}: has lanes {_listed(runs)}; name one with --lane")
    lane = next(iter(runs)) if lane is None else lane
    if lane not in runs:
        raise OperatorError(f"{gate_id}: its last status has no lane {lane}, only {_listed(runs)}")
    return Place(gate_id, lane, runs[lane], key)


@contextmanager
def _withdrawn_at_signals() -> "Iterator[None]":
    """End as at Ctrl-C when the terminal hangs up, too: the next operator need not wait."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listed(lanes: "dict[int, str]") -> str:
    return ", ".join(map(str, sorted(lanes)))


@contextmanager
def _desk(home_folder: Path) -> "Iterator[Desk]":
    from backoffice.home.config import load
    from backoffice.learning.operator_request import Desk
    from backoffice.registry.registry import Registry
    from backoffice.reports.store import ReportStore

    with os_errors_on_one_line():
        config = load(home_folder)
        with (
            Registry.open(config.database_url) as registry,
            ReportStore.open(config.reports_url) as store,
        ):
            yield Desk(config.home, store, registry.learning_log, now_unix_s)


def _show_log(home_folder: Path) -> None:
    from backoffice.reports.gate_views import shown

    with _desk(home_folder) as desk:
        rows = desk.log.rows()
    for row in rows:
        place = f"{shown(row.gate_id)}, lane {row.lane}"
        click.echo(
            f"{row.number}  {moment(row.at_unix_s)}  {shown(row.who)}: {place}: {row.outcome}"
        )
    click.echo(f"{len(rows):,} orders to learn a card")


def _who(given: str) -> str:
    """The operator's name: given, or of the login, through sudo too. Raises OperatorError."""
    who = given or os.environ.get("SUDO_USER", "") or _login()
    if not 0 < len(who) <= WHO_CHARACTERS_MAX or not who.isprintable():
        raise OperatorError(f"--who: a name has 1 to {WHO_CHARACTERS_MAX} characters, in one line")
    return who


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _name(place: "Place") -> str:
    return f"{place.gate_id}, lane {place.lane}"


def _shown(text: str) -> str:
    from backoffice.reports.gate_views import shown

    return shown(text)


def _say(line: str) -> None:
    click.echo(line, err=True)
