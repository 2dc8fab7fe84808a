"""`turnike learn`: the next refused or unknown card at this lane, on the terminal of its root.

For a bench without a back office, or a technician at the gate. Root reads the reader's line and the
lane's memory anyway, so this shows nothing new to anyone; members of the socket's group alone are
refused by the lane. The card is sealed to a key of this process, so no watcher and no log has it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
from nacl.public import PrivateKey

from validator.config import Config
from validator.errors import LaneGoneError, OperatorError
from validator.formats.shown import shown
from validator.ipc.client import LaneClient
from validator.learning.answer import Answer, LearnedCard, State, open_card
from validator.learning.signed_text import LearningError

LOOK_S = 0.25


class NoCardError(Exception):
    """No card was shown; the text is one line."""


def learn(config: Config, wait_s: int, sleep_s: Callable[[float], None] = time.sleep) -> None:
    """Ask the lane, wait, and print the card.

    Raises:
        NoCardError: the lane does not answer, or no card came in time.
        OperatorError: this lane cannot be asked, or not by this user.
    """
    if not config.reports.socket:
        raise OperatorError(
            "reports.socket: not set, so no program can ask this lane; name a socket there"
        )
    lane = LaneClient(Path(config.reports.socket))
    try:
        card = _learned(lane, wait_s, sleep_s)
    except (LaneGoneError, LearningError) as error:
        raise NoCardError(str(error)) from error
    finally:
        lane.close()
    click.echo(f"UID {card.uid}")
    if card.number:
        click.echo(f"printed number {card.number}")


def _learned(lane: LaneClient, wait_s: int, sleep_s: Callable[[float], None]) -> LearnedCard:
    private = PrivateKey.generate()
    told = lane.learn_here(bytes(private.public_key).hex(), wait_s)
    if told.learning is None:
        raise OperatorError(f"the lane refuses: {shown(told.problem)}; try again with sudo")
    click.echo(f"lay the card on the reader now, within {wait_s} s", err=True)
    answer = _final(lane, told.learning, sleep_s)
    if answer.state is not State.SHOWN:
        raise NoCardError(shown(answer.problem))
    return open_card(answer.sealed, bytes(private))


def _final(lane: LaneClient, begun: Answer, sleep_s: Callable[[float], None]) -> Answer:
    """Wait until the lane is done; it bounds the wait itself. Raises NoCardError."""
    while True:
        sleep_s(LOOK_S)
        told = lane.learned()
        if told.learning is None or told.learning.request_id != begun.request_id:
            raise NoCardError("the lane was restarted, or another person asks for a card")
        if told.learning.state.is_final:
            return told.learning
