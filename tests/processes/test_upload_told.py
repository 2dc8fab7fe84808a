"""A courier writes for `turnike check` why its reports do not arrive, and when they do again."""

import json
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.reports.store import ReportStore
from tests.support.city.backoffice_rig import City
from tests.support.gate.console_lane import FakeLane, well
from tests.support.machine.programs import lane_config, program
from tests.support.web.web_server import Fault, WebServer
from validator.host.durable import put_secret
from validator.ipc.courier_status import UploadStatus, decode

WAIT_S = 120.0
MORE = """
[courier]
url = "{url}"
root = "{root}"
poll_s = 1
[upload]
url = "{url}"
key = "{folder}/gate.pem"
lanes = ["{folder}/lane.sock"]
"""


class Lane(FakeLane):
    """A lane on which no report waits, for as many callers as there are."""

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._converse, args=(caller,), daemon=True).start()

    def _converse(self, caller: socket.socket) -> None:
        with suppress(OSError), caller, caller.makefile("rb") as lines:
            self._answer(caller, lines)


def nothing_waits(request: str) -> bytes:
    if request == "reports":
        return b'{"reports":[]}\n'
    return b'{"looking":true}\n' if request == "list_changed" else well(request)


def upload_told(folder: Path, wanted: str) -> UploadStatus:
    """The upload status in the courier's file, once its problem contains `words` (is empty: "")."""
    until_s, told = time.monotonic() + WAIT_S, None
    while time.monotonic() < until_s:
        try:
            told = decode((folder / "lists" / "courier.json").read_bytes()).upload
        except FileNotFoundError:
            told = None
        if told is not None and (wanted in told.problem if wanted else not told.problem):
            return told
        time.sleep(0.05)
    raise AssertionError(f"the file has {told}")


def test_why_reports_do_not_arrive_is_in_the_couriers_file_until_they_do(tmp_path: Path) -> None:
    city, key = City.founded(tmp_path / "city"), Ed25519PrivateKey.generate()
    for name in ("lists", "keys"):
        (tmp_path / name).mkdir()
    put_secret(
        tmp_path / "gate.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store, WebServer() as server:
        now_unix_s = int(time.time())
        public = key.public_key().public_bytes_raw()
        store.enrol("test", store.invite("test", now_unix_s), public, now_unix_s)
        server.app = Starlette(routes=Receiver(store).routes)
        server.faults["v1/gates/test/status"] = Fault.FORBIDDEN
        root = city.home.roots / "1.root.json"
        more = MORE.format(url=server.url, root=root, folder=tmp_path)
        config = lane_config(tmp_path, more=more)
        lane = Lane(tmp_path / "lane.sock", nothing_waits)
        with ExitStack() as stack:
            stack.callback(lane.hang_up)
            stack.enter_context(program("validator", "courier", "--config", str(config)))
            told = upload_told(tmp_path, "something between, not the receiver, answered 403")
            assert told.state == "not ours"
            server.faults.clear()
            assert upload_told(tmp_path, "").state == "fresh"
            assert json.loads((tmp_path / "lists" / "courier.json").read_text())["state"] != "fresh"
