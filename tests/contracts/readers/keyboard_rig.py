"""`firmware-sim keyboard` and KeyboardReader, in a process that the input rig has started."""

from pathlib import Path

from tests.contracts.readers.card_rig import CardRig
from tests.contracts.simulator import Simulator
from validator.domain.events import CardSeen, ReaderEvent
from validator.lane.readers.keyboard.encoding import Encoding
from validator.lane.readers.keyboard.reader import KeyboardReader, Typing

# A reader types a card once, so a card that meets one of the lasting faults has to be shown again.
PASSING = ("two-ends=1", "slow=40/1")
LASTING = (
    "dropped",
    "doubled",
    "slow=40",
    "stops=400",
    "garbage",
    "zeros",
    "silent",
    "repeats=100",
    "grabbed",
)
STAGES: dict[str, type[ReaderEvent] | None] = {"in-anticollision": None, "before-reply": CardSeen}
# As fast as the fastest reader. A busy machine may keep the lane from reading for a while.
TIMING = ("--key-ms", "4", "--patience-ms", "500")
HEX = Typing(Encoding("hex", "printed"), frozenset({4, 7, 10}))


def keyboard_reader(path: str) -> KeyboardReader:
    """Open the reader as `firmware-sim keyboard` types without options."""
    return KeyboardReader(path, HEX)


class KeyboardRig(CardRig):
    """A simulated reader that types. See tests.contracts.readers.rigs.ReaderRig."""

    def __init__(self, link: Path, *options: str) -> None:
        self.path = str(link)
        self.simulator = Simulator("keyboard", "--link", self.path, *TIMING, *options)

    def reader(self) -> KeyboardReader:
        return keyboard_reader(self.path)

    def console_keys(self) -> int:
        """Return how many keys went to the console, and wait until all is typed."""
        while (status := self.simulator.say("status", "status"))["typing"]:
            pass
        return int(status["console_keys"])
