"""Learning a card: while it is on, the next refused or unknown card is sealed to an operator's key.

    learning = Learning(gate_id, lane, run_id, now)
    learning.trust(key_ids)                # who may sign orders: the root's keys for `targets`
    learning.take(Learn(order), …)         # an order that the courier brought; the answer
    learning.is_on                         # whether the loop has to hand over such a card
    learning.card(uid, number)             # it did; the card leaves in the next answer to `learned`

The courier that brings an order need not be trusted, nor whoever it has it from: an order counts
by its signature. It is good for one card of one run of one lane, and it is taken once. Only one is
on at a time; a new one ends the one before. `news` has what the log is to say; it names no card.

For the clerk's thread; the loop's reads `is_on`.
"""

import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

from validator.domain.cards import CardUid
from validator.domain.trusted_time import Now
from validator.ipc.answers import LearningAnswer
from validator.ipc.requests import Learn, Learned, LearnHere
from validator.learning.answer import Answer, LearnedCard, State, seal
from validator.learning.order import Order, read_order
from validator.learning.signed_text import LearningError

# Of one run. An id is 32 bytes, and a run may last for a year: more orders mean a faulty city.
ORDERS_MAX = 10_000
HERE, FROM_CITY = "here", "city"  # who asked, for the log


class Learning:
    """What a lane knows of the order under way. It opens no file and asks no network."""

    def __init__(
        self,
        gate_id: str,
        lane: int,
        run_id: str,
        now: Callable[[], Now],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is on, and no key is trusted.

        Args:
            gate_id: the name of this gate.
            lane: the number of this lane.
            run_id: of this run, as the status names it.
            now: trusted wall time, by which an order is too old.
            monotonic_s: the clock of the wait for a card.
        """
        self.is_on = False
        """Whether the next refused or unknown card is wanted. Any thread may read it."""
        self.news: list[dict[str, Any]] = []
        """Events for the log. The clerk removes an event that it logs."""
        self._gate_id, self._lane, self._run_id = gate_id, lane, run_id
        self._now = now
        self._monotonic_s = monotonic_s
        self._key_ids: frozenset[str] = frozenset()
        self._taken: set[str] = set()
        self._answer: Answer | None = None
        self._public_key = ""
        self._until_s = 0.0

    def trust(self, key_ids: Collection[str]) -> None:
        """Trust orders that one of these keys signed, and no others."""
        self._key_ids = frozenset(key_ids)

    def take(self, request: Learn | LearnHere | Learned, *, by_owner: bool) -> LearningAnswer:
        """Serve a request.

        Args:
            request: what a client of the lane's socket asks.
            by_owner: the client is root, or the lane's own user, as the kernel says.
        """
        self.check_time()
        try:
            match request:
                case Learn():
                    return self._take_order(request)
                case LearnHere():
                    return self._take_here(request, by_owner=by_owner)
                case Learned():
                    return LearningAnswer(self._answer)
        except LearningError as error:
            return LearningAnswer(problem=str(error))

    def card(self, uid: CardUid, number: str) -> None:
        """Seal a card that the loop handed over, unless the time is over; then learning is off."""
        self.check_time()
        if not self.is_on or self._answer is None:
            return
        sealed = seal(LearnedCard(uid.raw.hex(), number), self._public_key)
        self._end(Answer(self._answer.request_id, State.SHOWN, sealed))

    def check_time(self) -> None:
        """End what has waited for long enough. Call it about once a second."""
        if self.is_on and self._answer is not None and self._monotonic_s() >= self._until_s:
            self._end(Answer(self._answer.request_id, State.ENDED, problem="no card came in time"))

    def _take_order(self, request: Learn) -> LearningAnswer:
        order = read_order(request.order, self._key_ids)
        if self._answer is not None and order.request_id == self._answer.request_id:
            return LearningAnswer(self._answer)  # the courier asks again: it was restarted
        if order.gate_id != self._gate_id:
            raise LearningError(f"it is for the gate {order.gate_id}")
        if order.lane != self._lane:
            return LearningAnswer(problem=f"it is for lane {order.lane}", is_elsewhere=True)
        self._refuse_old(order)
        seal(LearnedCard("00000000"), order.public_key)  # a weak key is refused now
        self._taken.add(order.request_id)
        self._begin(order.request_id, order.public_key, order.wait_s, FROM_CITY)
        return LearningAnswer(self._answer)

    def _refuse_old(self, order: Order) -> None:
        if order.run_id != self._run_id:
            raise LearningError("the lane was restarted since its last status; ask again")
        if order.request_id in self._taken:
            raise LearningError("it was taken before")
        if len(self._taken) >= ORDERS_MAX:
            raise LearningError(f"this lane has taken {ORDERS_MAX} orders; restart it")
        if self._now().unix_s > order.accept_until_unix_s:
            raise LearningError("it is over by this gate's clock; compare both clocks")

    def _take_here(self, request: LearnHere, *, by_owner: bool) -> LearningAnswer:
        if not by_owner:
            raise LearningError("only root of this gate, or the user of the lane, may learn a card")
        seal(LearnedCard("00000000"), request.public_key)
        self._begin(secrets.token_hex(16), request.public_key, request.wait_s, HERE)
        return LearningAnswer(self._answer)

    def _begin(self, request_id: str, public_key: str, wait_s: int, asked: str) -> None:
        if self.is_on and self._answer is not None:
            self._end(Answer(self._answer.request_id, State.ENDED, problem="another one began"))
        self._answer = Answer(request_id, State.WAITING)
        self._public_key = public_key
        self._until_s = self._monotonic_s() + wait_s
        self.is_on = True
        self.news.append(
            {
                "event": "learning",
                "on": True,
                "request_id": request_id,
                "asked": asked,
                "wait_s": wait_s,
            }
        )

    def _end(self, answer: Answer) -> None:
        self.is_on, self._public_key = False, ""
        self._answer = answer
        self.news.append(
            {
                "event": "learning",
                "on": False,
                "request_id": answer.request_id,
                "shown": answer.state is State.SHOWN,
            }
        )
