"""Attacks with stolen online keys: the gate refuses them, or is healed by replacing the keys."""

import shutil

from backoffice.signing import roles
from tests.simulation.lists.attacked_city import (
    LATER,
    NEVER,
    SUSPENDED,
    answer_with,
    assert_refuses,
    assert_serves,
    thief,
)
from tests.support.city.town import Town
from tests.support.gate.gate_courier import Gate
from tests.support.web.web_server import Fault
from validator.errors import SourceState
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE


def test_a_revoked_key_that_goes_on_signing(city: Town, gate: Gate) -> None:
    stolen = thief(city)
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    assert gate.poll().state is SourceState.FRESH
    stolen.publish(NEVER, lifted=(SUSPENDED,))
    stolen.sign(stolen.manifest())
    shutil.copy(city.published / "metadata" / "2.root.json", stolen.published / "metadata")
    city.server.folder = stolen.published
    assert_refuses(gate, SourceState.REFUSED, "timestamp")


def test_a_revoked_key_shown_to_a_gate_that_saw_the_new_root_and_lost_its_power(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    answer_with(city, "metadata", Fault.BROKEN, name="timestamp.json")
    assert_refuses(gate, SourceState.BUSY)
    stolen.publish(NEVER, lifted=(SUSPENDED,))
    city.server.faults.clear()
    city.server.folder = stolen.published
    gate.power_cut()
    assert_refuses(gate, SourceState.REFUSED)


def test_a_fast_forward_with_every_stolen_online_key_is_healed_by_replacing_them(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    stolen.publish(NEVER, lifted=(SUSPENDED,), version=10**12)
    city.server.folder = stolen.published
    assert gate.poll().list_version == 10**12
    city.server.folder = city.published
    assert gate.poll().state is SourceState.REPLAYED
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    city.publish(LATER)
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
    assert gate.holds("suspended", LATER)
    gate.power_cut()
    assert_serves(gate, 3)


def test_a_gate_that_lost_its_floor_while_it_held_a_thiefs_list_is_healed_by_the_runbook(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    stolen.publish(NEVER, lifted=(SUSPENDED,), version=10**12)
    city.server.folder = stolen.published
    assert gate.poll().list_version == 10**12
    for name in (ACCEPTED_FILE, ACCEPTED_COPY_FILE):
        (gate.lists / name).unlink()
    gate.start()
    city.server.folder = city.published
    city.city.rotate("timestamp", "snapshot", "targets", now_unix_s=city.now_unix_s)
    city.publish(LATER)
    status = gate.poll()
    assert status.problem == "list 3 was offered, 1000000000000 is held here"
    assert status.state is SourceState.REPLAYED

    def deletes_lists() -> None:
        """docs/runbook.md, "Fast-forward": the courier is stopped meanwhile, the lane is not."""
        for folder in (gate.lists, gate.recent):
            for manifest in folder.glob("*.manifest.json"):
                manifest.unlink()

    deletes_lists()
    lane = gate.version
    gate.start_courier()
    assert gate.version == lane, "it decides by what it has until the new list is there"
    city.server.folder = stolen.published
    assert gate.poll().state is not SourceState.FRESH, (
        "root.json is there: the thief's keys are void"
    )
    city.server.folder = city.published
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
    gate.power_cut()
    assert_serves(gate, 3)


def test_a_fast_forward_of_one_stolen_key_is_healed_by_replacing_that_one(
    city: Town, gate: Gate
) -> None:
    stolen = thief(city)
    for _ in range(50):
        stolen.now_unix_s += 3 * 3_600
        roles.sign_timestamp(stolen.city.home, stolen.now_unix_s)
    gate.clock.unix_s = stolen.now_unix_s
    city.server.folder = stolen.published
    gate.poll()
    city.server.folder = city.published
    city.now_unix_s = stolen.now_unix_s
    city.publish(LATER)
    assert gate.poll().state is SourceState.REPLAYED
    city.city.rotate("timestamp", now_unix_s=city.now_unix_s)
    assert gate.poll().state is SourceState.FRESH
    assert_serves(gate, 3)
