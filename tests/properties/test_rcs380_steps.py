"""The steps of an RC-S380's radio: what cards answer makes a whole card, a reason, or an error.

Two kinds of cards are tried: any bytes at all, and simulated cards by the standard, which leave at
any exchange.
"""

from collections.abc import Callable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.cards import card_of
from firmware_sim.radio.air import Air, Collision, Silence, crc_a
from firmware_sim.radio.field import Field
from validator.domain.cards import Card
from validator.lane.readers.findings import Found, NoCard
from validator.lane.readers.rcs380.frames import command, parse
from validator.lane.readers.rcs380.radio import (
    ChipError,
    Pause,
    Radio,
    Send,
    Steps,
    WrongAnswerError,
)

STEPS_MAX = 20  # commands of one request: sleep, two settings, REQA, three levels of two exchanges
EXCHANGE, SET_PROTOCOL, LAST_BITS = 0x04, 0x02, 7
SILENT, COLLIDED, GOOD = bytes.fromhex("80000000"), bytes.fromhex("08000000"), bytes(4) + b"\x08"


def carried_out(steps: Steps[Found], answer: Callable[[Send], bytes]) -> Found:
    """Carry out steps; each command is answered by `answer`."""
    sent = 0
    try:
        step = next(steps)
        while True:
            sent += 1
            assert sent <= STEPS_MAX, "the steps do not end"
            assert isinstance(step, Send), "a request pauses nowhere"
            step = steps.send(answer(step))
    except StopIteration as end:
        found: Found = end.value
        return found


def exchanges(answers: list[bytes]) -> Callable[[Send], bytes]:
    """Settings succeed; the exchanges are answered one after the other, then by silence."""
    left = iter(answers)
    return lambda step: next(left, SILENT) if step.code == EXCHANGE else b"\x00"


def part(four: bytes) -> bytes:
    return four + bytes((four[0] ^ four[1] ^ four[2] ^ four[3],))


def sak(value: int) -> bytes:
    return bytes((value,)) + crc_a(bytes((value,)))


status = st.sampled_from([GOOD, SILENT, COLLIDED, bytes.fromhex("02000000"), b"\x00", b""])
payload = st.one_of(
    st.binary(max_size=8),
    st.binary(min_size=4, max_size=4).map(part),
    st.binary(min_size=3, max_size=3).map(lambda three: part(b"\x88" + three)),
    st.integers(0, 255).map(sak),
)
uid = st.sampled_from([4, 7, 10]).flatmap(
    lambda size: st.binary(min_size=size, max_size=size).filter(lambda each: each[0] != 0x88)
)
answers = st.lists(st.one_of(st.binary(max_size=16), st.tuples(status, payload).map(b"".join)))


@given(answers)
def test_any_answers_give_a_card_a_reason_or_an_error_and_never_a_part_of_a_uid(
    given_answers: list[bytes],
) -> None:
    try:
        found = carried_out(Radio().ask(), exchanges(given_answers))
    except (ChipError, WrongAnswerError):
        return
    if isinstance(found, Card):
        levels = {4: 1, 7: 2, 10: 3}[len(found.uid.raw)]
        used = given_answers[1 : 1 + 2 * levels]
        parts = [each[5:9] for each in used[::2]]
        assert all(each[:4] == bytes(4) for each in used)
        assert found.uid.raw == b"".join(each[1:] for each in parts[:-1]) + parts[-1]
        assert [each[5] & 4 for each in used[1::2]] == [4] * (levels - 1) + [0]
        assert all(each[5:] == sak(each[5]) for each in used[1::2])


def conversation(one: bytes) -> list[bytes]:
    """What a card answers by the standard: to REQA, then to two exchanges a level."""
    parts, rest = [], one
    while len(rest) > 4:
        parts.append(b"\x88" + rest[:3])
        rest = rest[3:]
    said = [bytes.fromhex("4403")]
    for each in parts:
        said += [part(each), sak(0x04)]
    return [GOOD + each for each in [*said, part(rest), sak(0x20)]]


@given(uid, st.integers(1, 6), st.integers(5, 9), st.integers(1, 255))
def test_a_changed_byte_of_an_anticollision_or_a_selection_is_no_card(
    one: bytes, number: int, place: int, change: int
) -> None:
    said = [bytearray(each) for each in conversation(one)]
    assert isinstance(carried_out(Radio().ask(), exchanges([bytes(each) for each in said])), Card)
    changed = said[1 + (number - 1) % (len(said) - 1)]
    changed[5 + (place - 5) % (len(changed) - 5)] ^= change
    found = carried_out(Radio().ask(), exchanges([bytes(each) for each in said]))
    assert found is NoCard.INCOMPLETE


@given(uid, st.integers(1, 6))
def test_a_collision_at_any_level_is_more_than_one_card(one: bytes, number: int) -> None:
    said = conversation(one)
    said[1 + (number - 1) % (len(said) - 1)] = COLLIDED
    assert carried_out(Radio().ask(), exchanges(said)) is NoCard.SEVERAL


@given(uid)
def test_a_card_that_promises_more_without_the_cascade_tag_is_unreadable(one: bytes) -> None:
    said = [*conversation(one)[:-1], GOOD + sak(0x24), GOOD + part(bytes(4)), GOOD + sak(0x20)]
    assert carried_out(Radio().ask(), exchanges(said)) is NoCard.UNREADABLE


@given(st.binary(max_size=340))
def test_any_transfer_is_parsed(transfer: bytes) -> None:
    parse(transfer)


@given(st.integers(0, 127), st.binary(max_size=250), st.integers(0, 260), st.integers(1, 255))
def test_an_answer_with_a_changed_byte_is_no_answer(
    number: int, body: bytes, place: int, change: int
) -> None:
    frame = bytearray(command(2 * number, body))
    assert not isinstance(parse(bytes(frame)), tuple), "a command is no answer"
    data = b"\xd7" + bytes((2 * number + 1,)) + body
    good = frame[:8] + data + bytes((-sum(data) & 0xFF, 0))
    assert parse(bytes(good)) == (2 * number, body)
    place %= len(good) - 1  # the last byte is filling, which no checksum covers
    good[place] ^= change
    assert not isinstance(parse(bytes(good)), tuple)


class Table:
    """A field with cards, behind a chip that knows no faults; a card leaves at some exchange."""

    def __init__(self, uids: list[bytes], leaves_after: int) -> None:
        self.field = Field(Random(1))
        self.field.power(on=True)
        self.shown = [each.shown_uid for each in self.field.enter(*map(card_of, uids))]
        self.air = Air(self.field)
        self.left = leaves_after
        self.bits = 8

    def answer(self, step: Send) -> bytes:
        if step.code == SET_PROTOCOL:
            self.bits = dict(zip(step.body[::2], step.body[1::2], strict=True))[LAST_BITS]
        if step.code != EXCHANGE:
            return b"\x00"
        if self.left == 0 and self.field.present:
            self.field.leave(self.field.present[0])
        self.left -= 1
        said = self.air.send(step.body[2:], self.bits, 0)
        if isinstance(said, Silence):
            return SILENT
        return COLLIDED if isinstance(said, Collision) else GOOD + said


@given(st.lists(uid, max_size=3, unique=True), st.integers(-1, 12))
def test_cards_by_the_standard_are_read_whole_one_after_the_other_or_not_at_all(
    uids: list[bytes], leaves_after: int
) -> None:
    table, radio = Table(uids, leaves_after), Radio()
    for _ in range(6):
        found = carried_out(radio.ask(), table.answer)
        if isinstance(found, Card):
            assert found.uid.raw in table.shown
    stay = list(table.field.present)
    if leaves_after < 0 and not uids:
        assert found is NoCard.NONE
    if leaves_after < 0 and len(uids) == 1:
        assert found is NoCard.NONE, "it was read, and sleeps"
        assert [each.state.name for each in stay] == ["HALT"]


@given(uid)
def test_a_card_alone_is_read_at_the_first_request_and_sleeps_at_the_second(one: bytes) -> None:
    table, radio = Table([one], -1), Radio()
    found = carried_out(radio.ask(), table.answer)
    assert isinstance(found, Card)
    assert [found.uid.raw] == table.shown
    assert found.sak == card_of(one).sel_res
    assert found.atqa == int.from_bytes(card_of(one).sens_res)
    assert radio.has_selected
    assert carried_out(radio.ask(), table.answer) is NoCard.NONE


def test_a_reset_switches_the_field_off_for_long_enough() -> None:
    steps = Radio().reset_field()
    assert next(steps) == Send(0x06, b"\x00")
    off = steps.send(b"\x00")
    assert isinstance(off, Pause)
    assert off.ns >= 5_100_000
    assert steps.send(b"") == Send(0x00, bytes((2, 3, 15, 3)))
