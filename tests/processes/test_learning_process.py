"""Learning a card through real processes: command, receiver, courier, lane, simulated reader."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.processes.learning_rig import NUMBER, OTHER, UID, Gate, gate
from tests.support.machine.programs import WAIT_S

# Of each card. A reader has 0.1 s for a number, so a busy machine may cost it; not each time.
SHOWINGS = 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("learning")) as made:
        yield made


@pytest.fixture
def city(whole: Gate) -> Iterator[Gate]:
    """The one city, whose gate has no card on its reader when the test has ended."""
    yield whole
    whole.take_away()


def learn_here(city: Gate) -> "subprocess.Popen[str]":
    """Start the command at the gate itself; return once the lane waits for a card."""
    command = subprocess.Popen(
        [sys.executable, "-m", "validator", "learn", "--config", str(city.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    city.running["lane"].event("learning", on=True, asked="here")
    return command


def uid_in(out: str) -> str:
    """The UID that a command printed, alone or with its printed number."""
    uid, *more = out.splitlines()
    assert more in ([], [f"printed number {NUMBER}"])
    return uid.removeprefix("UID ")


def ended(command: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = command.communicate(timeout=WAIT_S)
    return command.returncode, out, err


def until_asked_for_the_card(command: "subprocess.Popen[str]") -> None:
    """Read what the command prints until it asks for the card, as the operator does."""
    assert command.stderr is not None
    for line in command.stderr:
        if "lay the card on the reader now" in line:
            return
    raise AssertionError("the command ended and did not ask for the card")


def test_the_next_refused_card_is_on_the_operators_screen_and_nowhere_else(city: Gate) -> None:
    lane = city.running["lane"]
    command = city.learn()
    city.hurry()
    on = lane.event("learning", on=True)
    until_asked_for_the_card(command)
    city.present(UID)
    lane.event("tap", outcome="denied")
    lane.event("learning", on=False, shown=True)
    code, out, err = ended(command)

    assert (code, uid_in(out)) == (0, UID), err
    assert UID not in err
    assert (on["asked"], on["wait_s"]) == ("city", 60)
    assert city.places_of(UID, NUMBER) == []
    assert "Ayşe: test, lane 1: card shown" in city.said("learn", "--log")

    # One card: the next one is decided and shown to nobody.
    city.take_away()
    city.present(OTHER)
    lane.event("tap", outcome="denied")
    told = [line["on"] for line in lane.catch_up() if line.get("event") == "learning"]
    assert told == [True, False]
    assert city.places_of(OTHER) == []


def test_without_a_card_the_order_ends_by_itself(city: Gate) -> None:
    command = city.learn("--for", "1s")
    city.hurry()
    city.running["lane"].event("learning", on=False, shown=False)
    code, out, err = ended(command)

    assert (code, out) == (1, "")
    assert "no card came in time" in err
    assert city.said("learn", "--log").splitlines()[-2].endswith("no card came")


def test_one_operator_at_a_time(city: Gate) -> None:
    first = city.learn()
    command = [sys.executable, "-m", "backoffice", "learn", "test", "--home", str(city.home)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "somebody else waits for a card of this gate" in second.stderr
    # It withdraws its order when it is stopped, or its terminal hangs up: the gate is free again.
    first.send_signal(signal.SIGHUP)
    code, out, _err = ended(first)
    assert (code, out) == (130, "")
    assert city.said("learn", "--log").splitlines()[-3].endswith("stopped")


def test_learning_at_the_gate_itself_needs_no_city(city: Gate) -> None:
    command = learn_here(city)
    city.present(UID)
    city.running["lane"].event("tap", outcome="denied")
    code, out, err = ended(command)

    assert (code, uid_in(out)) == (0, UID), err
    assert city.places_of(UID, NUMBER) == []


def test_the_printed_number_is_shown_with_the_uid(city: Gate) -> None:
    for uid in (UID, OTHER) * SHOWINGS:
        command = learn_here(city)
        city.present(uid)
        city.running["lane"].event("tap", outcome="denied")
        code, out, err = ended(command)
        city.take_away()
        assert (code, uid_in(out)) == (0, uid), err
        if NUMBER in out:
            return
    raise AssertionError("no showing brought the printed number")


def test_a_lane_killed_meanwhile_ends_the_order_and_the_card_is_shown_to_nobody(
    city: Gate,
) -> None:
    command = city.learn()
    city.hurry()
    city.running["lane"].event("learning", on=True)
    until_asked_for_the_card(command)
    city.kill("lane")
    lane = city.lane()
    city.present(UID)
    lane.event("tap", outcome="denied")
    code, out, err = ended(command)

    assert (code, out) == (1, "")
    assert "the lane was restarted" in err
    assert not any(line.get("event") == "learning" for line in lane.catch_up())
