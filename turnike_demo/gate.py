"""The demo's gate: the configuration of its lanes and its courier, and its enrolment. It starts nothing that goes on."""

import socket
from pathlib import Path

from turnike_demo.children import Child
from turnike_demo.city.office import GATE_ID, Office

CROWDS_LANE, VISITORS_LANE = 1, 2

_CONFIG = """\
gate_id = "{gate_id}"
lane = {lane}
[reader]
driver = "pn532"
device = "{reader}"
[board]
device = "{board}"
{passage}[list]
folder = "{folder}/lists"
recent = "{folder}/recent"
keys = "{keys}"
stale = "decide"
missing = "deny"
[reports]
folder = "{reports}"
socket = "{socket}"
reserve_mb = 0
[log]
grounds = true
[courier]
url = "{url}"
root = "{root}"
poll_s = 1
[upload]
url = "{url}"
key = "{folder}/gate.pem"
lanes = [{sockets}]
"""
_CONSOLE = """\
[console]
listen = "127.0.0.1:0"
lanes = [{sockets}]
"""
# A visitor taps one card again and again, and wants to see each report; between two taps lies more than a second.
_PASSAGE = {CROWDS_LANE: "", VISITORS_LANE: "[passage]\nrepeat_guard_s = 1\n"}
_NAMES = {
    CROWDS_LANE: "",
    VISITORS_LANE: "2-",
}  # before the names of what a lane has of its own; a socket's path is short


class Gate:
    """A gate in the demo's folder, with so many lanes; with a visitor's it has a console as well."""

    def __init__(self, folder: Path, office: Office, url: str, lanes: int) -> None:
        """`url` is the back office's."""
        self._folder = folder
        self._office = office
        self._url = url
        self._lanes = range(1, lanes + 1)
        for made in ("lists", "recent"):
            (folder / made).mkdir()
        for lane in self._lanes:
            self.config(lane).write_text(self._text(lane))

    def config(self, lane: int = CROWDS_LANE) -> Path:
        """The configuration of this lane; the courier takes the first."""
        return self._of(lane, "validator.toml")

    def reader(self, lane: int) -> Path:
        """Where this lane's reader is plugged in."""
        return self._of(lane, "reader")

    def board(self, lane: int) -> Path:
        """Where this lane's board is plugged in."""
        return self._of(lane, "board")

    def outbox(self, lane: int) -> Path:
        """Where this lane keeps its reports."""
        return self._of(lane, "reports")

    def socket(self, lane: int) -> Path:
        """Where this lane can be asked."""
        return self._of(lane, "lane.sock")

    def enrol(self) -> Child:
        """Make it known to the city: the command, which ends when that is done."""
        child = Child("enrol", "validator", "enroll", "--config", str(self.config()))
        child.say(self._office.token())
        child.end_of_input()
        return child

    def _of(self, lane: int, name: str) -> Path:
        return self._folder / f"{_NAMES[lane]}{name}"

    def _text(self, lane: int) -> str:
        text = _CONFIG if len(self._lanes) == 1 else _CONFIG + _CONSOLE
        return text.format(
            gate_id=GATE_ID,
            lane=lane,
            passage=_PASSAGE[lane],
            folder=self._folder,
            reader=self.reader(lane),
            board=self.board(lane),
            reports=self._of(lane, "reports"),
            socket=self.socket(lane),
            sockets=", ".join(f'"{self.socket(each)}"' for each in self._lanes),
            keys=self._office.fingerprint_keys,
            root=self._office.root,
            url=self._url,
        )


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
