"""The demo's gate: the configuration of its lanes and its courier, and its enrolment."""

import socket
from pathlib import Path

from turnike_demo.city.back_office import GATE_ID, BackOffice
from turnike_demo.gate.visitors_reader import ReaderKind, VisitorsReader
from turnike_demo.processes.child import Child

CROWDS_LANE, VISITORS_LANE = 1, 2

_CONFIG = """\
gate_id = "{gate_id}"
lane = {lane}
[reader]
{reader}[board]
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
# A visitor taps one card again and again and wants to see each report; two taps are more than a
# second apart.
_PASSAGE = {CROWDS_LANE: "", VISITORS_LANE: "[passage]\nrepeat_guard_s = 1\n"}
# Prefixes of a lane's own files; short, since the path of a socket is limited to 107 bytes.
_PREFIXES = {CROWDS_LANE: "", VISITORS_LANE: "2-"}


class Gate:
    """A gate in the demo's folder: the paths and configurations of its lanes."""

    def __init__(
        self,
        folder: Path,
        back_office: BackOffice,
        url: str,
        lanes: int,
        reader: ReaderKind = "pn532",
    ) -> None:
        """Write the configurations.

        Args:
            folder: the demo's folder.
            back_office: gives the root, the fingerprint keys and the enrolment token.
            url: the address at which the gate reaches the city.
            lanes: 1, or 2 with the visitor's lane and a console.
            reader: the kind of the visitor's reader; the crowd's is a PN532.
        """
        self._folder = folder
        self._back_office = back_office
        self._url = url
        self._lanes = range(1, lanes + 1)
        self.visitors_reader = VisitorsReader(reader, self.reader(VISITORS_LANE))
        for made in ("lists", "recent"):
            (folder / made).mkdir()
        for lane in self._lanes:
            self.config(lane).write_text(self._text(lane))

    def config(self, lane: int = CROWDS_LANE) -> Path:
        """Return the path of this lane's configuration; the courier reads the first lane's."""
        return self._of(lane, "validator.toml")

    def reader(self, lane: int) -> Path:
        """Return the path of this lane's reader, if that is a serial line."""
        return self._of(lane, "reader")

    def board(self, lane: int) -> Path:
        """Return the path of this lane's board device."""
        return self._of(lane, "board")

    def outbox(self, lane: int) -> Path:
        """Return the folder of this lane's reports."""
        return self._of(lane, "reports")

    def socket(self, lane: int) -> Path:
        """Return the path of this lane's socket."""
        return self._of(lane, "lane.sock")

    def enrol(self) -> Child:
        """Start the command that enrols the gate; it ends when that is done."""
        child = Child("enrol", "validator", "enroll", "--config", str(self.config()))
        child.send(self._back_office.token())
        child.end_of_input()
        return child

    def _of(self, lane: int, name: str) -> Path:
        return self._folder / f"{_PREFIXES[lane]}{name}"

    def _text(self, lane: int) -> str:
        text = _CONFIG if len(self._lanes) == 1 else _CONFIG + _CONSOLE
        crowds = VisitorsReader("pn532", self.reader(lane))
        reader = self.visitors_reader if lane == VISITORS_LANE else crowds
        return text.format(
            gate_id=GATE_ID,
            lane=lane,
            passage=_PASSAGE[lane],
            folder=self._folder,
            reader=reader.table(),
            board=self.board(lane),
            reports=self._of(lane, "reports"),
            socket=self.socket(lane),
            sockets=", ".join(f'"{self.socket(each)}"' for each in self._lanes),
            keys=self._back_office.fingerprint_keys,
            root=self._back_office.root,
            url=self._url,
        )


def free_port() -> int:
    """Return a TCP port of this machine that no program listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
