"""An order to learn a card: what a lane takes, and what nobody on the way can make of it."""

from base64 import b64encode
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # no __all__ there

from tests.support.gate.learning import (
    CARD,
    CITY,
    NEXT,
    NUMBER,
    OPERATOR,
    ORDER,
    RUN,
    STRANGER,
    Lane,
    order,
    public,
)
from validator.ipc.requests import LearnHere
from validator.lane.learning import ORDERS_MAX
from validator.lane.ports import CardToLearn
from validator.learning.answer import LearnedCard, State, open_card
from validator.learning.signed_text import LearningError, Purpose, SignedText, sign, tuf_key_id


def opened(lane: Lane, private: PrivateKey = OPERATOR) -> LearnedCard:
    answer = lane.learned().learning
    assert answer is not None
    assert answer.state is State.SHOWN
    return open_card(answer.sealed, bytes(private))


def refused(lane: Lane, signed: SignedText) -> str:
    """The reason; asserts that nothing is on."""
    told = lane.learn(signed)
    assert told.learning is None
    assert not lane.learning.is_on
    assert told.problem.isprintable()
    return told.problem


def test_the_next_card_is_sealed_to_the_operator_and_learning_is_off_again() -> None:
    lane = Lane()
    told = lane.learn(order())
    assert told.learning is not None
    assert told.learning.state is State.WAITING
    lane.lay(CARD, NUMBER)
    assert not lane.learning.is_on
    assert opened(lane) == LearnedCard(CARD.raw.hex(), NUMBER)


def test_a_second_card_is_shown_to_nobody() -> None:
    lane = Lane()
    lane.learn(order())
    lane.lay(CARD)
    before = lane.learned()
    lane.lay(NEXT)
    lane.learning.card(NEXT, "")  # and one that the loop had noted before learning went off
    assert lane.learned() == before


def test_without_a_card_it_ends_by_itself_and_a_late_one_is_shown_to_nobody() -> None:
    lane = Lane()
    lane.learn(order(wait_s=5))
    lane.monotonic_s += 5
    lane.learning.card(CARD, NUMBER)
    answer = lane.learned().learning
    assert answer is not None
    assert (answer.state, answer.sealed) == (State.ENDED, "")
    assert not lane.learning.is_on


def test_the_log_says_that_it_was_on_and_names_no_card_and_no_key() -> None:
    lane = Lane()
    lane.learn(order())
    lane.lay(CARD, NUMBER)
    request_id = ORDER.request_id
    assert lane.learning.news == [
        {
            "event": "learning",
            "on": True,
            "request_id": request_id,
            "asked": "city",
            "wait_s": 60,
        },
        {"event": "learning", "on": False, "request_id": request_id, "shown": True},
    ]


def test_forged_by_a_receiver_with_a_key_of_its_own() -> None:
    assert "no key that this gate trusts" in refused(Lane(), order(STRANGER))


def test_forged_under_the_name_of_the_citys_key() -> None:
    forged = sign(Purpose.ORDER, order().text, public(CITY), STRANGER.sign)
    assert "not signed by the key that it names" in refused(Lane(), forged)


def test_the_operators_key_swapped_on_the_way() -> None:
    attacker = bytes(PrivateKey.generate().public_key).hex()
    text = order().text.replace(ORDER.public_key, attacker)
    swapped = msgspec.structs.replace(order(), text=text)
    assert swapped != order()
    assert "not signed" in refused(Lane(), swapped)


def test_a_signature_of_another_purpose_is_no_order() -> None:
    signed = sign(Purpose.ANSWER, order().text, public(CITY), CITY.sign)
    assert "not signed" in refused(Lane(), signed)
    bare = SignedText(order().text, public(CITY), CITY.sign(order().text.encode()).hex())
    assert "not signed" in refused(Lane(), bare)


def test_an_order_for_another_gate() -> None:
    assert refused(Lane(), order(gate_id="besiktas-01")) == "it is for the gate besiktas-01"


def test_an_order_for_another_lane_of_this_gate_is_left_to_that_lane() -> None:
    told = Lane().learn(order(lane=2))
    assert (told.learning, told.is_elsewhere) == (None, True)


def test_a_lane_that_has_accepted_no_list_yet_trusts_nobody() -> None:
    lane = Lane()
    lane.learning.trust(())
    assert "signed by no key that this gate trusts" in refused(lane, order())


def test_no_answer_of_the_lane_and_no_line_of_its_log_has_the_card() -> None:
    """Whoever may ask the socket gets the sealed card, and no more."""
    lane = Lane()
    told = [lane.learn(order())]
    lane.lay(CARD, NUMBER)
    told += [lane.learned(), lane.learn(order())]
    written = msgspec.json.encode([told, lane.learning.news])
    for secret in (CARD.raw, NUMBER.encode(), CARD.raw[::-1]):
        for form in (secret, secret.hex().encode(), b64encode(secret).rstrip(b"=")):
            assert form not in written
            assert form.upper() not in written
    assert opened(lane).uid == CARD.raw.hex()


def test_learning_at_the_gate_ends_the_operators_order_and_its_card_is_the_gates() -> None:
    lane, here = Lane(), PrivateKey.generate()
    lane.learn(order())
    request = LearnHere(bytes(here.public_key).hex(), 60)
    lane.learning.take(request, by_owner=True)
    lane.lay(CARD)
    assert opened(lane, here).uid == CARD.raw.hex()
    with pytest.raises(LearningError, match="not sealed to the key"):
        opened(lane, OPERATOR)
    assert "taken before" in refused(lane, order())


def test_replayed_after_its_card_was_shown() -> None:
    lane = Lane()
    lane.learn(order())
    lane.lay(CARD)
    shown = lane.learned()
    # The courier may have been restarted, so the same order gets the same answer, and no new card.
    assert lane.learn(order()) == shown
    assert not lane.learning.is_on


def test_replayed_after_another_order() -> None:
    lane = Lane()
    for name in "12":
        lane.learn(order(request_id="0" * 31 + name))
        lane.lay(CARD)
    assert refused(lane, order(request_id="0" * 31 + "1")) == "it was taken before"


def test_replayed_to_a_lane_that_was_restarted() -> None:
    lane = Lane()
    lane.learn(order())
    lane.restart("another run")
    assert "restarted" in refused(lane, order())


def test_held_back_until_it_is_over() -> None:
    lane = Lane()
    lane.unix_s = ORDER.accept_until_unix_s
    lane.learn(order())
    assert lane.learning.is_on
    late = Lane()
    late.unix_s = ORDER.accept_until_unix_s + 1
    assert "over by this gate's clock" in refused(late, order())


def test_signed_by_a_key_that_the_root_no_longer_names() -> None:
    lane = Lane()
    lane.learning.trust(("0" * 64,))
    assert "no key that this gate trusts" in refused(lane, order())
    lane.learning.trust(())
    assert "no key that this gate trusts" in refused(lane, order())


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31)])
def test_a_weak_key_that_anybody_could_open(key: bytes) -> None:
    assert refused(Lane(), order(public_key=key.hex())) == "its key is weak"


def test_an_endless_wait_is_no_order() -> None:
    assert refused(Lane(), order(wait_s=181)).startswith("no order: ")


def test_a_newer_order_ends_the_one_before_unseen() -> None:
    lane = Lane()
    lane.learn(order())
    other = PrivateKey.generate()
    key = bytes(other.public_key).hex()
    lane.learn(order(request_id="f" * 32, public_key=key))
    lane.lay(CARD)
    assert opened(lane, other).uid == CARD.raw.hex()
    with pytest.raises(LearningError, match="not sealed to the key of this order"):
        opened(lane)


def test_a_flood_of_orders_is_bounded() -> None:
    lane = Lane()
    lane.learning._taken = {f"{number:032x}" for number in range(ORDERS_MAX)}
    assert "restart it" in refused(lane, order(request_id="f" * 32))


def test_a_member_of_the_sockets_group_learns_nothing() -> None:
    lane = Lane()
    here = LearnHere(ORDER.public_key, 60)
    told = lane.learning.take(here, by_owner=False)
    assert told.learning is None
    assert "only root" in told.problem
    assert not lane.learning.is_on
    lane.learning.take(here, by_owner=True)
    lane.lay(CARD)
    assert opened(lane).uid == CARD.raw.hex()


def test_the_id_of_a_key_is_the_one_in_a_root() -> None:
    for key in (CITY, STRANGER):
        assert tuf_key_id(public(key)) == SSlibKey.from_crypto(key.public_key()).keyid


def test_no_repr_of_a_card_shows_it() -> None:
    assert repr(LearnedCard(CARD.raw.hex(), NUMBER)) == "LearnedCard()"
    noted = repr(CardToLearn(CARD, NUMBER))
    assert NUMBER not in noted
    assert CARD.raw.hex() not in noted


@given(st.binary(max_size=80))
def test_whatever_is_sealed_opens_as_a_card_or_not_at_all(content: bytes) -> None:
    sealed = b64encode(SealedBox(OPERATOR.public_key).encrypt(content)).decode()
    with suppress(LearningError):
        card = open_card(sealed, bytes(OPERATOR))
        assert len(bytes.fromhex(card.uid)) in {4, 7, 10}


@given(st.text(max_size=300))
def test_whatever_stands_for_a_sealed_card_raises_nothing_else(text: str) -> None:
    with pytest.raises(LearningError):
        open_card(text, bytes(OPERATOR))


@given(st.text(max_size=200))
def test_whatever_the_city_signs_is_an_order_or_is_refused(text: str) -> None:
    lane = Lane()
    told = lane.learn(sign(Purpose.ORDER, text, public(CITY), CITY.sign))
    assert told.learning is None
    assert RUN not in told.problem


@given(
    key=st.binary(min_size=32, max_size=32),
    signature=st.binary(min_size=64, max_size=64),
)
def test_no_other_key_and_no_other_signature_is_taken(key: bytes, signature: bytes) -> None:
    lane = Lane()
    signed = SignedText(order().text, key.hex(), signature.hex())
    assert refused(lane, signed)
    lane.learning.trust((tuf_key_id(key.hex()),))
    assert refused(lane, signed)
