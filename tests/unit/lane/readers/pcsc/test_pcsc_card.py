"""One read of a card: any answer of pcscd gives a reading, and only a whole one gives a card."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.domain.cards import UID_LENGTHS, Card, CardUid
from validator.lane.readers.pcsc.card import NoCard, Reading, read_card, read_number
from validator.lane.readers.pcsc.codes import Code, PcscError, Protocols

UID = bytes.fromhex("0489ab12cd34ef")


class FakeCard:
    """A connection whose answers are given; a number is the code of a failure."""

    def __init__(self, answers: list[bytes | int]) -> None:
        self.answers = answers
        self.sent: list[bytes] = []
        self.connected = True

    def transmit(self, apdu: bytes) -> bytes:
        self.sent.append(apdu)
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            raise PcscError(answer, "SCardTransmit")
        return answer

    def disconnect(self) -> None:
        self.connected = False


class FakeContext:
    """Connects to one card; `refusals` are the codes of the connections that fail first."""

    def __init__(self, card: FakeCard, *refusals: int) -> None:
        self.card = card
        self.refusals = list(refusals)
        self.protocols: list[Protocols] = []

    def connect(self, slot: str, protocols: Protocols) -> FakeCard:
        assert slot == "slot"
        self.protocols.append(protocols)
        if self.refusals:
            raise PcscError(self.refusals.pop(0), "SCardConnect")
        return self.card

    def slots(self) -> list[str]:
        raise NotImplementedError

    def wait(self, known: Sequence[tuple[str, int]], limit_ms: int) -> list[int] | None:
        raise NotImplementedError

    def usb_address(self, slot: str) -> tuple[int, int] | None:
        raise NotImplementedError

    def cancel(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError


def read(answer: bytes | int, *refusals: int) -> Reading:
    card = FakeCard([answer])
    reading = read_card(FakeContext(card, *refusals), "slot", lambda *_: None)
    assert not card.connected or not card.sent, "each connection is ended"
    return reading


def test_a_whole_uid_is_a_card() -> None:
    assert read(UID + b"\x90\x00") == Card(CardUid(UID), None, None)


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        (b"", NoCard.NO_ANSWER),
        (b"\x90", NoCard.NO_ANSWER),
        (b"\x90\x00", NoCard.UNREADABLE),
        (b"\x63\x00", NoCard.NO_ANSWER),
        (b"\x6a\x81", NoCard.UNREADABLE),
        (UID, NoCard.NO_ANSWER),
        (UID[:5] + b"\x90\x00", NoCard.UNREADABLE),
        (b"\x88\x04\x89\xab\x90\x00", NoCard.UNREADABLE),
        (Code.NOT_TRANSACTED, NoCard.NO_ANSWER),
        (Code.COMM_ERROR, NoCard.NO_ANSWER),
        (Code.REMOVED_CARD, NoCard.NO_ANSWER),
    ],
)
def test_an_answer_that_is_not_whole_is_no_card(answer: bytes | int, reading: NoCard) -> None:
    assert read(answer) is reading


@given(st.binary(max_size=264))
def test_any_answer_gives_a_reading(answer: bytes) -> None:
    reading = read(answer)
    if isinstance(reading, Card):
        assert answer == reading.uid.raw + b"\x90\x00"
        assert len(reading.uid.raw) in UID_LENGTHS


@pytest.mark.parametrize(
    ("code", "reading"),
    [
        (Code.NO_SMARTCARD, NoCard.NO_ANSWER),
        (Code.UNRESPONSIVE_CARD, NoCard.NO_ANSWER),
        (Code.UNPOWERED_CARD, NoCard.NO_ANSWER),
        (Code.REMOVED_CARD, NoCard.NO_ANSWER),
        (Code.SHARING_VIOLATION, NoCard.HELD),
    ],
)
def test_a_connection_that_is_refused_says_why(code: Code, reading: NoCard) -> None:
    assert read(b"", code) is reading


def test_an_odd_atr_is_tried_without_a_protocol() -> None:
    context = FakeContext(FakeCard([UID + b"\x90\x00"]), Code.PROTO_MISMATCH)
    assert isinstance(read_card(context, "slot", lambda *_: None), Card)
    assert context.protocols == [Protocols.T0 | Protocols.T1, Protocols.RAW]
    assert read(b"", Code.PROTO_MISMATCH, Code.PROTO_MISMATCH) is NoCard.UNREADABLE


@pytest.mark.parametrize("code", [Code.NO_SERVICE, Code.COMM_ERROR, Code.UNKNOWN_READER])
def test_a_slot_or_a_pcscd_that_is_gone_is_an_error(code: Code) -> None:
    with pytest.raises(PcscError):
        read(b"", code)


def test_a_printed_number_is_read_by_two_apdus() -> None:
    card = FakeCard([b"\x91\x00", bytes.fromhex("1234567890123456") + b"\x91\x00"])
    assert read_number(card) == "1234567890123456"
    assert read_number(FakeCard([b"\x6e\x00"])) is None
    assert read_number(FakeCard([Code.REMOVED_CARD])) is None
