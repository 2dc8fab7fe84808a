"""What the rigs of readers share: the verbs of a simulated device that is a process of its own."""

from typing import Any

from tests.contracts.simulator import Simulator


class CardRig:
    """A device that takes verbs: cards, plug, brown-out, faults. Times are monotonic ns.

    A rig inherits from it, sets `path` and `simulator`, and adds `reader`.
    """

    path: str
    simulator: Simulator

    def present(self, uid: str, leaves: str = "") -> int:
        stage = f" leaves={leaves}" if leaves else ""
        return int(self.simulator.say(f"present {uid}{stage}", "present")["at_ns"])

    def remove(self) -> None:
        for card in self.status()["cards"]:
            self.simulator.say(f"remove {card['uid']}", "removed")

    def clash(self, first: str, second: str) -> int:
        return int(self.simulator.say(f"clash {first} {second}", "clash")["at_ns"])

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

    def heed(self, reason: str) -> None:
        """Nothing more than to plug has to be done for it."""
        del reason

    def close(self) -> None:
        self.simulator.close()
