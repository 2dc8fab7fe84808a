"""The simulated reader's verbs: their effects, the order of events, and what is refused."""

from random import Random

import pytest

from firmware_sim.outcomes import Event, RefusedError, Send
from firmware_sim.pn532.chip import Chip
from firmware_sim.pn532.device import Pn532
from firmware_sim.pn532.radio import REAL

WAKE_AND_LIST = bytes(10) + bytes.fromhex("0000ff03fdd4140117000000ff04fcd44a0200e000")
UID = "04a1b2c3d4e5f6"


@pytest.fixture
def device() -> Pn532:
    random = Random(1)
    return Pn532(Chip(random), random)


def told(device: Pn532) -> list[tuple[str, int]]:
    return [(out.name, out.at_ns) for out in device.advance(9) if isinstance(out, Event)]


def obey(device: Pn532, verb: str) -> None:
    device.obey(verb.split(), 7)


def test_a_card_s_event_has_the_time_of_its_verb_and_precedes_the_answer(
    device: Pn532,
) -> None:
    device.receive(WAKE_AND_LIST, 1)
    device.advance(1)
    obey(device, f"present {UID}")
    outcomes = device.advance(7)
    assert outcomes[0] == Event("present", 7, {"uid": UID, "shown": UID, "kind": "desfire"})
    assert outcomes[1] == Event("selected", 7, {"uid": UID, "shown": UID, "target": 1})
    assert isinstance(outcomes[2], Send)


def test_a_clash_is_one_moment(device: Pn532) -> None:
    device.receive(WAKE_AND_LIST, 1)
    device.advance(1)
    obey(device, f"clash {UID} 11:22:33:44")
    events = told(device)
    assert [name for name, _ in events] == ["clash", "selected", "selected"]


def test_remove_takes_one_card_or_all(device: Pn532) -> None:
    obey(device, f"clash {UID} 11223344")
    obey(device, f"remove {UID}")
    obey(device, "present 55667788")
    obey(device, "remove")
    assert [name for name, _ in told(device)].count("removed") == 3
    assert device.status()["cards"] == []


def test_faults_are_set_and_cleared_aloud(device: Pn532) -> None:
    obey(device, "fault dropped=2")
    assert device.status()["faults"] == ["dropped"]
    obey(device, "fault none")
    assert device.status()["faults"] == []
    assert told(device) == [("fault", 7), ("fault", 7)]


def test_a_fault_can_bring_a_second_card_or_make_a_card_leave(device: Pn532) -> None:
    obey(device, "fault two-cards=1")
    obey(device, "fault leaves=before-reply/1")
    obey(device, f"present {UID}")
    assert len(device.chip.field.present) == 2
    device.receive(WAKE_AND_LIST, 8)
    assert "removed" in [name for name, _ in told(device)]


def test_stuck_baud_puts_the_chip_where_a_killed_program_left_it(device: Pn532) -> None:
    obey(device, "fault stuck-baud=0")
    assert device.baud == 921600
    obey(device, "fault none")
    assert device.baud == 921600


@pytest.mark.parametrize(
    "verb",
    [
        "dance",
        "present",
        "present xyz",
        "present 0102",
        f"present {UID} twice",
        f"present {UID} number=12",
        f"present {UID} leaves=never",
        f"present {UID} number=1234567890123456 number=1234567890123456",
        "present 11223344",
        f"clash {UID} {UID}",
        f"clash {UID} 11223344",
        f"remove {UID}",
        "remove 1 2",
        "fault",
        "fault nonsense",
        "fault delayed",
        "brownout now",
    ],
)
def test_a_verb_that_is_not_understood_is_refused_and_changes_nothing(
    device: Pn532, verb: str
) -> None:
    obey(device, "present 11223344")
    device.advance(7)
    before = dict(device.status())
    with pytest.raises(RefusedError, match=verb.split(maxsplit=1)[0]):
        obey(device, verb)
    assert device.status() == before
    assert device.advance(7) == []


def test_nine_cards_do_not_fit_on_a_reader(device: Pn532) -> None:
    for at in range(7):
        obey(device, f"present 1122330{at}")
    with pytest.raises(RefusedError, match="room"):
        obey(device, "clash 11223307 11223308")
    obey(device, "present 11223307")
    with pytest.raises(RefusedError, match="8 cards"):
        obey(device, "present 11223308")


@pytest.mark.parametrize(
    "verbs", [[f"clash {UID} 11223344"], ["fault two-cards=1", f"present {UID}"]]
)
def test_the_chip_cannot_poll_between_two_cards_of_one_moment(verbs: list[str]) -> None:
    random = Random(1)
    device = Pn532(Chip(random, REAL), random)
    device.receive(WAKE_AND_LIST[:-11], 0)
    device.advance(10**8)
    device.receive(WAKE_AND_LIST[-11:], 10**8)
    later_ns = (
        10**8 + 10**7
    )  # the first poll is overdue when the verbs come: it finds none of the cards
    for verb in verbs:
        device.obey(verb.split(), later_ns)
    outcomes = [*device.advance(later_ns), *device.advance(10**9)]
    assert [out.name for out in outcomes if isinstance(out, Event)].count("selected") == 2
