"""A gate in a guest: `turnike lane` there, its list, and cards that the list knows."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.machine.rig.guest import Guest, GuestProgram
from tests.machine.rig.holdings import Holdings
from tests.support.city.built_city import build
from tests.support.machine.heard_lines import Line
from tests.support.machine.programs import Program

LISTED_UNIX_S = 1_780_000_000
FOLDER = "/run/work/gate"
PN532 = '[reader]\ndriver = "pn532"\ndevice = "/dev/ttyS1"\nbaud = 115200\n'
SERIAL_BOARD = '[board]\ndevice = "/dev/ttyS2"\n'


class Gate:
    """The list and the configuration of one gate, copied into the guest."""

    def __init__(self, guest: Guest, devices: str) -> None:
        """`devices` is what the configuration says about [reader] and [board]."""
        self.guest = guest
        built = guest.shared / "gate"
        shutil.rmtree(built, ignore_errors=True)
        build(built, LISTED_UNIX_S)
        (built / "validator.toml").write_text(_config(devices))
        # The list goes into the guest's memory: the lane writes beside it.
        guest.run(f"rm -rf {FOLDER} && cp -r /run/shared/gate {FOLDER}")
        self._cards: dict[str, list[str]] = {}
        for line in (built / "deck.jsonl").read_text().splitlines():
            card = json.loads(line)
            self._cards.setdefault(card["kind"], []).append(card["uid"])

    def card(self, kind: str = "matched") -> str:
        """A UID that no tap has used yet; `matched` cards are admitted."""
        return self._cards[kind].pop()

    @contextmanager
    def lane(self) -> Iterator[GuestProgram]:
        """A lane that serves; killed at the end if it still runs."""
        lane = self.guest.python("-m", "validator", "lane", "--config", f"{FOLDER}/validator.toml")
        wanted = {("reader", "ready"), ("board", "ready"), ("list", None)}

        def serves(line: Line) -> bool:  # they come in any order
            wanted.discard((line.get("event"), line.get("state")))
            return not wanted

        try:
            lane.wait_for(serves)
            yield lane
        finally:
            if lane.exit_code is None:
                lane.kill()

    def admits(self, lane: GuestProgram, reader: Program | GuestProgram) -> Line:
        """Lay a good card until the lane has decided, then take it away."""
        reader.say(f"present {self.card()}")
        tap = lane.event("tap", outcome="admitted")
        reader.say("remove")
        reader.event("removed")
        return tap


def holdings(guest: Guest, pid: int) -> Holdings:
    """Count what a process in the guest holds."""
    descriptors, threads = guest.run(
        f"ls /proc/{pid}/fd | wc -l; ls /proc/{pid}/task | wc -l"
    ).split()
    return Holdings(int(descriptors), int(threads))


def _config(devices: str) -> str:
    return f"""
gate_id = "test"
{devices}
[list]
folder = "{FOLDER}/lists"
keys = "{FOLDER}/keys"
stale = "decide"
missing = "deny"
[reports]
folder = "{FOLDER}/reports"
socket = "{FOLDER}/lane.sock"
reserve_mb = 0
[log]
grounds = true
[passage]
hold_ms = 10000
feedback_ms = 300
"""
