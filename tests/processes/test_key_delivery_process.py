"""The city rotates the fingerprint key, and each step reaches a gate by itself.

The gate's courier and the receiver are processes.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice.home.config import load
from backoffice.signing.keys import current_fingerprint_key, next_fingerprint_key
from tests.processes.test_reports_process import World, run
from tests.support.machine.programs import WAIT_S
from validator.lists.held_keys import held_keys


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A city that has published a list, and a gate that was enrolled and given nothing but that."""
    made = World.founded(tmp_path)
    try:
        made.config.write_text(made.config.read_text().replace("[upload]", "poll_s = 1\n[upload]"))
        types(made, "publish")
        yield made
    finally:
        for process in made.running.values():
            process.close()


def types(world: World, *arguments: str) -> None:
    """A command in the city."""
    run("backoffice", *arguments, "--home", str(world.folder / "city"))


def said(world: World, *arguments: str) -> str:
    """The output of a command in the city."""
    command = [sys.executable, "-m", "backoffice", *arguments, "--home", str(world.folder / "city")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_rotated_key_reaches_the_gate_with_its_status_and_the_list_under_it_is_followed(
    world: World,
) -> None:
    home = load(world.folder / "city").home
    first = current_fingerprint_key(home)
    world.start("courier")
    courier = world.running["courier"]
    courier.event(
        "fingerprint key", key_id=first.id
    )  # a new gate needs no hand to carry the key there
    courier.event("courier", state="fresh", list_version=1)
    # A new gate may ask for the list before its first key is there: from here on it has one.
    before = len(courier.heard)

    types(world, "rotate", "fingerprint-key", "--start")
    coming = next_fingerprint_key(home)
    assert coming is not None
    assert f"next fingerprint key {coming}: " in said(
        world, "gates"
    )  # the gate may hold it already
    world.start("lane")  # news, so that the gate does not wait a minute before it sends its status
    courier.event("fingerprint key", key_id=coming)
    held = held_keys(world.folder / "keys")
    assert {each.hex() for each in held} == {first.id, coming}
    paths = list((world.folder / "keys").iterdir())
    assert {(path.name, path.stat().st_mode & 0o777) for path in paths} == {
        (f"{each}.key", 0o600) for each in (first.id, coming)
    }

    until_s = time.monotonic() + WAIT_S
    while f"next fingerprint key {coming}: every gate holds it" not in said(world, "gates"):
        assert time.monotonic() < until_s, said(world, "gates")
    (gate,) = json.loads(said(world, "gates", "--json"))
    assert set(gate["fingerprint_keys"]) == {first.id, coming}

    types(world, "rotate", "fingerprint-key", "--switch")
    types(world, "publish")
    courier.event("courier", state="fresh", list_version=2)
    assert "next fingerprint key" not in said(world, "gates")
    later = courier.heard[before:]
    assert not [line for line in later if line.get("state") == "no fingerprint key"]
    assert not [line for line in courier.heard if line.get("event") == "fingerprint key problem"]


def test_a_gate_that_was_away_for_the_whole_rotation_comes_back_by_itself(world: World) -> None:
    world.start("courier")
    world.running["courier"].event("courier", state="fresh", list_version=1)
    world.running.pop("courier").close()
    types(world, "rotate", "fingerprint-key", "--start")
    types(world, "rotate", "fingerprint-key", "--switch")
    types(world, "publish")
    now = current_fingerprint_key(load(world.folder / "city").home)
    world.start("courier")
    world.running["courier"].event("fingerprint key", key_id=now.id)
    world.running["courier"].event("courier", state="fresh", list_version=2)
