"""What holds of every reader that a person plugs into a gate, on the real kernel."""

from collections.abc import Iterator

import pytest

from tests.machine.rig.figures import measured
from tests.machine.rig.gates import SERIAL_BOARD, Gate, holdings
from tests.machine.rig.guest import Guest
from tests.machine.rig.kernel import Kernel
from tests.machine.rig.readers import KINDS, Kind, Reader

CARDS = 5
WARM = 10  # replugs until all is loaded


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a reader's kind."""
    return str(request.param)


@pytest.fixture
def kind(name: str) -> Kind:
    """The reader's kind."""
    return KINDS[name]


@pytest.fixture
def reader(machine: Guest, kernel: Kernel, kind: Kind) -> Iterator[Reader]:
    """A simulated reader in the guest."""
    with kind.in_guest(machine, kernel) as device:
        yield device


def test_cards_are_read(machine: Guest, name: str, kind: Kind, reader: Reader) -> None:
    gate = Gate(machine, kind.about + SERIAL_BOARD)
    with gate.lane() as lane:
        for _ in range(CARDS):
            uid = gate.card()
            with measured(f"{name}: card laid, tap decided"):
                reader.say(f"present {uid}")
                lane.event("tap", outcome="admitted")
            reader.say("remove")
            reader.event("removed")


def test_a_replugged_reader_serves_again_and_costs_no_descriptor_and_no_thread(
    machine: Guest, name: str, kind: Kind, reader: Reader
) -> None:
    """Memory is test_soak.py's: here Python's garbage collector has not run yet.

    No card lies on the reader, nor leaves it: with one, pcscd may get stuck (decision 0028).
    """
    gate = Gate(machine, kind.about + SERIAL_BOARD)
    with gate.lane() as lane:
        for number in range(kind.replugs):
            if number == WARM:
                before = holdings(machine, lane.pid)
            with measured(f"{name}: unplugged, lane knows"):
                reader.say("unplug")
                lane.event("reader", state="lost")
            with measured(f"{name}: plugged in, reader ready"):
                reader.say("replug")
                lane.event("reader", state="ready")
        after = holdings(machine, lane.pid)
        assert after.descriptors == before.descriptors
        assert after.threads <= before.threads + 1, "one that opened the reader may be ending"
        gate.admits(lane, reader)
