"""A PC/SC reader that is unplugged a hundred times, each time in the middle of something."""

import random

import pytest

from tests.contracts.readers.pcsc_rig import PcscRig
from tests.contracts.readers.rigs import listening, threads_and_descriptors

PLUGS = 100
READ_S = 60.0  # also if pcscd has to be restarted meanwhile
TRANSFERS_MAX = 12  # of a card's first read and the reads after it, in a second


@pytest.mark.parametrize("rig", ["pcsc"], indirect=True)
def test_a_reader_that_is_unplugged_at_any_transfer_comes_back_and_leaves_nothing_behind(
    rig: PcscRig,
) -> None:
    rng = random.Random(7)
    before = threads_and_descriptors()
    with listening(rig.reader(), rig.heed) as listener:
        listener.back()
        for number in range(PLUGS):
            uid = f"04{number:012x}"
            rig.fault(f"unplug={rng.randrange(1, TRANSFERS_MAX)}")
            rig.present(uid)
            while rig.status()["plugged"]:
                listener.events(0.01)
            rig.fault("none")
            rig.replug()
            assert listener.uid(READ_S) == uid
            rig.simulator.say(f"remove {uid}", "removed")
    assert threads_and_descriptors() == before
