"""The rig of PC/SC readers: a simulated CCID reader, and a pcscd of the USB rig's own."""

from pathlib import Path
from typing import Any

from tests.contracts.simulator import Simulator
from tests.support.devices.pcscd import Pcscd
from validator.domain.events import CardSeen, LeftEarly, ReaderEvent
from validator.lane.ports import Reader
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
RECOVERS_S = 20.0  # libccid waits up to 5 s for an answer that does not come

LOCKS = Path("/run/pcscd")  # the rig's own, and empty but for pcscd's socket
NAME = "ACS ACR122U PICC Interface"


def pcsc_reader(pattern: str) -> Reader:
    """Return a new reader on the slot of that pattern."""
    return PcscReader(PcscLite(), pattern, LOCKS)


class PcscRig:
    """`firmware-sim ccid`, pcscd and PcscReader."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = NAME
        self.simulator = Simulator("ccid", *options)
        self.pcscd = Pcscd(folder)

    def reader(self) -> Reader:
        return pcsc_reader(self.path)

    def present(self, uid: str, leaves: str = "") -> int:
        stage = f" leaves={leaves}" if leaves else ""
        return int(self.simulator.say(f"present {uid}{stage}", "present")["at_ns"])

    def remove(self) -> None:
        for card in self.status()["cards"]:
            self.simulator.say(f"remove {card['uid']}", "removed")

    def clash(self, first: str, second: str) -> int:
        return int(self.simulator.say(f"clash {first} {second}", "clash")["at_ns"])

    def swap(self, uid: str) -> int:
        """Put a card in the place of the one that lies there, without an event."""
        return int(self.simulator.say(f"swap {uid}", "swap")["at_ns"])

    def unplug(self) -> int:
        return int(self.simulator.say("unplug", "unplugged")["at_ns"])

    def replug(self) -> int:
        return int(self.simulator.say("replug", "replugged")["at_ns"])

    def brown_out(self) -> int:
        return int(self.simulator.say("brownout", "brownout")["at_ns"])

    def fault(self, text: str) -> None:
        self.simulator.say(f"fault {text}", "fault")

    def status(self) -> dict[str, Any]:
        return self.simulator.say("status", "status")

    def close(self) -> None:
        self.simulator.close()
        self.pcscd.stop()
