"""A PC/SC reader that is unplugged a hundred times, each time in the middle of something."""

import random

import pytest

from tests.contracts.readers.pcsc_rig import PcscRig
from tests.contracts.readers.rigs import Listener, listening, threads_and_descriptors
from validator.domain.events import CardSeen, ReaderLost

PLUGS = 100
TRANSFERS_MAX = 12  # of a card's first read and the reads after it, in a second
BACK_S = 20.0


@pytest.mark.parametrize("rig", ["pcsc"], indirect=True)
def test_a_reader_that_is_unplugged_at_any_transfer_comes_back_and_leaves_nothing_behind(
    rig: PcscRig,
) -> None:
    rng = random.Random(7)
    before = threads_and_descriptors()
    with listening(rig.reader()) as listener:
        listener.back()
        for number in range(PLUGS):
            uid = f"04{number:012x}"
            rig.fault(f"unplug={rng.randrange(1, TRANSFERS_MAX)}")
            rig.present(uid)
            while rig.status()["plugged"]:
                listener.events(0.01)
            rig.fault("none")
            rig.replug()
            assert read_in_spite_of_pcscd(rig, listener) == uid
            rig.remove()
    assert threads_and_descriptors() == before


def read_in_spite_of_pcscd(rig: PcscRig, listener: Listener) -> str:
    """Return the UID of the next card; restart pcscd as soon as the reader asks for it.

    pcscd may have got stuck at the unplug (docs/decisions/0028).
    """
    while (event := listener.armed_event(BACK_S)) is not None:
        if isinstance(event, ReaderLost) and "restart pcscd" in event.reason:
            rig.pcscd.kill()
            rig.pcscd.start()
        if isinstance(event, CardSeen):
            return event.card.uid.raw.hex()
    raise AssertionError(f"no card within {BACK_S} s")
