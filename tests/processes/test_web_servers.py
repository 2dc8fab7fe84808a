"""Three web servers serve the published folder, one of them nginx as deploy/ configures it."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from backoffice.home.config import load
from backoffice.reports.store import ReportStore
from tests.support.city.backoffice_rig import NOW_UNIX_S, City
from tests.support.city.town import RULE, Town, uid
from tests.support.gate.gate_courier import Gate, SetClock
from tests.support.gate.reports import stored
from tests.support.machine.programs import WAIT_S
from tests.support.web.web_server import WebServer
from validator.courier.ports import Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.web.client import StatusError, Web
from validator.errors import SourceState

SNIPPET = Path(__file__).parents[2] / "deploy" / "nginx" / "turnike-lists.conf"
NGINX = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {published}; include {snippet}; }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def started(*command: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(WAIT_S)


@contextmanager
def nginx(
    town: Town, folder: Path, receiver: int = 8080, more: str = "", at: int = 0
) -> Iterator[str]:
    if (program := shutil.which("nginx", path="/usr/sbin:/usr/bin")) is None:
        pytest.skip("nginx is not here: apt-get install nginx-light")
    port, config = at or free_port(), folder / "nginx.conf"
    for part in (
        folder,
        *town.published.parents,
    ):  # its worker is another user, who has to get there
        part.chmod(part.stat().st_mode | 0o011)
    snippet = folder / "turnike-lists.conf"
    text = SNIPPET.read_text() + more
    snippet.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{receiver}"))
    config.write_text(
        NGINX.format(folder=folder, port=port, published=town.published, snippet=snippet)
    )
    with started(program, "-e", f"{folder}/error.log", "-c", str(config)):
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def serve(town: Town, folder: Path, *addresses: str) -> Iterator[str]:
    del folder
    port, home = free_port(), town.city.home.folder
    (home / "backoffice.toml").write_text(
        '[[rules]]\nname = "suspended"\neffect = "refuse"\nuntil_unit_s = 60\n'
        f"[receiver]\naddresses = {list(addresses)}\n"
    )
    with started(
        sys.executable, "-m", "backoffice", "serve", "--home", str(home), "--port", str(port)
    ):
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def http_server(town: Town, folder: Path) -> Iterator[str]:
    del folder
    port = free_port()
    module = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    with started(*module, "--directory", str(town.published)):
        yield f"http://127.0.0.1:{port}/"


Serve = Callable[[Town, Path], AbstractContextManager[str]]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A city that has published; its own web server is never started."""
    city = City.founded(tmp_path)
    with WebServer() as unused:
        made = Town(tmp_path, city, unused)
    made.publish(*(uid(number) for number in range(2_000)))
    return made


def gate_before(town: Town, url: str) -> Gate:
    """A new gate, once the server answers."""
    with requests.Session() as session:
        patient = Retry(total=100, backoff_factor=0.05, backoff_max=0.2)
        session.mount("http://", HTTPAdapter(max_retries=patient))
        root = session.get(f"{url}metadata/1.root.json", timeout=WAIT_S).content
    return Gate(town.folder / "gate", url, root, SetClock(NOW_UNIX_S), (town.key,))


@pytest.mark.parametrize("server", [nginx, serve, http_server])
def test_a_gate_lives_on_any_web_server(server: Serve, town: Town, tmp_path: Path) -> None:
    with server(town, tmp_path) as url:
        gate = gate_before(town, url)
        assert gate.poll().state is SourceState.FRESH
        assert gate.holds(RULE, uid(7))
        town.publish(lifted=(uid(7),))
        assert gate.poll().state is SourceState.FRESH
        assert gate.version == 2
        assert not gate.holds(RULE, uid(7))
        assert gate.poll().state is SourceState.FRESH


@pytest.mark.parametrize("server", [nginx, serve])
def test_a_download_that_was_cut_goes_on_where_it_ended(
    server: Serve, town: Town, tmp_path: Path
) -> None:
    entry, _ = town.offered[0]
    whole = (town.published / "segments" / f"{entry.sha256}.wire").read_bytes()
    with server(town, tmp_path) as url:
        gate = gate_before(town, url)
        (gate.lists / "pieces" / f"{entry.sha256}.wire.part").write_bytes(whole[:-100])
        assert gate.poll().state is SourceState.FRESH
        assert gate.holds(RULE, uid(7))
        if server is nginx:
            assert " 206 100 " in (tmp_path / "access.log").read_text()
        asked = requests.get(
            f"{url}segments/{entry.sha256}.wire", headers={"Range": "bytes=-100"}, timeout=WAIT_S
        )
        assert (asked.status_code, asked.content) == (206, whole[-100:])


@pytest.mark.parametrize("server", [nginx, serve])
def test_no_cache_keeps_the_timestamp_and_each_keeps_the_rest(
    server: Serve, town: Town, tmp_path: Path
) -> None:
    with server(town, tmp_path) as url:
        gate_before(town, url)
        timestamp = requests.get(f"{url}metadata/timestamp.json", timeout=WAIT_S)
        assert timestamp.headers["Cache-Control"] == "no-cache"
        known = {"If-None-Match": timestamp.headers["ETag"]}
        assert requests.get(timestamp.url, headers=known, timeout=WAIT_S).status_code == 304
        for path in sorted(town.published.rglob("*")):
            if path.is_file() and path.name != "timestamp.json":
                found = requests.get(f"{url}{path.relative_to(town.published)}", timeout=WAIT_S)
                assert found.content == path.read_bytes()
                assert "max-age=31" in found.headers["Cache-Control"]


@pytest.mark.parametrize("server", [nginx, serve])
def test_nothing_but_what_is_published_can_be_asked_for(
    server: Serve, town: Town, tmp_path: Path
) -> None:
    (town.published / "segments" / ".new-half").write_bytes(b"half")
    (town.published / "notes.txt").write_bytes(b"mine")
    with server(town, tmp_path) as url:
        gate_before(town, url)
        for name in (
            "",
            "notes.txt",
            "segments/",
            "segments/.new-half",
            "metadata/%2e%2e/notes.txt",
            "%2e%2e/backoffice.toml",
        ):
            assert requests.get(f"{url}{name}", timeout=WAIT_S).status_code in {400, 404}, name


def test_a_gate_reports_through_nginx(town: Town, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    with serve(town, tmp_path) as behind, nginx(town, tmp_path, urlsplit(behind).port or 0) as url:
        gate_before(town, behind)
        gate_before(town, url)
        with ReportStore.open(load(town.city.home.folder).database_url) as store:
            store.enrol(
                "gate",
                store.invite("gate", NOW_UNIX_S),
                key.public_key().public_bytes_raw(),
                NOW_UNIX_S,
            )
            office = ReceiverClient(url, Web(), "gate", key, lambda: NOW_UNIX_S)
            answers = office.send([stored(1), stored(2)])
            assert {answer.result for answer in answers.values()} == {Result.STORED}
            assert store.count() == 2


STRIPS = (
    "location /strips/v1/ "
    "{ proxy_pass http://127.0.0.1:8080/v1/; proxy_set_header Host $http_host; }"
)
LEAVES = (
    "location /leaves/v1/ { proxy_pass http://127.0.0.1:8080; proxy_set_header Host $http_host; }"
)
NO_HOST = (
    "location /no-host/v1/ { proxy_pass http://127.0.0.1:8080; }"  # as it comes: the upstream's
)
EDGE = "location /edge/v1/ { return 401; }"


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("strips", ""),
        ("leaves", ""),
        ("no-host", "and the receiver got 127.0.0.1:"),
        ("edge", "something between, not the receiver, answered 401"),
        ("unheard-of", "something between, not the receiver, answered 404"),
    ],
)
def test_a_path_before_v1_works_through_nginx_or_is_refused_with_the_reason(
    town: Town, tmp_path: Path, prefix: str, told: str
) -> None:
    """The receiver knows its address: it detects a web server that changes what was signed."""
    key, port = Ed25519PrivateKey.generate(), free_port()
    addresses = [f"http://127.0.0.1:{port}/{each}/" for each in ("strips", "leaves", "no-host")]
    more = f"{STRIPS}\n{LEAVES}\n{NO_HOST}\n{EDGE}"
    with (
        serve(town, tmp_path, *addresses) as behind,
        nginx(town, tmp_path, urlsplit(behind).port or 0, more, port) as url,
        ReportStore.open(load(town.city.home.folder).database_url) as store,
    ):
        gate_before(town, behind)
        gate_before(town, url)
        token, public = store.invite("gate", NOW_UNIX_S), key.public_key().public_bytes_raw()
        store.enrol("gate", token, public, NOW_UNIX_S)
        office = ReceiverClient(f"{url}{prefix}/", Web(), "gate", key, lambda: NOW_UNIX_S)
        if told:
            with pytest.raises(StatusError) as caught:
                office.send([stored(1)])
            assert told in str(caught.value)
        else:
            (answer,) = office.send([stored(1)]).values()
            assert answer.result is Result.STORED
        assert store.count() == (0 if told else 1)
