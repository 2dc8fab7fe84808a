"""The courier's part in learning a card: it carries an order to a lane, and its answer to the city.

    learning = LearningCarrier(lanes, office, key, now_s)
    learning.offer(order)            # as the answer to the gate's status brought it
    wait_s = learning.turn()         # ask the lane, send what is new; when to come again

It need not be trusted with either: the lane checks who signed the order, and the card in the answer
is sealed to the operator. It signs answers with the gate's key, as all that the gate sends.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from validator.errors import LaneGoneError, RemoteError
from validator.ipc.answers import LearningAnswer
from validator.learning.answer import PROBLEM_CHARACTERS_MAX, Answer, State, signed_answer
from validator.learning.order import ACCEPT_S, WAIT_S_MAX
from validator.learning.signed_text import SignedText

LOOK_S = 0.25  # between two questions to a lane that waits for a card: a person waits, too
RETRY_S = 1.0  # between two attempts to send an answer
IDLE_S = float("inf")
GIVE_UP_S = ACCEPT_S + WAIT_S_MAX  # no operator waits for longer


class LearningLane(Protocol):
    """A lane of this gate. Each method raises LaneGoneError."""

    def learn(self, order: SignedText) -> LearningAnswer:
        """Hand over an order."""

    def learned(self) -> LearningAnswer:
        """Return how far the lane is."""


class LearningOffice(Protocol):
    """The receiver of the back office."""

    def send_answer(self, answer: SignedText) -> None:
        """Send an answer to an order. Raises RemoteError."""


class _Named(msgspec.Struct):
    request_id: str


class LearningCarrier:
    """Carries one order at a time. For one thread."""

    def __init__(
        self,
        lanes: Sequence[LearningLane],
        office: LearningOffice,
        key: Ed25519PrivateKey,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is under way.

        Args:
            lanes: the lanes of this gate.
            office: where answers go.
            key: the gate's own key.
            monotonic_s: the clock of the waits.
        """
        self._lanes = lanes
        self._office = office
        self._key = key
        self._monotonic_s = monotonic_s
        self._order: SignedText | None = None  # the last one
        self._lane: LearningLane | None = None  # that took it and has not finished
        self._request_id = ""
        self._unsent: Answer | None = None
        self._sent: Answer | None = None
        self._due_s = self._end_s = 0.0

    def offer(self, order: SignedText | None) -> None:
        """Hand an order to the lane that it is for, unless it was; the next `turn` answers."""
        if order is None or order == self._order:
            return
        self._order, self._lane, self._unsent, self._sent = order, None, None, None
        try:
            # Unchecked: only the answer is named by it.
            self._request_id = msgspec.json.decode(order.text, type=_Named).request_id
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return  # the city has no such order, and nobody waits for an answer
        self._due_s, self._end_s = 0.0, self._monotonic_s() + GIVE_UP_S
        self._hand_over(order)

    def turn(self) -> float:
        """Ask the lane and send what is new. Returns the seconds until it is due again."""
        now_s = self._monotonic_s()
        if self._lane is None and self._unsent is None:
            return IDLE_S
        if now_s >= self._end_s:
            self._lane = self._unsent = None
            return IDLE_S
        if now_s < self._due_s:
            return self._due_s - now_s
        self._look()
        is_sent = self._send()
        wait_s = LOOK_S if is_sent else RETRY_S
        self._due_s = self._monotonic_s() + wait_s
        return IDLE_S if self._lane is None and self._unsent is None else wait_s

    def _hand_over(self, order: SignedText) -> None:
        problem = "no lane of this gate took it"
        for lane in self._lanes:
            try:
                answer = lane.learn(order)
            except LaneGoneError as error:
                problem = f"the lane does not answer: {error}"
                continue
            if answer.learning is not None:
                self._lane = lane
                self._news(answer.learning)
                return
            if not answer.is_elsewhere:
                problem = answer.problem
        self._fail(State.REFUSED, problem)

    def _look(self) -> None:
        if self._lane is None:
            return
        try:
            learning = self._lane.learned().learning
        except LaneGoneError:
            return  # it may be busy; a lane that was restarted knows nothing of the order
        if learning is None or learning.request_id != self._request_id:
            self._fail(State.ENDED, "the lane was restarted")
        else:
            self._news(learning)

    def _news(self, answer: Answer) -> None:
        if answer.state.is_final:
            self._lane = None
        if answer != self._sent:
            self._unsent = answer

    def _fail(self, state: State, problem: str) -> None:
        self._lane = None
        self._unsent = Answer(self._request_id, state, problem=problem[:PROBLEM_CHARACTERS_MAX])

    def _send(self) -> bool:
        """Send what is new. Returns False if it has to be sent again."""
        answer = self._unsent
        if answer is None:
            return True
        public = self._key.public_key().public_bytes_raw().hex()
        try:
            self._office.send_answer(signed_answer(answer, public, self._key.sign))
        except RemoteError:
            return False
        self._unsent, self._sent = None, answer
        return True
