"""One operator's order to learn a card: from the one-time key to the card on the screen.

    with OperatorRequest(desk, place, who, wait_s) as request:    # signed, recorded, on its way
        while (answer := request.look()) is None or not answer.state.is_final: ...
        card = request.card(answer)                               # recorded before it is returned

The private half of the one-time key is in this object alone, so nobody opens the card later. The
receiver's database is not believed: the answer has to be signed by the gate.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

from nacl.public import PrivateKey

from backoffice.home.folder import Home
from backoffice.registry.learning_log import Asked, LearningLog, Outcome
from backoffice.reports.learning_orders import OrderBusyError, WaitingOrder
from backoffice.reports.store import ReportStore
from backoffice.signing.keys import online_signer
from backoffice.signing.roots import required_root
from validator.errors import OperatorError
from validator.learning.answer import Answer, LearnedCard, State, open_card, read_answer
from validator.learning.order import ACCEPT_S, Order, signed_order
from validator.learning.signed_text import LearningError, SignedText

ROLE = "targets"  # whose key signs what gates believe
GRACE_S = 15  # for an answer on its way, past the gate's own limit


class WrongAnswerError(OperatorError):
    """An answer that the gate did not make, or without a card. One line."""


class Place(NamedTuple):
    """A lane of a gate, the run in its last status, and the gate's key as it enrolled."""

    gate_id: str
    lane: int
    run_id: str
    gate_key: bytes


@dataclass(frozen=True, slots=True)
class Desk:
    """The back office of one operator: its home, its stores, its clock in Unix seconds."""

    home: Home
    store: ReportStore
    log: LearningLog
    now_unix_s: Callable[[], int]


class OperatorRequest:
    """One order. Leaving the block withdraws it."""

    def __init__(self, desk: Desk, place: Place, who: str, wait_s: int) -> None:
        """Make the key and the order, record who asks, and put the order where the gate finds it.

        Args:
            desk: the back office.
            place: where the card will be shown.
            who: the operator, for the record.
            wait_s: how long the gate waits for the card, in seconds.

        Raises:
            OperatorError: no key here may sign, or somebody else waits for a card of this gate.
        """
        self._desk = desk
        self._place = place
        self._private = PrivateKey.generate()
        now_unix_s = desk.now_unix_s()
        order = Order(
            request_id=secrets.token_hex(16),
            gate_id=place.gate_id,
            lane=place.lane,
            run_id=place.run_id,
            public_key=bytes(self._private.public_key).hex(),
            issued_unix_s=now_unix_s,
            accept_until_unix_s=now_unix_s + ACCEPT_S,
            wait_s=wait_s,
        )
        waiting = self._signed(order)
        self.request_id = order.request_id
        self._outcome = Outcome.STOPPED
        self._number = desk.log.begin(
            Asked(now_unix_s, who, place.gate_id, place.lane, order.request_id)
        )
        try:
            desk.store.put_order(place.gate_id, waiting, now_unix_s)
        except BaseException as error:  # the record says that nothing is under way
            desk.log.end(self._number, Outcome.STOPPED, now_unix_s)
            if not isinstance(error, OrderBusyError):
                raise
            raise OperatorError(
                f"{place.gate_id}: somebody else waits for a card of this gate, for"
                f" {error.ends_unix_s - now_unix_s} s at most; try again then"
            ) from None
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self._is_over:
                self._finish(self._outcome)
        finally:  # also without a record: the next operator need not wait
            self._desk.store.withdraw(self._place.gate_id, self.request_id)

    def look(self) -> Answer | None:
        """The gate's newest answer; None before the first.

        Raises WrongAnswerError for one that this gate did not make.
        """
        signed = self._desk.store.answer_to(self._place.gate_id, self.request_id)
        if signed is None:
            return None
        try:
            answer = self._believed(signed)
        except LearningError as error:
            self._outcome = Outcome.WRONG_ANSWER
            raise self._not_from_the_gate(error) from None
        self._note(answer.state)
        return answer

    def card(self, answer: Answer) -> LearnedCard:
        """Open the card in an answer, and record that it was shown before it is returned.

        Raises WrongAnswerError.
        """
        try:
            card = open_card(answer.sealed, bytes(self._private))
        except LearningError as error:
            self._outcome = Outcome.WRONG_ANSWER
            raise self._not_from_the_gate(error) from None
        self._finish(Outcome.SHOWN, self._place.gate_key)
        return card

    def no_answer(self) -> None:
        """Note that the gate did not answer in time."""
        self._outcome = Outcome.NO_ANSWER

    def _believed(self, signed: SignedText) -> Answer:
        """The answer in a signed text. Raises LearningError."""
        if bytes.fromhex(signed.key) != self._place.gate_key:
            raise LearningError("it is signed by another key than the gate's")
        answer = read_answer(signed)
        if answer.request_id != self.request_id:
            raise LearningError("it answers another order")
        if (answer.state is State.SHOWN) != bool(answer.sealed):
            raise LearningError("its state and its card do not belong together")
        return answer

    def _note(self, state: State) -> None:
        outcomes = {State.ENDED: Outcome.NO_CARD, State.REFUSED: Outcome.REFUSED}
        self._outcome = outcomes.get(state, self._outcome)

    def _finish(self, outcome: Outcome, gate_key: bytes | None = None) -> None:
        self._desk.log.end(self._number, outcome, self._desk.now_unix_s(), gate_key)
        self._is_over = True

    def _not_from_the_gate(self, error: LearningError) -> WrongAnswerError:
        return WrongAnswerError(
            f"{self._place.gate_id}: what came is not believed: {error}; unless this gate was"
            " enrolled again meanwhile, somebody else may control the receiver"
        )

    def _signed(self, order: Order) -> WaitingOrder:
        home = self._desk.home
        root = required_root(home).signed
        signer = online_signer(home, ROLE, root.roles[ROLE].keyids, root.version)
        key = str(signer.public_key.keyval["public"])
        signed = signed_order(
            order, key, lambda content: bytes.fromhex(signer.sign(content).signature)
        )
        ends_unix_s = order.accept_until_unix_s + order.wait_s + GRACE_S
        return WaitingOrder(order.request_id, signed, order.accept_until_unix_s, ends_unix_s)
