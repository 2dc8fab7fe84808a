"""Any bytes from a PN532: frames are found in noise, answers are a card or a reason, none raise."""

from hypothesis import given
from hypothesis import strategies as st

from validator.domain.cards import UID_LENGTHS, Card, CardUid
from validator.lane.readers.findings import NoCard
from validator.lane.readers.pn532.frames import ACK, FrameSplitter
from validator.lane.readers.pn532.targets import parse_targets

ANSWER_OF_A_DESFIRE = bytes.fromhex("0101034420070489ab12cd34ef067577810280")


def frame_of(data: bytes) -> bytes:
    """Return an information frame as in the manual, extended when it has to be."""
    if len(data) <= 255:
        head = bytes((len(data), -len(data) & 0xFF))
    else:
        high, low = divmod(len(data), 256)
        head = bytes((0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    return b"\x00\x00\xff" + head + data + bytes((-sum(data) & 0xFF, 0))


def split(*chunks: bytes) -> list[bytes]:
    splitter = FrameSplitter()
    found = []
    for chunk in chunks:
        splitter.feed(chunk)
        while (frame := splitter.next_frame()) is not None:
            found.append(bytes(frame))
    return found


frames = st.one_of(st.just(ACK), st.binary(min_size=1, max_size=265).map(frame_of))
noise = st.binary(max_size=20).filter(
    lambda noise: b"\x00\x00" not in noise and not noise.endswith(b"\x00")
)


@given(st.lists(st.tuples(noise, frames), max_size=5))
def test_whole_frames_are_found_behind_noise(sent: list[tuple[bytes, bytes]]) -> None:
    stream = b"".join(noise + frame for noise, frame in sent)

    assert split(stream) == [frame for _, frame in sent]


@given(st.lists(st.one_of(frames, st.binary(max_size=30)), max_size=6))
def test_the_same_bytes_whole_and_one_by_one_give_the_same_frames(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)

    assert split(stream) == split(*(stream[at : at + 1] for at in range(len(stream))))


@given(st.binary(max_size=2000))
def test_no_bytes_raise_or_pile_up(stream: bytes) -> None:
    splitter = FrameSplitter()
    splitter.feed(stream)
    while splitter.next_frame() is not None:
        pass

    assert len(splitter._bytes) < 8 + 265 + 2


@given(st.integers(5, len(ANSWER_OF_A_DESFIRE) + 7))
def test_a_frame_behind_a_cut_off_one_is_found_once_the_first_is_given_up(length: int) -> None:
    frame = frame_of(b"\xd5\x4b" + ANSWER_OF_A_DESFIRE)
    assert length < len(frame) - 1  # the postamble carries nothing
    splitter = FrameSplitter()
    splitter.feed(frame[:length] + frame)
    found = splitter.next_frame()
    while found is None and splitter.unfinished:
        splitter.give_up_frame()
        found = splitter.next_frame()

    assert found == bytearray(frame)
    assert splitter.garbled


def test_good_frames_leave_no_mark() -> None:
    splitter = FrameSplitter()
    splitter.feed(bytes(10) + ACK + frame_of(b"\xd5\x4b\x00"))
    while splitter.next_frame() is not None:
        pass

    assert not splitter.garbled
    assert not splitter.unfinished


def test_a_wrong_checksum_is_refused_and_marked() -> None:
    splitter = FrameSplitter()
    splitter.feed(frame_of(b"\xd5\x4b\x00")[:-2] + b"\x00\x00")

    assert splitter.next_frame() is None
    assert splitter.garbled


@given(st.binary(max_size=120))
def test_any_answer_is_a_card_with_its_whole_uid_or_a_reason(answer: bytes) -> None:
    found = parse_targets(answer)

    assert isinstance(found, Card | NoCard)
    if isinstance(found, Card):
        length = answer[5]
        assert length in UID_LENGTHS
        assert found.uid.raw == answer[6 : 6 + length]


@given(st.integers(0, len(ANSWER_OF_A_DESFIRE) - 1))
def test_an_answer_that_is_cut_off_anywhere_is_no_card(length: int) -> None:
    assert isinstance(parse_targets(ANSWER_OF_A_DESFIRE[:length]), NoCard)


def test_a_desfire_is_read() -> None:
    card = Card(CardUid(bytes.fromhex("0489ab12cd34ef")), atqa=0x0344, sak=0x20)

    assert parse_targets(ANSWER_OF_A_DESFIRE) == card


def test_a_card_without_iso_14443_4_needs_no_ats() -> None:
    card = Card(CardUid(bytes.fromhex("1a2b3c4d")), atqa=0x0004, sak=0x08)

    assert parse_targets(bytes.fromhex("010100040804" + "1a2b3c4d")) == card


def test_why_there_is_no_card() -> None:
    reasons = {
        "": NoCard.INCOMPLETE,
        "00": NoCard.INCOMPLETE,
        "02" + ANSWER_OF_A_DESFIRE[1:].hex() * 2: NoCard.SEVERAL,
        "0101034420070489ab12cd34ef": NoCard.INCOMPLETE,  # it promised an ATS
        "0101034420070489ab12cd34ef00": NoCard.INCOMPLETE,  # an ATS counts itself
        "01010004040488010203": NoCard.INCOMPLETE,  # by its SAK the UID goes on
        "01010004080488010203": NoCard.INCOMPLETE,  # a cascade tag is no UID
        "010100040805" + "0102030405": NoCard.UNREADABLE,
        "010100040800": NoCard.UNREADABLE,
        "0101": NoCard.UNREADABLE,
    }

    assert {answer: parse_targets(bytes.fromhex(answer)) for answer in reasons} == reasons
