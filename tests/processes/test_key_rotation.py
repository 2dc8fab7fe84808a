"""The fingerprint key is replaced while a gate serves: no restart, and no tap without a list."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes.courier_rig import CourierGate, courier_town, state
from tests.processes.gate_rig import Gate
from tests.support.city.list_making import KEY, OTHER_KEY
from tests.support.city.town import Town, uid, wire
from tests.support.machine.programs import Line, Program
from validator.check import examine
from validator.config import load
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.segment import NO_END

KNOWN, LATER, STRANGER = uid(1), uid(2), uid(3)
OLD_ID, NEW_ID = key_id(KEY).hex(), key_id(OTHER_KEY).hex()


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Town]:
    """A city that has suspended one card, under the old key."""
    with courier_town(tmp_path) as made:
        made.publish(KNOWN)
        yield made


class RotatedGate(CourierGate):
    """A gate with devices, a courier and a lane."""

    def __init__(self, folder: Path, of: Town, devices: Gate) -> None:
        super().__init__(folder, of)
        self.devices = devices
        for name in ("board", "reader"):
            (folder / name).symlink_to(devices.folder / name)

    def hold(self, key: bytes) -> None:
        """Put a key beside those that are held, as a technician with a shell there does."""
        (self.folder / "keys" / f"{key_id(key).hex()}.key").write_bytes(format_key_file(key))

    def tap(self, lane: Program, card: bytes) -> tuple[str, str, int]:
        """What becomes of a card: outcome, state of the list, its version."""
        line: Line = self.devices.tap(lane, card.hex())
        if line["outcome"] == "admitted":
            lane.event("passage", tap=line["tap"])
        return line["outcome"], line["list_state"], line["list_version"]

    def check(self, subject: str) -> list[tuple[str, str]]:
        """What `turnike check` prints."""
        findings = examine(load(self.configured()))
        return [(finding.mark, finding.text) for finding in findings if finding.subject == subject]


@pytest.fixture
def processes(
    tmp_path: Path, city: Town, devices: Gate
) -> Iterator[tuple[RotatedGate, Program, Program]]:
    """Such a gate at the first list, with its courier and its lane."""
    made = RotatedGate(tmp_path / "gate", city, devices)
    with ExitStack() as stack:
        courier = made.courier()
        stack.callback(courier.close)
        state(courier, "fresh", list_version=1)
        devices.board.catch_up()  # what it showed for the one before is not ours
        lane = made.lane()
        stack.callback(lane.close)
        devices.board.event("show", outcome="ready", by="lane")
        yield made, courier, lane


def switch(city: Town) -> None:
    """The publisher's switch: withdraw older pieces, offer a snapshot under the new key."""
    city.key = OTHER_KEY
    city.offered.clear()
    city.version += 1
    cards = dict.fromkeys([KNOWN, LATER], NO_END)
    city.offer(wire(cards, 0, city.version, key=OTHER_KEY), 0, city.version)
    city.sign(city.manifest())


def test_a_gate_that_was_given_the_new_key_takes_its_list_without_a_restart(
    city: Town, processes: tuple[RotatedGate, Program, Program]
) -> None:
    gate, courier, lane = processes
    gate.hold(OTHER_KEY)
    city.publish(uid(9))  # lists go on under the old key meanwhile
    state(courier, "fresh", list_version=2)
    lane.event("list", list_version=2)
    assert gate.tap(lane, KNOWN) == ("denied", "fresh", 2)
    assert gate.tap(lane, LATER) == ("admitted", "fresh", 2)
    ((mark, keys),) = gate.check("keys")
    assert (mark, f"{OLD_ID} (in use)" in keys, f"{NEW_ID} (in use)" in keys) == ("ok", True, False)

    switch(city)
    state(courier, "fresh", list_version=3)
    lane.event("list", list_version=3)
    assert gate.tap(lane, KNOWN) == ("denied", "fresh", 3)
    assert gate.tap(lane, LATER) == ("denied", "fresh", 3)
    assert gate.tap(lane, STRANGER) == ("admitted", "fresh", 3)

    (gate.folder / "keys" / "city.key").unlink()  # the old one, when no gate is left behind
    city.publish(STRANGER)
    state(courier, "fresh", list_version=4)
    lane.event("list", list_version=4)
    assert gate.tap(lane, STRANGER) == ("denied", "fresh", 4)
    assert gate.tap(lane, KNOWN) == ("denied", "fresh", 4)
    assert gate.check("keys") == [("ok", f"1 fingerprint key(s): {NEW_ID} (in use)")]
    assert not [line for line in lane.heard if line["event"] == "list problem"]
    assert not [line for line in courier.heard if line.get("state") == "no fingerprint key"]


def test_a_gate_without_the_new_key_keeps_the_last_list_and_reports_it_until_it_gets_the_key(
    city: Town, processes: tuple[RotatedGate, Program, Program]
) -> None:
    gate, courier, lane = processes
    switch(city)
    line = state(courier, "no fingerprint key", list_version=1, accepted_version=2)
    wanted = (
        f"list 2 is made under fingerprint key {NEW_ID}, which this gate does not hold; "
        "put it into list.keys"
    )
    assert line["problem"] == wanted
    left = gate.status()
    assert (left["state"], left["problem"], left["list_version"]) == (
        "no fingerprint key",
        wanted,
        1,
    )
    ((mark, told),) = gate.check("courier")
    assert (mark, wanted in told, told.endswith("the gate goes on by version 1")) == (
        "note",
        True,
        True,
    )
    ((mark, told),) = gate.check("accepted")
    assert (mark, f"under fingerprint key {NEW_ID}, which this gate does not hold" in told) == (
        "note",
        True,
    )
    assert gate.tap(lane, KNOWN) == ("denied", "fresh", 1)
    assert gate.tap(lane, LATER) == ("admitted", "fresh", 1)

    spoilt = gate.folder / "keys" / f"{NEW_ID}.key"
    spoilt.write_text("not a key\n")
    assert gate.check("keys") == [
        ("ok", f"1 fingerprint key(s): {OLD_ID} (in use)"),
        ("note", f"{spoilt}: line 1 of the key file is not 64 hex digits"),
    ]
    assert gate.tap(lane, KNOWN) == ("denied", "fresh", 1)

    gate.hold(OTHER_KEY)
    state(courier, "fresh", list_version=2)
    lane.event("list", list_version=2)
    assert gate.tap(lane, LATER) == ("denied", "fresh", 2)
    assert gate.check("courier")[0][0] == "ok"
    assert gate.check("accepted")[0][0] == "ok"
