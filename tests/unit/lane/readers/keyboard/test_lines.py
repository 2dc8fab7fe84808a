"""Key events become lines, and a line that lost keys is known to have lost them."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.lane.readers.keyboard.keys import (
    ENTER,
    EV_KEY,
    EV_SYN,
    KEYPAD_ENTER,
    NO_CHARACTER,
    SYN_DROPPED,
    SYN_REPORT,
    TAB,
)
from validator.lane.readers.keyboard.lines import (
    PAUSE_NS,
    REST_NS,
    TEXT_MAX,
    InputEvent,
    Line,
    LineMaker,
)

MS = 1_000_000
LATER_NS = 10 * PAUSE_NS  # after the opening, so that no head is missing
KEYS = {character: code for code, character in enumerate("1234567890", 2)}
KEYS |= {"a": 30, "b": 48, "c": 46, "d": 32, "e": 18, "f": 33, "\n": ENTER, "\t": TAB}
SHIFT, CONTROL, SEMICOLON, CAPS_LOCK = 42, 29, 39, 58


def key(code: int, at_ns: int, value: int = 1) -> InputEvent:
    return InputEvent(at_ns, EV_KEY, code, value)


def typed(text: str, at_ns: int, step_ns: int = 8 * MS) -> list[InputEvent]:
    """Presses and releases of a text, as a reader of one key every `step_ns` sends them."""
    events = []
    for place, character in enumerate(text):
        now_ns = at_ns + place * step_ns
        events += [
            InputEvent(now_ns, 4, 4, 0x7001E),  # MSC_SCAN
            key(KEYS[character], now_ns),
            InputEvent(now_ns, EV_SYN, SYN_REPORT, 0),
            key(KEYS[character], now_ns + step_ns // 2, 0),
            InputEvent(now_ns + step_ns // 2, EV_SYN, SYN_REPORT, 0),
        ]
    return events


def lines_of(maker: LineMaker, events: Iterable[InputEvent]) -> list[Line]:
    return [line for event in events for line in maker.feed(event)]


@pytest.mark.parametrize("end", [ENTER, KEYPAD_ENTER, TAB])
def test_a_line_ends_at_enter_and_tab(end: int) -> None:
    maker = LineMaker(0)
    assert lines_of(maker, typed("04a1", LATER_NS)) == []
    at_ns = LATER_NS + 40 * MS
    assert maker.feed(key(end, at_ns)) == [Line("04a1", at_ns, ended=True)]
    assert maker.deadline_ns() is None


def test_two_ends_make_no_empty_line() -> None:
    assert [line.text for line in lines_of(LineMaker(0), typed("\n12\n\n\t34\n\n", LATER_NS))] == [
        "12",
        "34",
    ]


def test_two_cards_fast_one_after_the_other_are_two_lines() -> None:
    lines = lines_of(LineMaker(0), typed("0123456789\nabcdef0123\n", LATER_NS, MS))
    assert [(line.text, line.ended, line.may_lack_head) for line in lines] == [
        ("0123456789", True, False),
        ("abcdef0123", True, False),
    ]


def test_a_line_ends_with_a_pause() -> None:
    maker = LineMaker(0)
    assert lines_of(maker, typed("12", LATER_NS)) == []
    last_ns = LATER_NS + 8 * MS
    assert maker.deadline_ns() == last_ns + PAUSE_NS
    assert maker.pause(last_ns + PAUSE_NS - 1) is None
    assert maker.pause(last_ns + PAUSE_NS) == Line("12", last_ns + PAUSE_NS, ended=False)
    assert maker.pause(last_ns + 2 * PAUSE_NS) is None


def test_the_next_key_ends_a_line_whose_pause_nobody_waited_for() -> None:
    maker = LineMaker(0)
    lines = lines_of(maker, [*typed("12", LATER_NS), *typed("34", LATER_NS + 2 * PAUSE_NS)])
    assert [line.text for line in lines] == ["12"]


def test_what_follows_a_line_without_end_may_be_its_rest() -> None:
    maker = LineMaker(0)
    lines = lines_of(
        maker, [*typed("041122", LATER_NS), *typed("33445566\n", LATER_NS + PAUSE_NS * 2)]
    )
    assert [(line.text, line.ended, line.rest_of) for line in lines] == [
        ("041122", False, 0),
        ("33445566", True, 6),
    ]
    assert lines_of(maker, typed("11223344\n", LATER_NS + REST_NS * 2))[0].rest_of == 0


def test_a_line_that_began_just_after_the_opening_may_lack_its_head() -> None:
    opened_ns = LATER_NS
    early = lines_of(LineMaker(opened_ns), typed("1234\n", opened_ns + PAUSE_NS - MS))
    later = lines_of(LineMaker(opened_ns), typed("1234\n", opened_ns + PAUSE_NS))
    assert [line.may_lack_head for line in early + later] == [True, False]


def test_releases_the_kernels_repeats_and_locks_type_nothing() -> None:
    maker = LineMaker(0)
    events = [
        key(CAPS_LOCK, LATER_NS),
        key(2, LATER_NS),
        *(key(2, LATER_NS + number * MS, 2) for number in range(1, 9)),
        key(2, LATER_NS + 9 * MS, 0),
        key(3, LATER_NS + 10 * MS),
        key(ENTER, LATER_NS + 11 * MS),
    ]
    assert [line.text for line in lines_of(maker, events)] == ["12"]


def test_shift_makes_letters_large_and_digits_something_else() -> None:
    maker = LineMaker(0)
    events = [
        key(SHIFT, LATER_NS),
        key(KEYS["a"], LATER_NS),
        key(2, LATER_NS),
        key(SEMICOLON, LATER_NS),
        key(SHIFT, LATER_NS, 0),
        key(SEMICOLON, LATER_NS),
        key(2, LATER_NS),
        key(CONTROL, LATER_NS),
        key(2, LATER_NS),
        key(CONTROL, LATER_NS, 0),
        key(ENTER, LATER_NS),
    ]
    text = f"a{NO_CHARACTER}:{NO_CHARACTER}1{NO_CHARACTER}"
    assert [line.text for line in lines_of(maker, events)] == [text]


def test_dropped_events_spoil_the_line_up_to_its_end() -> None:
    maker = LineMaker(0)
    dropped = InputEvent(LATER_NS + 40 * MS, EV_SYN, SYN_DROPPED, 0)
    events = [
        *typed("0411", LATER_NS),
        dropped,
        key(KEYS["9"], LATER_NS + 41 * MS),  # of a packet that is cut
        InputEvent(LATER_NS + 41 * MS, EV_SYN, SYN_REPORT, 0),
        *typed("2233\n", LATER_NS + 50 * MS),
        *typed("44\n", LATER_NS + 200 * MS),
    ]
    lines = lines_of(maker, events)
    assert [(line.text, line.lost_keys) for line in lines] == [("04112233", True), ("44", False)]


def test_dropped_events_alone_are_a_line_that_lost_keys() -> None:
    maker = LineMaker(0)
    maker.feed(InputEvent(LATER_NS, EV_SYN, SYN_DROPPED, 0))
    line = maker.pause(LATER_NS + PAUSE_NS)
    assert line == Line("", LATER_NS + PAUSE_NS, ended=False, lost_keys=True)


def test_a_line_without_an_end_takes_no_memory() -> None:
    maker = LineMaker(0)
    assert lines_of(maker, typed("1" * 10_000, LATER_NS, MS)) == []
    line = maker.feed(key(ENTER, LATER_NS + 10_000 * MS))[0]
    assert len(line.text) == TEXT_MAX


@given(
    st.lists(
        st.builds(
            InputEvent,
            st.integers(0, 1 << 62),
            st.integers(0, 0xFFFF) | st.sampled_from([EV_KEY, EV_SYN]),
            st.integers(0, 0xFFFF) | st.sampled_from([*KEYS.values(), SYN_DROPPED]),
            st.integers(-(1 << 31), (1 << 31) - 1) | st.sampled_from([0, 1, 2]),
        ),
        max_size=60,
    )
)
def test_any_events_make_short_lines_and_raise_nothing(events: list[InputEvent]) -> None:
    lines = lines_of(LineMaker(0), events)
    assert all(len(line.text) <= TEXT_MAX for line in lines)
