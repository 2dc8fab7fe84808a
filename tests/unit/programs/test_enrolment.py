"""How a gate enrols: its own key, a one-time token, and other servers that may answer."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.receiver.app import Receiver
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.web_server import Fault, WebServer
from validator.courier.receiver_client import GateKeyError, gate_key
from validator.courier.web.client import Web
from validator.host.owners import name_of
from validator.programs.enrolment import EnrolmentError, enrol

OLD_TOKEN = "whoever-had-it-has-used-it"  # noqa: S105  # no password; a token of the test


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReportStore]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store:
        yield store


@pytest.fixture
def server(server: WebServer, store: ReportStore) -> WebServer:
    server.app = Starlette(routes=Receiver(store, now_unix_s=lambda: NOW_UNIX_S).routes)
    return server


def refused(server: WebServer, web: Web, key: Path, token: str = OLD_TOKEN) -> str:
    """The one line that the operator gets."""
    with pytest.raises(EnrolmentError) as caught:
        enrol("gate", server.url, key, token, web)
    text = str(caught.value)
    assert text.isprintable()
    assert token not in text.split()
    return text


def test_a_gate_makes_its_key_and_the_city_knows_the_public_half(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web
) -> None:
    path = tmp_path / "gate.pem"
    enrol("gate", server.url, path, store.invite("gate", NOW_UNIX_S), web)
    assert store.public_key("gate") == gate_key(path).public_key().public_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [asked.target for asked in server.asked] == ["v1/enrol"]


def test_an_unused_token_on_an_enrolled_gate_is_not_reported_as_an_enrolment(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web
) -> None:
    path, token = tmp_path / "gate.pem", store.invite("gate", NOW_UNIX_S)
    assert enrol("gate", server.url, path, token, web)
    assert not enrol("gate", server.url, path, token, web), (
        "the answer may have been lost: no error, and reported"
    )
    assert not enrol("gate", server.url, path, OLD_TOKEN, web)
    assert enrol("gate", server.url, path, store.invite("gate", NOW_UNIX_S), web)
    assert store.public_key("gate") == gate_key(path).public_key().public_bytes_raw()


def test_an_address_without_a_slash_at_its_end_is_the_same(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web
) -> None:
    enrol(
        "gate", server.url.rstrip("/"), tmp_path / "gate.pem", store.invite("gate", NOW_UNIX_S), web
    )
    assert store.public_key("gate")


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.BROKEN, Fault.CAPTIVE_PORTAL, Fault.REDIRECT, Fault.TORN]
)
@pytest.mark.parametrize("loses", [True, False], ids=["before the receiver", "behind the receiver"])
def test_when_the_network_fails_the_same_command_again_sends_the_same_key(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web, fault: Fault, loses: bool
) -> None:
    path, token = tmp_path / "gate.pem", store.invite("gate", NOW_UNIX_S)
    server.faults["*"], server.loses_posts, server.cut_after_bytes = fault, loses, 60
    assert "127.0.0.1" in refused(server, web, path, token)
    made = path.read_bytes()
    server.faults.clear()
    enrol("gate", server.url, path, token, web)
    assert path.read_bytes() == made
    assert store.public_key("gate") == gate_key(path).public_key().public_bytes_raw()


def test_a_refused_token_names_the_command_that_prints_another(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web
) -> None:
    assert "ask for another (turnike-backoffice enroll)" in refused(
        server, web, tmp_path / "gate.pem"
    )
    token = store.invite("another", NOW_UNIX_S)
    assert "ask for another" in refused(server, web, tmp_path / "gate.pem", token)
    assert store.public_key("gate") is None


def answering(response: Response) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return app


@pytest.mark.parametrize(
    "response",
    [
        Response(b"", media_type="application/json"),
        Response(b"OK", media_type="text/plain"),
        Response(b"<html>", media_type="application/json"),
        JSONResponse({}),
        JSONResponse([]),
        JSONResponse({"gate_id": 7}),
        JSONResponse({"gate_id": "another"}),
        Response(b"[" * 3_000, media_type="application/json"),
    ],
    ids=["nothing", "ok", "html", "empty", "list", "number", "another", "nested"],
)
def test_a_server_that_is_not_the_back_office_enrols_no_gate(
    tmp_path: Path, server: WebServer, web: Web, response: Response
) -> None:
    server.app = answering(response)
    assert "another server answers, not the back office; no gate is enrolled there" in refused(
        server, web, tmp_path / "gate.pem"
    )


def test_an_invalid_key_file_is_not_replaced_and_nothing_is_sent(
    tmp_path: Path, server: WebServer, web: Web
) -> None:
    path = tmp_path / "gate.pem"
    path.write_bytes(b"somebody's diary")
    assert (
        refused(server, web, path)
        == f"{path}: is no private key; move it away, and turnike enroll makes a new one"
    )
    assert path.read_bytes() == b"somebody's diary"
    assert refused(server, web, tmp_path / "no folder" / "gate.pem")
    assert server.asked == []


def test_a_gate_without_a_key_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(GateKeyError, match="No such file or directory; turnike enroll makes it"):
        gate_key(tmp_path / "gate.pem")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_that_root_makes_belongs_to_the_courier(
    tmp_path: Path, store: ReportStore, server: WebServer, web: Web
) -> None:
    path, lists = tmp_path / "gate.pem", tmp_path / "lists"
    lists.mkdir()
    os.chown(lists, 4_711, 4_712)
    folders = (tmp_path / "not there", tmp_path, lists)
    enrol("gate", server.url, path, store.invite("gate", NOW_UNIX_S), web, service_folders=folders)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4_711, 4_712, 0o600)
    os.chown(path, 0, 0)  # as an earlier version left it
    enrol("gate", server.url, path, OLD_TOKEN, web, service_folders=folders)
    assert path.stat().st_uid == 4_711


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
@pytest.mark.parametrize("mode", [0o711, 0o700])
def test_a_user_who_may_not_read_the_key_is_not_advised_to_enrol_again(mode: int) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from validator.courier.receiver_client import GateKeyError, gate_key\n"
        "os.setuid(65534)\ntry: gate_key(Path(sys.argv[1]))\n"
        "except GateKeyError as error: print(error)"
    )
    with TemporaryDirectory() as folder:  # pytest's own folder is closed to other users
        Path(folder).chmod(mode)
        path = Path(folder) / "gate.pem"
        path.write_bytes(b"?")
        path.chmod(0o600)
        command = [sys.executable, "-c", program, str(path)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    helps = {
        0o711: f"it is another user's; as root: chown {name_of(65_534)}: {path}",
        0o700: f"a folder above it does not let {name_of(65_534)} in: namei -l {path} shows which",
    }
    assert said == f"{path}: Permission denied; {helps[mode]}"
