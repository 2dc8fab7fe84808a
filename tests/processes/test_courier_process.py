"""The courier as a process against a real web server, with the faults of networks and servers."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.processes.courier_rig import CourierGate, courier_town, state
from tests.support.city.town import Town, uid
from tests.support.gate.console_lane import FakeLane, fake_lane
from tests.support.machine.programs import Program, program
from tests.support.web.web_server import Authority, Fault, WebServer

CARD, OTHER = uid(1), uid(2)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A city that has suspended one card."""
    with courier_town(tmp_path) as made:
        made.publish(CARD)
        yield made


@pytest.fixture
def gate(town: Town, tmp_path: Path) -> CourierGate:
    """A gate that asks each second."""
    return CourierGate(tmp_path / "gate", town)


@pytest.fixture
def running(gate: CourierGate) -> Iterator[Program]:
    """Its courier, which has brought the first list."""
    courier = gate.courier()
    try:
        state(courier, "fresh", list_version=1)
        yield courier
    finally:
        courier.close()


def test_a_change_is_brought_within_the_poll_interval(
    town: Town, gate: CourierGate, running: Program
) -> None:
    town.publish(OTHER)
    line = state(running, "fresh", list_version=2)
    assert line["accepted_version"] == 2
    assert gate.status()["list_version"] == 2
    assert [path.name for path in gate.folder.joinpath("recent").glob("*.manifest.json")] == [
        "1.2.manifest.json"
    ]


def test_the_lane_receives_each_list_that_was_installed_at_once(
    town: Town, gate: CourierGate
) -> None:
    def installed(lane: FakeLane) -> int:
        return lane.asked.count("list_changed")

    with fake_lane(gate.folder / "lane.sock") as lane, closing(gate.courier()) as courier:
        lane.wait_for(lambda lane: installed(lane) == 1)
        state(courier, "fresh", list_version=1)
        town.publish(OTHER)
        lane.wait_for(lambda lane: installed(lane) == 2)
        state(courier, "fresh", list_version=2)
        assert installed(lane) == 2, "a poll that installs nothing sends the lane nothing"


def test_sighup_asks_at_once(town: Town, tmp_path: Path) -> None:
    gate = CourierGate(tmp_path / "slow", town, poll_s=3_600)
    courier = gate.courier()
    try:
        state(courier, "fresh", list_version=1)
        town.publish(OTHER)
        courier.process.send_signal(signal.SIGHUP)
        state(courier, "fresh", list_version=2)
    finally:
        courier.close()


def test_sigterm_ends_it_and_the_next_one_goes_on(
    town: Town, gate: CourierGate, running: Program
) -> None:
    assert running.end() == 0
    town.publish(OTHER)
    courier = gate.courier()
    try:
        state(courier, "unreachable", list_version=1)  # not asked yet: but the list is there
        state(courier, "fresh", list_version=2)
    finally:
        courier.close()


def test_a_second_courier_on_the_same_lists_is_refused(gate: CourierGate, running: Program) -> None:
    second = gate.courier()
    try:
        assert second.process.wait(90) == 2
        assert second.process.stderr is not None
        assert b"another courier writes here" in second.process.stderr.read()
        assert running.process.poll() is None
    finally:
        second.close()


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Fault.CAPTIVE_PORTAL, "not ours"),
        (Fault.HTML_AS_FILE, "not ours"),
        (Fault.REDIRECT, "not ours"),
        (Fault.LOGIN_REQUIRED, "not ours"),
        (Fault.GARBAGE, "not ours"),
        (Fault.BROKEN, "busy"),
        (Fault.RESET, "unreachable"),
    ],
)
def test_a_network_that_answers_something_else_has_a_state_and_heals(
    town: Town, running: Program, fault: Fault, wanted: str
) -> None:
    town.server.faults["*"] = fault
    line = state(running, wanted, list_version=1)
    assert "127.0.0.1" in line["problem"]
    town.server.faults.clear()
    town.publish(OTHER)
    state(running, "fresh", list_version=2)


def test_no_network(town: Town, gate: CourierGate, running: Program) -> None:
    port = town.server.port
    town.server.__exit__(None, None, None)
    line = state(running, "unreachable", list_version=1)
    assert f"127.0.0.1:{port}" in line["problem"]
    assert gate.status()["state"] == "unreachable"
    with socket.create_server(("127.0.0.1", port), reuse_port=False):
        pass  # the port is free: no server answers there


def test_a_flapping_network_is_followed_without_a_word_too_many(
    town: Town, running: Program
) -> None:
    for version in range(2, 6):
        town.server.faults["*"] = Fault.RESET
        town.server.drop_connections()
        state(running, "unreachable")
        town.server.faults.clear()
        town.publish(uid(version))
        state(running, "fresh", list_version=version)
    told = [line for line in running.heard if line.get("event") == "courier"]
    assert len(told) <= 2 + 4 * 3  # at most: broken, back, brought


def test_a_dead_server_is_asked_once_a_poll_and_costs_no_processor(
    town: Town, gate: CourierGate, running: Program
) -> None:
    town.server.accepting = Fault.RESET
    town.server.drop_connections()
    first = state(running, "unreachable")
    polled_unix_s, used_s = first["polled_unix_s"], _cpu_s(running)
    while gate.status()["polled_unix_s"] < polled_unix_s + 6:
        os.sched_yield()
        signal.sigtimedwait([], 0.1)  # the file is read ten times a second
    assert _cpu_s(running) - used_s < 1.0  # of six seconds; a busy loop would take all of them


def test_a_certificate_that_no_trusted_authority_has_signed(
    town: Town, gate: CourierGate, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    for context in (theirs.context(), ours.context(names=("elsewhere.example",))):
        with WebServer(town.published, tls=context) as server:
            courier = gate.courier(server.url, f'ca_file = "{ours.file}"')
            try:
                assert "certificate" in state(courier, "tls refused", list_version=0)["problem"]
            finally:
                courier.close()
    with WebServer(town.published, tls=ours.context()) as server:
        courier = gate.courier(server.url, f'ca_file = "{ours.file}"')
        try:
            state(courier, "fresh", list_version=1)
        finally:
            courier.close()


def test_a_proxy_is_used_only_as_configured_and_its_refusal_is_reported(
    town: Town, gate: CourierGate, tmp_path: Path
) -> None:
    ours = Authority(tmp_path, "ours")
    with ExitStack() as stack:
        proxy = stack.enter_context(
            WebServer(town.published, tunnel_tls=ours.context(names=("lists.example",)))
        )
        more = f'ca_file = "{ours.file}"\nproxy = "http://127.0.0.1:{proxy.port}"'
        courier = gate.courier("https://lists.example/", more)
        stack.callback(courier.close)
        state(courier, "fresh", list_version=1)
        proxy.faults["*"] = Fault.PROXY_LOGIN
        proxy.drop_connections()
        state(courier, "proxy refused", list_version=1)


def test_the_environments_proxy_is_never_asked(gate: CourierGate) -> None:
    environment = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    with program(
        "validator", "courier", "--config", str(gate.configured()), env=environment
    ) as courier:
        state(courier, "fresh", list_version=1)


@pytest.mark.parametrize(
    ("more", "spoil", "line"),
    [
        ("", "root", "no root metadata"),
        ("", "no root", "put the city's root.json there"),
        ('ca_file = "/dev/null"', "", "ca"),
    ],
)
def test_what_the_operator_must_fix_first_is_one_line(
    gate: CourierGate, more: str, spoil: str, line: str
) -> None:
    config = gate.configured(more=more)
    root = gate.folder / "root.json"
    if spoil == "root":
        root.write_bytes(b"{}")
    elif spoil == "no root":
        root.unlink()
    with program("validator", "courier", "--config", str(config)) as courier:
        assert courier.process.wait(90) == 2
        assert courier.process.stderr is not None
        text = courier.process.stderr.read().decode()
    assert line in text
    assert len(text.splitlines()) == 1


def _cpu_s(of: Program) -> float:
    fields = Path(f"/proc/{of.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
