"""The command `learn`: what an operator sees of a gate that answers, or does not."""

import json
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backoffice.cli import learn
from backoffice.home.config import load
from backoffice.signing.roots import required_root
from tests.support.city.report_commands import Desk
from tests.support.city.statuses import set_status
from tests.support.gate.learning import CARD, CITY, NUMBER, STRANGER, public
from tests.support.gate.reports import NOW_UNIX_S
from validator.learning.answer import Answer, LearnedCard, State, seal, signed_answer
from validator.learning.order import ACCEPT_S, Order, read_order
from validator.learning.signed_text import shown_key_id

GATE = "kadikoy-03"
UID = CARD.raw.hex()


class Gate:
    """A gate that moves when the command sleeps: a list of what it does, one at a time."""

    def __init__(self, city: Desk) -> None:
        self.city = city
        self.now_s = 0.0
        self.statuses = 0
        self.key = CITY
        self.plan: list[tuple[State, LearnedCard | None, str]] = []
        self.order: Order | None = None

    def enrol(self, key: Ed25519PrivateKey = CITY, lanes: Sequence[int] = (1,)) -> None:
        """Enrol it with this key, and send a status of these lanes."""
        self.statuses += 1
        self.key = key
        token = self.city.types("enroll", GATE).strip()
        public_key = key.public_key().public_bytes_raw()
        self.city.store.enrol(GATE, token, public_key, NOW_UNIX_S)
        told = {"lanes": [{"lane": lane, "run_id": "aa"} for lane in lanes]}
        set_status(self.city.store, GATE, self.statuses, NOW_UNIX_S, json.dumps(told))

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        store = self.city.store
        signed = store.open_order(GATE, NOW_UNIX_S)
        if signed is not None:
            root = required_root(load(self.city.city).home).signed
            self.order = read_order(signed, root.roles["targets"].keyids)
        if self.order is None or not self.plan:
            return
        state, card, problem = self.plan.pop(0)
        sealed = seal(card, self.order.public_key) if card else ""
        answer = Answer(self.order.request_id, state, sealed, problem)
        store.put_answer(GATE, answer, signed_answer(answer, public(self.key), self.key.sign))


@pytest.fixture
def gate(city: Desk, monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate(city)
    clock = SimpleNamespace(sleep=made.sleep, monotonic=lambda: made.now_s)
    monkeypatch.setattr(learn, "time", clock)
    monkeypatch.setattr(learn, "now_unix_s", lambda: NOW_UNIX_S)
    monkeypatch.delenv("SUDO_USER", raising=False)
    return made


WAITS = (State.WAITING, None, "")


def shows(number: str = "", uid: str = UID) -> tuple[State, LearnedCard, str]:
    return (State.SHOWN, LearnedCard(uid, number), "")


def test_the_card_is_on_standard_output_and_the_advice_is_not(city: Desk, gate: Gate) -> None:
    gate.enrol()
    gate.plan = [WAITS, shows(NUMBER)]
    ended = city.run("learn", GATE, "--for", "2m", "--who", "Ayşe")
    assert (ended.exit_code, ended.stdout) == (0, f"UID {UID}\nprinted number {NUMBER}\n")
    assert f"{GATE}, lane 1: lay the card on the reader now, within 120 s" in ended.stderr
    assert shown_key_id(public(CITY)) in ended.stderr
    assert "import cards" in ended.stderr
    assert UID not in ended.stderr
    log = city.types("learn", "--log")
    assert f"Ayşe: {GATE}, lane 1: card shown" in log
    assert UID not in log
    assert NUMBER not in log


def test_a_gate_whose_key_is_another_than_the_one_before_is_reported(
    city: Desk, gate: Gate
) -> None:
    for key, told in ((CITY, "the first card"), (CITY, "next:"), (STRANGER, "CAUTION")):
        gate.enrol(key)
        gate.plan, gate.order = [shows()], None
        ended = city.run("learn", GATE)
        assert ended.exit_code == 0
        assert told in ended.stderr
        assert ("CAUTION" in ended.stderr) == (told == "CAUTION")


def test_a_random_uid_is_no_card_to_register(city: Desk, gate: Gate) -> None:
    gate.enrol()
    gate.plan = [shows(uid="08a1b2c3")]
    ended = city.run("learn", GATE)
    assert ended.stdout == "UID 08a1b2c3\n"
    assert "this UID is random" in ended.stderr
    assert "import cards" not in ended.stderr


@pytest.mark.parametrize(
    ("plan", "told", "outcome"),
    [
        ([], f"it did not ask within {ACCEPT_S} s", "the gate did not answer"),
        ([WAITS], "it stopped answering", "the gate did not answer"),
        ([WAITS, (State.ENDED, None, "no card came in time")], "no card came in time", "no card"),
        ([(State.REFUSED, None, "it was\x1b[31m taken")], "it was?[31m taken", "refused by the"),
    ],
)
def test_without_a_card_it_ends_by_itself_with_the_reason(
    city: Desk,
    gate: Gate,
    plan: list[tuple[State, LearnedCard | None, str]],
    told: str,
    outcome: str,
) -> None:
    gate.enrol()
    gate.plan = plan
    ended = city.run("learn", GATE)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert told in ended.stderr
    assert outcome in city.types("learn", "--log")
    assert gate.now_s < 5 * 60


def test_an_answer_in_the_gates_place_is_refused_in_one_line(city: Desk, gate: Gate) -> None:
    gate.enrol()
    gate.plan, gate.key = [shows()], STRANGER
    ended = city.run("learn", GATE)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "what came is not believed" in ended.stderr
    assert "wrong answer" in city.types("learn", "--log")


def test_what_no_order_can_be_made_of_is_refused_in_one_line(city: Desk, gate: Gate) -> None:
    assert "name a gate" in city.refused("learn")
    assert "no such gate is enrolled" in city.refused("learn", "besiktas-01")
    gate.enrol(lanes=())
    assert "no status with a running lane came yet" in city.refused("learn", GATE)
    gate.enrol(lanes=(1, 2))
    assert "has lanes 1, 2; name one with --lane" in city.refused("learn", GATE)
    assert "has no lane 3, only 1, 2" in city.refused("learn", GATE, "--lane", "3")
    for span in ("0s", "181s", "4m", "1h", "60", "", "9" * 5_000 + "s"):
        assert "is no span from 1s to 3m" in city.refused("learn", GATE, "--for", span)
    for who in ("a\nb", "a" * 129):
        assert "--who: a name has" in city.refused("learn", GATE, "--who", who)
    city.types("strike-off", GATE)
    assert "no such gate is enrolled" in city.refused("learn", GATE)
    assert city.types("learn", "--log") == "0 orders to learn a card\n"


def test_a_lane_is_named_when_the_gate_has_several(city: Desk, gate: Gate) -> None:
    gate.enrol(lanes=(1, 2))
    gate.plan = [shows()]
    assert city.types("learn", GATE, "--lane", "2") == f"UID {UID}\n"
    assert gate.order is not None
    assert gate.order.lane == 2
