"""The rig of PC/SC readers: a simulated CCID reader, and a pcscd of the USB rig's own."""

import time
from pathlib import Path

from tests.contracts.readers.card_rig import CardRig
from tests.contracts.simulator import Simulator
from tests.support.devices.pcscd import Pcscd
from validator.domain.events import CardSeen, LeftEarly, ReaderEvent
from validator.lane.ports import Reader
from validator.lane.readers.pcsc.codes import PcscError, State
from validator.lane.readers.pcsc.library import PcscLite
from validator.lane.readers.pcsc.reader import PcscReader

PASSING = (
    "delayed=40/3",
    "delayed=400/1",
    "mute=1",
    "empty=1",
    "failed=1",
    "babble=1",
)
# A slot status that goes wrong takes the reader away until its next event: pcscd asks for no other.
# So does an event that is lost, for the card that it was about.
LASTING = (
    "dropped",
    "dropped-event",
    "wrong-answer",
    "truncated",
    "noise",
    "delayed=30",
    "delayed=400",
    "hardware-error",
    "mute",
    "odd-atr",
    "empty",
    "failed",
    "babble",
    "silent",
    "held",
)
# The reader searches its field by itself, and has nothing to report before it has chosen a card.
STAGES: dict[str, type[ReaderEvent] | None] = {
    "before-anticollision": None,
    "in-anticollision": None,
    "before-select": None,
    "before-rats": None,
    "before-reply": LeftEarly,
    "before-release": CardSeen,
}
EMPTY_S = 1.0
RECOVERS_S = 20.0  # libccid waits up to 5 s for an answer that does not come

LOCKS = Path("/run/pcscd")  # the rig's own, and empty but for pcscd's socket
NAME = "ACS ACR122U PICC Interface"


def pcsc_reader(pattern: str) -> Reader:
    """Return a new reader on the slot of that pattern."""
    return PcscReader(PcscLite(), pattern, LOCKS, reads_numbers=True)


class PcscRig(CardRig):
    """`firmware-sim ccid`, pcscd and PcscReader."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = NAME
        self.simulator = Simulator("ccid", *options)
        self.pcscd = Pcscd(folder)

    def reader(self) -> Reader:
        return pcsc_reader(self.path)

    def remove(self) -> None:
        if self.status()["cards"]:
            super().remove()
            self._wait_for_pcscd()

    def _wait_for_pcscd(self) -> None:
        """Wait until pcscd knows that the slot is empty.

        No hand is so fast as to lay a card again before. A fault may keep it from pcscd: then the
        wait ends at its limit.
        """
        try:
            context = PcscLite().context()
        except PcscError:  # the fault is that pcscd does not answer
            return
        try:
            end_s = time.monotonic() + EMPTY_S
            slots, known = context.slots(), 0
            while slots and not known & State.EMPTY and time.monotonic() < end_s:
                found = context.wait([(slots[0], known)], int(EMPTY_S * 1_000))
                known = found[0] & ~State.CHANGED if found else State.EMPTY
        except PcscError:
            pass  # the slot is gone, and the card with it
        finally:
            context.release()

    def swap(self, uid: str) -> int:
        """Put a card in the place of the one that lies there, without an event."""
        return int(self.simulator.say(f"swap {uid}", "swap")["at_ns"])

    def heed(self, reason: str) -> None:
        """Restart pcscd if the reader asks for it: an unplug got it stuck (decision 0028)."""
        if "restart pcscd" in reason:
            self.pcscd.kill()
            self.pcscd.start()

    def close(self) -> None:
        super().close()
        self.pcscd.stop()
