"""The courier's part: orders to the lane that they are for, answers to the city, and every loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.gate.learning import CARD, CITY, ORDER, Lane, order
from validator.courier.learning import GIVE_UP_S, IDLE_S, LOOK_S, RETRY_S, LearningCarrier
from validator.errors import LaneGoneError, RemoteError, SourceState
from validator.ipc.answers import LearningAnswer
from validator.learning.answer import Answer, State, read_answer
from validator.learning.signed_text import SignedText


@dataclass
class Socket:
    """A lane's socket, which may be gone."""

    lane: Lane
    is_gone: bool = False

    def learn(self, signed: SignedText) -> LearningAnswer:
        if self.is_gone:
            raise LaneGoneError("lane.sock: no answer")
        return self.lane.learn(signed)

    def learned(self) -> LearningAnswer:
        if self.is_gone:
            raise LaneGoneError("lane.sock: no answer")
        return self.lane.learned()


@dataclass
class Office:
    """The receiver, which may be away."""

    answers: list[SignedText] = field(default_factory=list)
    is_away: bool = False

    def send_answer(self, answer: SignedText) -> None:
        if self.is_away:
            raise RemoteError(SourceState.UNREACHABLE, "no route to host")
        self.answers.append(answer)

    @property
    def said(self) -> list[Answer]:
        return [read_answer(each) for each in self.answers]


class Gate:
    """A courier, its lanes and its office, in a time that the test moves."""

    def __init__(self, lanes: int = 1) -> None:
        self.now_s = 0.0
        self.sockets = [Socket(Lane()) for _ in range(lanes)]
        for number, each in enumerate(self.sockets, start=1):
            each.lane.learning._lane = number
        self.office = Office()
        self.carrier = LearningCarrier(self.sockets, self.office, CITY, lambda: self.now_s)

    def turns(self, count: int = 1) -> float:
        wait_s = 0.0
        for _ in range(count):
            wait_s = self.carrier.turn()
            self.now_s += min(wait_s, 60.0)
        return wait_s

    def states(self) -> Sequence[State]:
        return [each.state for each in self.office.said]


def test_an_order_goes_to_the_lane_that_it_is_for_and_the_card_to_the_city() -> None:
    gate = Gate(lanes=2)
    gate.carrier.offer(order(lane=2))
    assert gate.turns() == LOOK_S
    gate.sockets[1].lane.lay(CARD)
    assert gate.turns() == IDLE_S
    assert gate.states() == [State.WAITING, State.SHOWN]
    assert [each.key for each in gate.office.answers] == [order().key] * 2  # CITY plays the gate
    assert not gate.sockets[0].lane.learning.is_on


def test_without_an_order_there_is_nothing_to_do() -> None:
    gate = Gate()
    gate.carrier.offer(None)
    assert gate.turns() == IDLE_S
    assert gate.office.answers == []


def test_the_same_order_with_each_status_is_handed_over_once() -> None:
    gate = Gate()
    for _ in range(3):
        gate.carrier.offer(order())
        gate.turns()
    assert gate.states() == [State.WAITING]


def test_an_order_that_the_lane_refuses_is_answered_with_the_reason() -> None:
    gate = Gate()
    gate.carrier.offer(order(run_id="another"))
    assert gate.turns() == IDLE_S
    (answer,) = gate.office.said
    assert (answer.request_id, answer.state) == (ORDER.request_id, State.REFUSED)
    assert "restarted" in answer.problem


def test_an_order_for_a_lane_that_is_not_there_is_answered() -> None:
    gate = Gate()
    gate.carrier.offer(order(lane=7))
    gate.turns()
    assert gate.office.said[0].problem == "no lane of this gate took it"


def test_a_lane_that_does_not_answer_is_answered_for() -> None:
    gate = Gate()
    gate.sockets[0].is_gone = True
    gate.carrier.offer(order())
    gate.turns()
    assert gate.states() == [State.REFUSED]


def test_a_lane_that_was_restarted_meanwhile_ends_the_order() -> None:
    gate = Gate()
    gate.carrier.offer(order())
    gate.turns()
    gate.sockets[0].is_gone = True
    gate.turns(2)
    gate.sockets[0].is_gone = False
    gate.sockets[0].lane.restart("another")
    assert gate.turns() == IDLE_S
    assert gate.office.said[-1].problem == "the lane was restarted"


def test_an_answer_is_sent_until_the_city_has_it() -> None:
    gate = Gate()
    gate.carrier.offer(order())
    gate.office.is_away = True
    gate.sockets[0].lane.lay(CARD)
    assert gate.turns(5) == RETRY_S
    gate.office.is_away = False
    assert gate.turns() == IDLE_S
    assert gate.states() == [State.SHOWN]


def test_a_city_that_stays_away_is_given_up_when_nobody_can_wait_any_more() -> None:
    gate = Gate()
    gate.office.is_away = True
    gate.carrier.offer(order())
    gate.now_s += GIVE_UP_S
    assert gate.turns() == IDLE_S


def test_a_courier_that_was_restarted_hands_the_order_over_again_and_sends_the_card() -> None:
    gate = Gate()
    gate.carrier.offer(order())
    gate.sockets[0].lane.lay(CARD)
    gate.carrier = LearningCarrier(gate.sockets, gate.office, CITY, lambda: gate.now_s)
    gate.carrier.offer(order())
    gate.turns()
    assert gate.states() == [State.SHOWN]


def test_bytes_of_a_hostile_receiver_are_nothing_to_answer() -> None:
    gate = Gate()
    for text in ("", "{", "[]", '{"request_id":1}', "[" * 1_000):
        gate.carrier.offer(SignedText(text, "0" * 64, "0" * 128))
        assert gate.turns() == IDLE_S
    gate.carrier.offer(SignedText('{"request_id":"x"}', "0" * 64, "0" * 128))
    gate.turns()
    assert not gate.sockets[0].lane.learning.is_on
