"""What readers type, for every UID and every way of typing: read back, and learned from cards."""

import string
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from validator.config.devices import BoardConfig, ReaderConfig, device_faults
from validator.config.keyboard import KeyboardConfig
from validator.lane.readers.keyboard.encoding import ENCODINGS, Encoding, is_whole
from validator.lane.readers.keyboard.learning import (
    Learnt,
    NextCard,
    Tried,
    Unfit,
    learn,
    parse_uid,
)

WAYS = st.sampled_from(ENCODINGS)


def uids(*lengths: int) -> st.SearchStrategy[bytes]:
    sizes = st.sampled_from(lengths)
    return sizes.flatmap(lambda size: st.binary(min_size=size, max_size=size)).filter(is_whole)


@given(WAYS, uids(4, 7, 10))
def test_every_way_of_typing_gives_the_uid_back(way: Encoding, uid: bytes) -> None:
    text = way.text(uid)
    assert way.uid(text) == uid
    assert len(text) == way.width(len(uid))


@given(WAYS, st.text(string.hexdigits.lower() + ":- .;?�_+", max_size=40))
def test_a_text_is_a_uid_only_if_a_reader_types_it_so(way: Encoding, text: str) -> None:
    uid = way.uid(text)
    assert uid is None or way.text(uid) == text


@given(WAYS, uids(4, 7, 10), st.data())
def test_a_text_with_a_digit_less_or_more_is_no_uid_of_another_card(
    way: Encoding, uid: bytes, data: st.DataObject
) -> None:
    text = way.text(uid)
    place = data.draw(st.integers(0, len(text) - 1))
    assert way.uid(text[:place] + text[place + 1 :]) is None
    assert way.uid(text[:place] + text[place] + text[place:]) is None


def config_of(lines: tuple[str, ...]) -> KeyboardConfig:
    """The configuration that the printed lines make, checked as a whole."""
    values: dict[str, Any] = tomllib.loads("\n".join(lines))["reader"]["keyboard"]
    typed = msgspec.convert(values, KeyboardConfig)
    reader = ReaderConfig(driver="keyboard", device="/dev/input/by-id/r", keyboard=typed)
    assert list(device_faults(reader, BoardConfig(device="/dev/b"), hold_ms=5_000)) == []
    return typed


@given(way=WAYS, long=uids(7), short=uids(4), ended=st.booleans())
def test_a_reader_that_types_whole_uids_is_learned_with_one_long_card(
    way: Encoding, long: bytes, short: bytes, *, ended: bool
) -> None:
    assume(long != long[::-1])
    tried = [Tried(long, way.text(long), ended)]
    found = learn(tried)
    assert isinstance(found, Learnt)
    typed = config_of(found.lines)
    assert Encoding(typed.base, typed.order, typed.separator) == way
    assert (typed.bytes, typed.ends_with) == ((7,), "enter" if ended else "pause")
    found = learn([*tried, Tried(short, way.text(short), ended)])
    assert isinstance(found, Learnt)
    assert config_of(found.lines).bytes == ((4, 7) if ended else (7,))


@given(WAYS, uids(4), uids(7), st.sampled_from(["marked", "silent"]))
def test_a_reader_of_short_uids_is_learned_only_with_what_it_does_with_long_ones(
    way: Encoding, short: bytes, long: bytes, kind: str
) -> None:
    assume(short != short[::-1])
    alone = learn([Tried(short, way.text(short))])
    assert isinstance(alone, NextCard)
    assert "7 bytes" in alone.reason
    text = way.text(b"\x88" + long[:3]) if kind == "marked" else ""
    found = learn([Tried(short, way.text(short)), Tried(long, text)])
    assert isinstance(found, Learnt)
    typed = config_of(found.lines)
    assert (typed.bytes, typed.seven_byte_cards) == ((4,), kind)


@given(way=WAYS, uid=uids(7), first=st.booleans())
def test_a_reader_that_types_four_of_seven_bytes_is_refused(
    way: Encoding, uid: bytes, *, first: bool
) -> None:
    part = uid[:4] if first else uid[-4:]
    found = learn([Tried(uid, way.text(part))])
    assert isinstance(found, Unfit)
    assert "only 4 of the 7 bytes" in found.reason


@given(st.sampled_from([each for each in ENCODINGS if each.base == "decimal"]), uids(3, 6))
def test_a_reader_that_leaves_zeros_out_is_refused(way: Encoding, rest: bytes) -> None:
    uid = b"\0" + rest if way.order == "printed" else rest + b"\0"
    assume(is_whole(uid))
    text = way.text(uid).lstrip("0")
    assume(all(each.uid(text) is None for each in ENCODINGS))
    found = learn([Tried(uid, text)])
    assert isinstance(found, Unfit)
    assert "leaves zeros out" in found.reason


@given(WAYS, WAYS, uids(7), uids(7))
def test_cards_that_disagree_are_learned_by_no_way(
    one: Encoding, other: Encoding, first: bytes, second: bytes
) -> None:
    assume(one.text(second) != other.text(second) and first != first[::-1])
    found = learn([Tried(first, one.text(first)), Tried(second, other.text(second))])
    assert isinstance(found, Unfit)


def test_a_uid_that_reads_the_same_from_both_ends_needs_a_second_card() -> None:
    mirrored, other = bytes.fromhex("04a1b2c3b2a104"), bytes.fromhex("04112233445566")
    found = learn([Tried(mirrored, "04a1b2c3b2a104")])
    assert isinstance(found, NextCard)
    assert "lay another card" in found.reason
    found = learn([Tried(mirrored, "04a1b2c3b2a104"), Tried(other, "66554433221104")])
    assert found == Learnt(
        ("[reader.keyboard]", 'base = "hex"', 'order = "reversed"', "bytes = [7]")
    )


@pytest.mark.parametrize(
    ("uid", "text", "told"),
    [
        ("04a1b2c3d4e5f6", "12345678901234", "is not this UID in any way"),
        ("04a1b2c3d4e5f6", "�04a1b2c3d4e5f6�", "without prefix and suffix"),
        ("04a1b2c3d4e5f6", "0013952502", "only 3 of the 7 bytes"),
        ("0000000102030405060708"[-8:], "84281096", "leaves zeros out"),
    ],
)
def test_why_a_reader_cannot_serve_is_said(uid: str, text: str, told: str) -> None:
    found = learn([Tried(bytes.fromhex(uid), text)])
    assert isinstance(found, Unfit)
    assert told in found.reason


def test_a_reader_that_types_nothing_teaches_nothing() -> None:
    found = learn([Tried(bytes.fromhex("04a1b2c3d4e5f6"), "")])
    assert isinstance(found, NextCard)


@pytest.mark.parametrize("written", ["04A1B2C3D4E5F6", "04:a1:b2:c3:d4:e5:f6", " 04-A1-B2-C3 "])
def test_a_printed_uid_is_parsed(written: str) -> None:
    digits = written.strip().lower().replace(":", "").replace("-", "")
    assert parse_uid(written) == bytes.fromhex(digits)


@pytest.mark.parametrize(
    "written", ["", "4-17-34-51-68-85-102", "04a1b2", "88a1b2c3", "00000000", "04 a1:b2 c3", "zz"]
)
def test_what_is_no_uid_is_refused_in_one_line(written: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_uid(written)
