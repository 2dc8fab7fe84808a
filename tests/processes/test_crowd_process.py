"""`firmware-sim crowd` as a process with its devices: without a lane, and with a scripted one."""

import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from firmware_sim.cli import main
from tests.support.machine.programs import WAIT_S, Program, lane_config, program
from validator.lists.fingerprint_keys import format_key_file

CARDS = 40


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    """Forty good cards."""
    card = {"kind": "matched", "expect": "admitted", "report": False}
    path = tmp_path / "deck.jsonl"
    path.write_text(
        "".join(json.dumps({"uid": f"04{n:012x}", **card}) + "\n" for n in range(CARDS))
    )
    return path


def arguments(deck: Path, *more: str) -> list[str]:
    links = (
        "--reader-link",
        str(deck.with_name("reader")),
        "--board-link",
        str(deck.with_name("board")),
    )
    return ["crowd", "--deck", str(deck), *links, *more]


def is_over(crowd: Program, folder: Path) -> int:
    """The exit status, once the crowd and its devices have ended."""
    status = crowd.process.wait(WAIT_S)
    assert not os.path.lexists(folder / "reader")
    assert not os.path.lexists(folder / "board")
    return status


def test_no_lane_serves_the_gate(deck: Path) -> None:
    with program("firmware_sim", *arguments(deck, "--taps", "3", "--wait-limit-s", "0.2")) as crowd:
        assert crowd.event("ready") == {
            "event": "ready",
            "reader": str(deck.with_name("reader")),
            "board": str(deck.with_name("board")),
        }
        assert crowd.event("waiting")["for"] == "lane"
        assert crowd.event("summary")["taps"] == 0
        assert is_over(crowd, deck.parent) == 1
        assert crowd.process.stderr is not None
        assert (
            crowd.process.stderr.read() == b"firmware-sim: crowd: waited 0.2 s for the lane;"
            b" is a lane running on these devices?\n"
        )


@pytest.mark.parametrize("how", ["quit", "SIGTERM", "SIGINT"])
def test_at_the_end_it_stops_its_devices_and_prints_the_summary(deck: Path, how: str) -> None:
    with program("firmware_sim", *arguments(deck, "--forever")) as crowd:
        crowd.event("waiting")
        if how == "quit":
            crowd.say("quit")
        else:
            crowd.process.send_signal(signal.Signals[how])
        assert crowd.event("summary")["wrong"] == 0
        assert is_over(crowd, deck.parent) == 0


def test_verbs_go_to_the_devices_and_no_uid_comes_out(deck: Path) -> None:
    with program("firmware_sim", *arguments(deck, "--forever")) as crowd:
        crowd.event("waiting")
        crowd.say("reader unplug")
        assert crowd.event("waiting")["for"] == "reader"
        crowd.say("reader replug")
        crowd.event("waiting")
        crowd.say("board emergency on")
        assert crowd.event("waiting")["for"] == "emergency"
        crowd.say("board present 04a1b2c3d4e5f6")
        assert "no card reader" in crowd.event("error", device="board")["message"]
        crowd.say("reader present 04a1b2c3d4e5f6")
        crowd.say("reader present 04a1b2c3d4e5f6")
        assert "(uid)" in crowd.event("error", device="reader")["message"]
        crowd.say("board quit")
        crowd.event("error")
        for bad in ("next", "next 04a1b2c3d4e5f6 denied maybe", "next 04a1b2c3d4e5f6 gone true"):
            crowd.say(bad)
            assert crowd.event("error")["message"].startswith("next: ")
        assert "04a1b2c3d4e5f6" not in json.dumps(crowd.heard)
        assert crowd.process.poll() is None


def test_a_device_that_dies_ends_the_crowd(deck: Path) -> None:
    taken = deck.with_name("board")
    taken.write_text("something else")
    with program("firmware_sim", *arguments(deck, "--taps", "3")) as crowd:
        assert crowd.process.wait(WAIT_S) == 2
        assert crowd.process.stderr is not None
        assert (
            b"the simulated board did not start; the reason is above" in crowd.process.stderr.read()
        )


def test_taps_at_a_lane_that_admits_everybody(deck: Path) -> None:
    (deck.parent / "keys").mkdir()
    (deck.parent / "lists").mkdir()
    (deck.parent / "keys" / "fleet.key").write_bytes(format_key_file(bytes(range(32))))
    config = lane_config(deck.parent, missing="admit")
    with (
        program("validator", "lane", "--config", str(config)),
        program("firmware_sim", *arguments(deck, "--taps", "25", "--seed", "8")) as crowd,
    ):
        summary = crowd.event("summary", 60)
        assert (summary["taps"], summary["wrong"]) == (25, 0)
        assert summary["admitted"] + summary["retry"] == 25
        assert is_over(crowd, deck.parent) == 0
        assert not any("04000000" in json.dumps(line) for line in crowd.heard)


def test_an_asked_passenger_counts_as_one_of_the_taps(deck: Path) -> None:
    (deck.parent / "keys").mkdir()
    (deck.parent / "lists").mkdir()
    (deck.parent / "keys" / "fleet.key").write_bytes(format_key_file(bytes(range(32))))
    config = lane_config(
        deck.parent, missing="deny"
    )  # so that only the asked passenger expects this outcome
    with program("firmware_sim", *arguments(deck, "--taps", "3", "--seed", "8")) as crowd:
        crowd.event("ready")
        for outcome in ("denied", "either", "denied"):
            crowd.say(f"next 04a1b2c3d4e5f6 {outcome} false")
        crowd.event("waiting")
        with program("validator", "lane", "--config", str(config)):
            taps = [crowd.event("tap") for _ in range(3)]
            summary = crowd.event("summary")
        assert [(tap["kind"], tap["expect"], tap["right"]) for tap in taps] == [
            ("asked", "denied", True),
            ("asked", "either", True),
            ("asked", "denied", True),
        ]
        assert (summary["taps"], summary["denied"], summary["reports_expected"]) == (3, 3, 0)
        assert is_over(crowd, deck.parent) == 0


def test_of_a_kind_that_was_named_either_is_right(deck: Path) -> None:
    (deck.parent / "keys").mkdir()
    (deck.parent / "lists").mkdir()
    (deck.parent / "keys" / "fleet.key").write_bytes(format_key_file(bytes(range(32))))
    config = lane_config(deck.parent, missing="deny")  # against all that the deck expects
    with program("firmware_sim", *arguments(deck, "--taps", "3", "--seed", "8")) as crowd:
        crowd.event("ready")
        crowd.say("either matched")
        crowd.event("waiting")
        with program("validator", "lane", "--config", str(config)):
            taps = [crowd.event("tap", kind="matched")]
            summary = crowd.event("summary")
        assert (taps[0]["expect"], taps[0]["saw"], taps[0]["right"]) == (
            "any_verdict",
            "denied",
            True,
        )
        assert (summary["wrong"], is_over(crowd, deck.parent)) == (0, 0)


def test_held_from_a_tap_on_the_crowd_comes_only_when_it_is_let(deck: Path) -> None:
    for made in ("keys", "lists"):
        (deck.parent / made).mkdir()
    (deck.parent / "keys" / "fleet.key").write_bytes(format_key_file(bytes(range(32))))
    config = lane_config(deck.parent, missing="admit")
    with (
        program("validator", "lane", "--config", str(config)),
        program("firmware_sim", *arguments(deck, "--taps", "8", "--seed", "8")) as crowd,
    ):
        crowd.say("pause 3")
        crowd.wait_for(lambda line: line.get("for") == "resume")
        for verb, kind in (("step", "matched"), ("next 04a1b2c3d4e5f6 admitted false", "asked")):
            crowd.say(verb)
            crowd.event("tap", kind=kind)
            crowd.wait_for(lambda line: line.get("for") == "resume")
        assert [line["n"] for line in crowd.heard if line.get("event") == "tap"] == [1, 2, 3, 4]
        crowd.say("resume")
        assert (crowd.event("summary")["taps"], is_over(crowd, deck.parent)) == (8, 0)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "give either --taps N or --forever"),
        (["--taps", "1", "--forever"], "give either --taps N or --forever"),
        (["--taps", "0"], "Invalid value for '--taps'"),
        (["--forever", "--pace-ms", "-1"], "Invalid value for '--pace-ms'"),
    ],
)
def test_bad_arguments_get_one_line_and_exit_2(deck: Path, more: list[str], says: str) -> None:
    result = CliRunner().invoke(main, arguments(deck, *more))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert says in result.stderr


def test_a_bad_deck_gets_one_line_and_exit_2(deck: Path) -> None:
    deck.write_text("{}\n")
    result = CliRunner().invoke(main, arguments(deck, "--taps", "1"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"{deck}:1: " in result.stderr
