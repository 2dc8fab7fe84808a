"""The operator's side: what a hostile receiver, or whoever writes its database, cannot do."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backoffice.learning.operator_request import Desk, OperatorRequest, Place, WrongAnswerError
from backoffice.registry.database import RegistryError
from backoffice.registry.learning_log import Asked, LearningLog, Outcome
from backoffice.registry.registry import Registry
from backoffice.reports.store import ReportStore
from tests.support.city.backoffice_rig import City
from tests.support.gate.learning import (
    CARD,
    CITY,
    GATE,
    LANE,
    NEXT,
    NOW_UNIX_S,
    NUMBER,
    RUN,
    STRANGER,
    public,
)
from validator.errors import OperatorError
from validator.learning.answer import Answer, LearnedCard, State, seal, signed_answer
from validator.learning.order import ACCEPT_S, Order, read_order
from validator.learning.signed_text import SignedText, tuf_key_id

GATE_KEY = CITY  # any key will do; the city signs with keys of its own here
PLACE = Place(GATE, LANE, RUN, GATE_KEY.public_key().public_bytes_raw())


class Office:
    """A founded city with an empty registry and a store."""

    def __init__(self, folder: Path) -> None:
        self.city = City.founded(folder)
        self.registry = Registry.open(f"sqlite:///{folder}/registry.db")
        self.store = ReportStore.open(f"sqlite:///{folder}/reports.db")
        self.now_unix_s = NOW_UNIX_S
        self.desk = Desk(
            self.city.home, self.store, self.registry.learning_log, lambda: self.now_unix_s
        )

    def asks(self, who: str = "Ayşe", wait_s: int = 60) -> OperatorRequest:
        return OperatorRequest(self.desk, PLACE, who, wait_s)

    def order(self) -> Order:
        """The order as the gate finds it, checked as the gate checks it."""
        signed = self.store.open_order(GATE, self.now_unix_s)
        assert signed is not None
        return read_order(signed, self.city.root.roles["targets"].keyids)

    def answers(
        self,
        state: State = State.SHOWN,
        sealed: str = "",
        key: Ed25519PrivateKey = GATE_KEY,
        request_id: str = "",
    ) -> bool:
        """The gate answers, or somebody in its place; whether the store kept it."""
        answer = Answer(request_id or self.order_id, state, sealed)
        return self.store.put_answer(GATE, answer, signed_answer(answer, public(key), key.sign))

    @property
    def order_id(self) -> str:
        rows = self.registry.learning_log.rows()
        return rows[-1].request_id

    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.registry.learning_log.rows()]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.store.close()
    made.registry.close()


def test_from_the_order_to_the_card(office: Office) -> None:
    with office.asks() as request:
        order = office.order()
        assert request.look() is None
        assert office.answers(State.WAITING)
        assert office.store.open_order(GATE, office.now_unix_s) is None  # the gate has it
        sealed = seal(LearnedCard(CARD.raw.hex(), NUMBER), order.public_key)
        assert office.answers(State.SHOWN, sealed)
        answer = request.look()
        assert answer is not None
        assert request.card(answer) == LearnedCard(CARD.raw.hex(), NUMBER)
        assert office.outcomes() == [Outcome.SHOWN.value]  # recorded before it is on a screen
    (row,) = office.registry.learning_log.rows()
    assert (row.who, row.gate_id, row.lane, row.at_unix_s) == ("Ayşe", GATE, LANE, NOW_UNIX_S)
    assert row.gate_key == office.registry.learning_log.last_key(GATE) == PLACE.gate_key
    assert CARD.raw.hex() not in repr(office.registry.learning_log.rows())
    assert office.store.answer_to(GATE, row.request_id) is None


def test_each_order_has_a_key_of_its_own(office: Office) -> None:
    keys = set()
    for _ in range(3):
        with office.asks():
            keys.add(office.order().public_key)
    assert len(keys) == 3


def test_another_card_sealed_by_the_receiver_is_not_believed(office: Office) -> None:
    with office.asks() as request:
        sealed = seal(LearnedCard(NEXT.raw.hex()), office.order().public_key)
        assert office.answers(sealed=sealed, key=STRANGER)
        with pytest.raises(WrongAnswerError, match="another key than the gate's"):
            request.look()
    assert office.outcomes() == [Outcome.WRONG_ANSWER.value]


def test_another_card_under_the_name_of_the_gates_key_is_not_believed(office: Office) -> None:
    with office.asks() as request:
        sealed = seal(LearnedCard(NEXT.raw.hex()), office.order().public_key)
        answer = Answer(office.order_id, State.SHOWN, sealed)
        forged = signed_answer(answer, public(GATE_KEY), STRANGER.sign)
        office.store.put_answer(GATE, answer, forged)
        with pytest.raises(WrongAnswerError, match="not signed by the key"):
            request.look()


def test_an_answer_of_the_gate_to_an_earlier_order_is_not_believed(office: Office) -> None:
    with office.asks():
        sealed = seal(LearnedCard(NEXT.raw.hex()), office.order().public_key)
        earlier = Answer(office.order_id, State.SHOWN, sealed)
        signed = signed_answer(earlier, public(GATE_KEY), GATE_KEY.sign)
    with office.asks() as request:
        replayed = msgspec.structs.replace(earlier, request_id=office.order_id)
        office.store.put_answer(GATE, replayed, signed)
        with pytest.raises(WrongAnswerError, match="another order"):
            request.look()


def test_a_card_sealed_to_another_order_does_not_open(office: Office) -> None:
    with office.asks():
        old = seal(LearnedCard(NEXT.raw.hex()), office.order().public_key)
    with office.asks() as request:
        office.answers(sealed=old)
        answer = request.look()
        assert answer is not None
        with pytest.raises(WrongAnswerError, match="not sealed to the key"):
            request.card(answer)
    assert office.outcomes() == [Outcome.STOPPED.value, Outcome.WRONG_ANSWER.value]


def test_a_final_answer_is_not_replaced_and_one_that_nobody_waits_for_is_not_kept(
    office: Office,
) -> None:
    with office.asks() as request:
        assert office.answers(State.ENDED)
        assert not office.answers(State.SHOWN)
        answer = request.look()
        assert answer is not None
        assert answer.state is State.ENDED
    assert not office.answers(State.WAITING)
    assert office.outcomes() == [Outcome.NO_CARD.value]


def test_somebody_else_waits_for_a_card_of_this_gate(office: Office) -> None:
    with office.asks():
        with pytest.raises(OperatorError, match="somebody else waits"):
            office.asks("Mehmet")
        office.now_unix_s += ACCEPT_S + 60 + 15  # a command that was killed waits no longer
        with office.asks("Mehmet"):
            pass


def test_the_receiver_hands_out_no_order_that_is_over(office: Office) -> None:
    with office.asks():
        assert office.store.open_order(GATE, NOW_UNIX_S + ACCEPT_S) is not None
        assert office.store.open_order(GATE, NOW_UNIX_S + ACCEPT_S + 1) is None
        assert office.store.open_order("another", NOW_UNIX_S) is None


def test_the_order_is_signed_by_the_key_that_the_newest_root_names(office: Office) -> None:
    before = office.city.root.roles["targets"].keyids
    office.city.publish(1)
    office.city.rotate("targets")
    with office.asks():
        signed = office.store.open_order(GATE, office.now_unix_s)
    assert signed is not None
    assert tuf_key_id(signed.key) in office.city.root.roles["targets"].keyids
    assert tuf_key_id(signed.key) not in before


def test_rubbish_in_the_receivers_database_is_no_answer(office: Office) -> None:
    with office.asks() as request:
        answer = Answer(office.order_id, State.SHOWN)
        office.store.put_answer(GATE, answer, SignedText("?", "0" * 64, "0" * 128))
        with pytest.raises(WrongAnswerError):
            request.look()


@pytest.mark.parametrize(
    ("state", "has_card"), [(State.SHOWN, False), (State.ENDED, True), (State.WAITING, True)]
)
def test_a_card_belongs_to_the_state_shown_alone(
    office: Office, state: State, has_card: bool
) -> None:
    """Else a card would be on a screen while the record says that none came, or the reverse."""
    with office.asks() as request:
        card = LearnedCard(CARD.raw.hex())
        sealed = seal(card, office.order().public_key) if has_card else ""
        assert office.answers(state, sealed)
        with pytest.raises(WrongAnswerError, match="do not belong together"):
            request.look()
    assert office.outcomes() == [Outcome.WRONG_ANSWER.value]


class BrokenLog:
    """The registry, which fails when something is to be recorded as this outcome."""

    def __init__(self, office: Office, *broken: Outcome) -> None:
        self._log = office.registry.learning_log
        self._broken = broken

    def begin(self, asked: Asked) -> int:
        return self._log.begin(asked)

    def end(
        self, number: int, outcome: Outcome, now_unix_s: int, gate_key: bytes | None = None
    ) -> None:
        if outcome in self._broken:
            raise RegistryError("the disk is full")
        self._log.end(number, outcome, now_unix_s, gate_key)


def with_log(office: Office, log: object) -> None:
    office.desk = Desk(office.desk.home, office.store, cast("LearningLog", log), lambda: NOW_UNIX_S)


def test_a_card_that_cannot_be_recorded_is_not_opened(office: Office) -> None:
    with_log(office, BrokenLog(office, Outcome.SHOWN))
    with office.asks() as request:
        sealed = seal(LearnedCard(CARD.raw.hex()), office.order().public_key)
        assert office.answers(State.SHOWN, sealed)
        answer = request.look()
        assert answer is not None
        with pytest.raises(RegistryError, match="disk is full"):
            request.card(answer)
    (row,) = office.registry.learning_log.rows()
    assert (row.outcome, row.gate_key) == (Outcome.STOPPED.value, None)
    assert office.store.answer_to(GATE, row.request_id) is None, "withdrawn"


def test_an_order_is_withdrawn_also_if_its_end_cannot_be_recorded(office: Office) -> None:
    with_log(office, BrokenLog(office, Outcome.STOPPED))
    with pytest.raises(RegistryError, match="disk is full"), office.asks():
        assert office.order()
    assert office.store.open_order(GATE, NOW_UNIX_S) is None
    with_log(office, office.registry.learning_log)
    with office.asks("Mehmet"):
        assert office.order().request_id == office.order_id


def test_an_order_that_could_not_be_put_is_recorded_as_stopped(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RegistryError("the receiver's database is locked")

    monkeypatch.setattr(office.store, "put_order", fails)
    with pytest.raises(RegistryError, match="locked"):
        office.asks()
    assert office.outcomes() == [Outcome.STOPPED.value], "not as under way"


def test_nobody_asks_without_a_record(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_asked: Asked) -> int:
        raise RegistryError("the disk is full")

    log = BrokenLog(office)
    monkeypatch.setattr(log, "begin", fails)
    with_log(office, log)
    with pytest.raises(RegistryError, match="disk is full"):
        office.asks()
    assert office.store.open_order(GATE, NOW_UNIX_S) is None, "no gate ever hears of it"
