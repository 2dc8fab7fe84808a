"""What is reported of what is typed: cut, doubled, joined, in another layout, by another model.

The device is made here; the reader, its lines and its opener are the product's.
"""

import errno
import os
import select
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lane.readers.keyboard.test_lines import KEYS, MS, SHIFT, key, typed
from validator.domain.events import CardSeen, LeftEarly, ReaderBack, ReaderLost, Unsupported
from validator.lane.readers.keyboard import reader as reader_module
from validator.lane.readers.keyboard.encoding import Encoding
from validator.lane.readers.keyboard.input_device import OtherDeviceError
from validator.lane.readers.keyboard.lines import PAUSE_NS, InputEvent
from validator.lane.readers.keyboard.reader import KeyboardReader, Typing

HEX, DECIMAL = Encoding("hex", "printed"), Encoding("decimal", "printed")
BOTH, SHORT_ONLY = frozenset({4, 7}), frozenset({4})
LONG, SHORT, OTHER = "04a1b2c3d4e5f6", "1a2b3c4d", "0489ab12cd34ef"
CAPS_LOCK, KEY_Q, SPACE = 58, 16, 57
MODEL, ANOTHER = (0x08FF, 0x0009), (0x1A86, 0xDD01)


class Desk:
    """A port of the machine, what is plugged in there, and the time."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000 * MS
        self.plugged: tuple[int, int] | None = MODEL
        self.events: list[InputEvent] = []
        self.fault = 0  # the errno of reading
        self.wanted: list[tuple[int, int] | None] = []

    def device(self, _path: str, ids: tuple[int, int] | None) -> "Device":
        """Stands for InputDevice."""
        self.wanted.append(ids)
        if self.plugged is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        if ids not in {None, self.plugged}:
            raise OtherDeviceError("another device, 1a86:dd01, is where 08ff:0009 was")
        return Device(self, self.plugged)


class Device:
    """An input device that gives the events of the desk."""

    def __init__(self, desk: Desk, ids: tuple[int, int]) -> None:
        self._desk = desk
        self.ids = ids
        self.opened_ns = desk.now_ns

    def fileno(self) -> int:
        return -1

    def read(self) -> list[InputEvent]:
        if self._desk.fault:
            raise OSError(self._desk.fault, os.strerror(self._desk.fault))
        events, self._desk.events = self._desk.events, []
        return events

    def close(self) -> None:
        """Nothing is held."""

    drop = close


class Bench:
    """A reader at a desk."""

    def __init__(self, typing: Typing) -> None:
        self.desk = Desk()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(reader_module, "InputDevice", self.desk.device)
        self.reader = KeyboardReader("/dev/input/by-path/p", typing, clock=lambda: self.desk.now_ns)

    def opened(self) -> object:
        """What the opener's thread found, at the latest when it tries again."""
        while True:
            if (event := self.reader.take()) is not None:
                return event
            if self.reader.fileno() < 0:  # a device is there, and ReaderBack is due in a moment
                self.desk.now_ns = self.reader.deadline_ns()
                return self.reader.take()
            poll = select.poll()
            poll.register(self.reader.fileno(), select.POLLIN)
            assert poll.poll(60_000), "the opener found nothing"

    def type(self, *texts: str, gap_ns: int = 8 * MS) -> None:
        """Type texts with a gap between them, as fast as readers do."""
        at_ns = self.desk.now_ns + 2 * PAUSE_NS
        for text in texts:
            self.desk.events += typed(text, at_ns)
            at_ns = self.desk.events[-1].at_ns + gap_ns
        self.desk.now_ns = self.desk.events[-1].at_ns

    def reported(self) -> list[object]:
        """All events until the pause after the last key has passed, cards as their UIDs."""
        found: list[object] = []
        for _ in range(2):
            for _ in range(8):
                self.reader.arm()
                event = self.reader.take()
                if isinstance(event, CardSeen):
                    found.append(event.card.uid.raw.hex())
                elif event is not None:
                    found.append(type(event))
            self.desk.now_ns += PAUSE_NS
        return found

    def close(self) -> None:
        self.reader.close()
        self._patch.undo()


def bench_of(typing: Typing) -> Bench:
    bench = Bench(typing)
    assert isinstance(bench.opened(), ReaderBack)
    bench.desk.now_ns += 2 * PAUSE_NS
    return bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = bench_of(Typing(HEX, BOTH))
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ((LONG + "\n",), [LONG]),
        ((LONG + SHORT + "\n",), [LeftEarly]),  # two numbers, and Enter after the second
        ((SHORT + SHORT + "\n",), [LeftEarly]),
        ((LONG[:7] + "\n",), [LeftEarly]),
        ((LONG[:6] + "\n",), [LeftEarly]),
        ((LONG + "0\n",), [LeftEarly]),
        (("0" + LONG + "\n",), [LeftEarly]),
        ((LONG * 30 + "\n",), [LeftEarly]),  # a key that sticks
        ((LONG,), [LeftEarly]),  # no Enter
        ((LONG + "\n", OTHER + "\n"), [LONG, OTHER]),
        ((LONG + "\n\n\t",), [LONG]),
        (("\n\n",), []),
        (("00000000\n",), [Unsupported]),
        (("88aabbcc\n",), [Unsupported]),
    ],
)
def test_only_a_whole_number_with_its_end_is_a_card(
    bench: Bench, texts: tuple[str, ...], found: list[object]
) -> None:
    bench.type(*texts)
    assert bench.reported() == found


@pytest.mark.parametrize("cut", [2, 6, 10, 13])
def test_a_number_in_two_halves_is_no_card_and_its_rest_neither(bench: Bench, cut: int) -> None:
    bench.type(LONG[:cut], LONG[cut:] + "\n", gap_ns=2 * PAUSE_NS)
    found = bench.reported()
    assert found, "the passenger is asked to lay the card again"
    assert {*found} == {LeftEarly}
    bench.desk.now_ns += 16 * PAUSE_NS
    bench.type(OTHER + "\n")
    assert bench.reported() == [OTHER]


uids = st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size))


@given(
    st.sampled_from([HEX, DECIMAL, Encoding("hex", "reversed")]),
    st.lists(uids, min_size=2, max_size=4),
)
def test_numbers_that_run_into_each_other_are_no_card(way: Encoding, cards: list[bytes]) -> None:
    assert way.uid("".join(way.text(card) for card in cards)) is None


def test_repeats_of_a_held_key_by_the_kernel_are_not_typed(bench: Bench) -> None:
    bench.type(LONG + "\n")
    held: list[InputEvent] = []
    for event in bench.desk.events:
        is_press = event.code in KEYS.values() and event.value == 1
        held += [event, *[event._replace(value=2)] * 3] if is_press else [event]
    bench.desk.events = held
    assert bench.reported() == [LONG]


def test_caps_lock_and_shift_change_no_letter(bench: Bench) -> None:
    bench.type(LONG + "\n")
    letters = {KEYS[each] for each in "abcdef"}
    pressed: list[InputEvent] = [key(CAPS_LOCK, bench.desk.events[0].at_ns)]
    for event in bench.desk.events:
        around = event.code in letters and event.value == 1
        pressed += (
            [key(SHIFT, event.at_ns), event, key(SHIFT, event.at_ns, 0)] if around else [event]
        )
    bench.desk.events = pressed
    assert bench.reported() == [LONG]


def test_a_shift_that_sticks_makes_no_other_card(bench: Bench) -> None:
    bench.type(LONG + "\n")
    bench.desk.events.insert(0, key(SHIFT, bench.desk.events[0].at_ns))
    assert bench.reported() == [Unsupported]


@pytest.mark.parametrize("code", [KEY_Q, SPACE])
def test_a_key_of_another_layout_is_no_digit_of_another_card(bench: Bench, code: int) -> None:
    """On a French keyboard, `a` is where a US keyboard has `q`."""
    bench.type(LONG + "\n")
    bench.desk.events = [
        event._replace(code=code) if event.code == KEYS["a"] else event
        for event in bench.desk.events
    ]
    assert bench.reported() in ([Unsupported], [LeftEarly])


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_a_reader_that_is_taken_away_is_lost_and_what_was_typed_is_dropped(
    bench: Bench, number: int
) -> None:
    """ENODEV too if the kernel takes the grab away (EVIOCREVOKE)."""
    bench.type(LONG[:9])
    assert bench.reader.take() is None
    bench.desk.fault = number
    lost = bench.reader.take()
    assert isinstance(lost, ReaderLost)
    assert lost.reason.startswith("keyboard at /dev/input/by-path/p: ")
    bench.desk.fault = 0
    assert isinstance(bench.opened(), ReaderBack)
    bench.desk.events = typed(LONG[9:] + "\n", bench.desk.now_ns)
    assert LONG not in bench.reported()


def test_another_model_in_its_place_is_refused_until_the_first_is_back(bench: Bench) -> None:
    bench.desk.plugged = ANOTHER
    bench.desk.fault = errno.ENODEV
    assert isinstance(bench.reader.take(), ReaderLost)
    bench.desk.fault = 0
    lost = bench.opened()
    assert isinstance(lost, ReaderLost)
    assert lost.reason == (
        "keyboard at /dev/input/by-path/p: another device, 1a86:dd01, is where 08ff:0009 was; plug"
        " that in again, or find out what this one types by `turnike check --readers` and restart"
        " the lane"
    )
    bench.desk.plugged = MODEL
    assert isinstance(bench.opened(), ReaderBack)
    bench.type(LONG + "\n")
    assert bench.reported() == [LONG]
    assert bench.desk.wanted[0] is None, "the first one may be of any model"
