"""The back office's users as deploy/ makes them: from the receiver no signing key is in reach.

Nor is the registry. systemd's own programs make users and modes in a folder of the test; then each
unit's command runs with the user, the groups and the umask of its unit, and the kernel judges. The
test needs root, to become other users.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backoffice.receiver.connections import CONNECTIONS_MAX, FILES_KEPT
from tests.support.gate.reports import stored
from validator.courier.ports import Result
from validator.courier.receiver_client import ReceiverClient
from validator.courier.store.key_folder import KeyFolder
from validator.courier.web.client import Web

DEPLOY = Path(__file__).parents[2] / "deploy"
HOME = "/var/lib/turnike-office/city"
PROGRAM = "/usr/bin/turnike-backoffice"
WAIT_S = 120.0
CONFIG = """
[receiver]
database = "sqlite:///{root}/var/lib/turnike-receiver/reports.db"
[[rules]]
name = "suspended"
effect = "refuse"
until_unit_s = 60
"""
SCAN = """
import json, os, sys
found = {"read": [], "write": []}
for path in json.load(sys.stdin):  # names that root has found: a hidden name protects no file
    is_folder = os.path.isdir(path)
    for what, mode in (("read", "rb"), ("write", "r+b")):
        try:
            if not is_folder:
                open(path, mode).close()
            elif what == "read":
                os.listdir(path)
        except PermissionError:
            continue
        if not is_folder or what == "read" or os.access(path, os.W_OK):
            found[what].append(path)
print(json.dumps(found))
"""


class _Unit(dict[str, list[str]]):
    """The [Service] of a unit: each setting with all that it is given."""

    def one(self, name: str) -> str:
        """A setting that is given once."""
        (value,) = self[name]
        return value


def unit(name: str) -> _Unit:
    told = _Unit()
    section = ""
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            told.setdefault(key, []).append(value)
    return told


class Office:
    """A back office in a folder, with the users of deploy/."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / HOME.lstrip("/")
        lines = (root / "etc" / "passwd").read_text().splitlines()
        self.users = {
            name: (int(uid), int(gid))
            for name, _, uid, gid, *_ in (each.split(":") for each in lines)
        }
        groups = (each.split(":") for each in (root / "etc" / "group").read_text().splitlines())
        self.members = {name: (int(gid), members.split(",")) for name, _, gid, members in groups}

    def as_user(self, name: str) -> list[str]:
        """What runs a command as this user, with all of its groups."""
        uid, gid = self.users[name]
        more = [number for number, members in self.members.values() if name in members]
        groups = ",".join(map(str, [gid, *more]))
        return [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={gid}",
            f"--groups={groups}",
            "--inh-caps=-all",
        ]

    def run(self, user: str, *arguments: str, code: int = 0, umask: str = "0022") -> str:
        """Run turnike-backoffice as this user; what it printed."""
        command = [*self.as_user(user), sys.executable, "-m", "backoffice", *arguments]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
            umask=int(umask, 8),
        )
        assert ended.returncode == code, (arguments, ended.stdout, ended.stderr)
        return ended.stdout + ended.stderr

    def settled(self) -> None:
        """As `systemd-tmpfiles --create` of the runbook."""
        subprocess.run(
            [
                "systemd-tmpfiles",
                f"--root={self.root}",
                "--create",
                DEPLOY / "tmpfiles.d" / "turnike-office.conf",
            ],
            check=True,
            capture_output=True,
            timeout=WAIT_S,
        )

    def scan(self, user: str) -> Mapping[str, set[str]]:
        """What this user may read and write of the home, files and folders; paths from there."""
        command = [*self.as_user(user), sys.executable, "-c", SCAN]
        there = json.dumps([str(self.home), *map(str, self.home.rglob("*"))])
        ended = subprocess.run(
            command, input=there, capture_output=True, text=True, check=True, timeout=WAIT_S
        )
        return {
            what: {str(Path(path).relative_to(self.home)) for path in paths}
            for what, paths in json.loads(ended.stdout).items()
        }

    @contextmanager
    def serving(self) -> Iterator[str]:
        """What the receiver's unit runs; its address."""
        told = unit("turnike-receiver.service")
        program, *arguments = told.one("ExecStart").split()
        assert program == PROGRAM
        arguments = [each.replace(HOME, str(self.home)) for each in arguments]
        arguments[arguments.index("--port") + 1] = "0"
        command = [*self.as_user(told.one("User")), sys.executable, "-m", "backoffice", *arguments]
        umask = int(told.one("UMask"), 8)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, umask=umask
        ) as process:
            try:
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                assert address, process.stderr and process.stderr.read()
                yield address
            finally:
                process.terminate()
                process.wait(WAIT_S)


@pytest.fixture
def office() -> Iterator[Office]:
    if os.getuid() != 0:
        pytest.skip("only root may become another user: sudo make test")
    for program in ("setpriv", "systemd-sysusers", "systemd-tmpfiles"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here: apt-get install systemd util-linux")
    with TemporaryDirectory(prefix="turnike-office-") as folder:  # pytest's own is closed to others
        root = Path(folder)
        root.chmod(0o755)
        for name in ("etc", "run", "var/lib"):
            (root / name).mkdir(parents=True)
        sysusers = DEPLOY / "sysusers.d" / "turnike-office.conf"
        command = ["systemd-sysusers", f"--root={root}", str(sysusers)]
        subprocess.run(command, check=True, capture_output=True, timeout=WAIT_S)
        made = Office(root)
        probe = [*made.as_user("turnike-receiver"), sys.executable, "-c", "import backoffice"]
        if subprocess.run(probe, check=False, capture_output=True, timeout=WAIT_S).returncode:
            pytest.skip(
                f"other users may not run {sys.executable}: set up where they may, not in /root"
            )
        made.settled()  # the folders
        umask = unit("turnike-publish.service").one("UMask")
        made.run("turnike-office", "init", str(made.home), "--development", umask=umask)
        (made.home / "backoffice.toml").write_text(CONFIG.format(root=root))
        made.settled()
        yield made


def test_a_break_in_at_the_receiver_reaches_no_key_that_signs_and_not_the_registry(
    office: Office,
) -> None:
    office.run("turnike-office", "publish", "--home", str(office.home))
    with office.serving():
        found = office.scan("turnike-receiver")
    fingerprint = {
        f"keys/fingerprint/{path.name}" for path in (office.home / "keys/fingerprint").iterdir()
    }
    assert {each for each in found["read"] if not each.startswith(("published", "root"))} == {
        "backoffice.toml",
        "versions.json",  # public numbers
        "keys/fingerprint",
        *fingerprint,
    }
    assert found["write"] == set()
    own = office.scan("turnike-office")
    assert own["write"] >= {"keys/online/targets.pem", "registry.db", "published/targets"}, (
        "the scan finds no file that its own user may write"
    )
    online = sorted((office.home / "keys/online").iterdir())
    assert len(online) == 3
    for folder in ("online", "retired"):
        assert (office.home / "keys" / folder).stat().st_mode & 0o777 == 0o700
    for path in (*online, office.home / "registry.db"):
        command = [*office.as_user("turnike-receiver"), "cat", str(path)]
        refused = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=WAIT_S
        )
        assert (refused.returncode, "Permission denied" in refused.stderr) == (1, True), path
    # Nor does it come by them through a command of ours.
    for arguments in (
        ("publish",),
        ("rotate", "timestamp"),
        ("suspend", "04112233445566", "--until", "2030-01-01T00:00:00Z"),
    ):
        told = office.run("turnike-receiver", *arguments, "--home", str(office.home), code=2)
        assert "ermission denied" in told or "unable to open" in told, told


def test_the_receiver_serves_gates_all_the_same_and_hands_out_fingerprint_keys_also_later_ones(
    office: Office, tmp_path: Path
) -> None:
    """Both users find the reports, whichever of them made the database."""
    home, key = str(office.home), Ed25519PrivateKey.generate()
    token = office.run("turnike-office", "enroll", "gate", "--home", home).strip()
    public = key.public_key().public_bytes_raw().hex()
    with office.serving() as url:
        web = Web()
        body = json.dumps({"gate_id": "gate", "token": token, "public_key": public}).encode()
        web.post(f"{url}v1/enrol", body, {"content-type": "application/json"}, 4_096)
        gate = ReceiverClient(url, web, "gate", key, lambda: 1_800_000_000)
        assert {each.result for each in gate.send([stored(1), stored(2)]).values()} == {
            Result.STORED
        }
        (tmp_path / "keys").mkdir()
        keys = KeyFolder(tmp_path / "keys", key)
        assert len(keys.take(gate.tell_status({}).keys).ids) == 1
        office.run(
            "turnike-office", "rotate", "fingerprint-key", "--start", "--home", home, umask="0077"
        )
        assert len(keys.take(gate.tell_status({"fingerprint_keys": keys.ids()}).keys).ids) == 1
        web.close()
        assert "gate  lane 1" in office.run("turnike-office", "reports", "list", "--home", home)
        office.run("turnike-office", "publish", "--home", home)
        assert office.run("turnike-office", "gates", "--home", home)
    databases = {
        path.name: path.stat().st_mode & 0o7777
        for path in (office.root / "var/lib/turnike-receiver").iterdir()
    }
    assert set(databases.values()) == {0o660}
    assert "reports.db" in databases


def test_the_units_run_as_these_users_and_are_good_units(office: Office) -> None:
    receiver, publisher = unit("turnike-receiver.service"), unit("turnike-publish.service")
    assert receiver.one("User") not in {publisher.one("User"), "root"}
    for told in (receiver, publisher):
        assert told.one("User") in office.users
        assert told.one("NoNewPrivileges") == "yes"
        assert told.one("ProtectSystem") == "strict"
    paths = {path.lstrip("-") for line in receiver["InaccessiblePaths"] for path in line.split()}
    assert paths >= {f"{HOME}/keys/online", f"{HOME}/keys/retired", f"{HOME}/registry.db"}
    writable = receiver.one("StateDirectory").split() + receiver.get("ReadWritePaths", [])
    assert writable == ["turnike-receiver"]
    (rule,) = [
        line.split()
        for line in (DEPLOY / "tmpfiles.d" / "turnike-office.conf").read_text().splitlines()
        if line.startswith("d") and "/turnike-receiver " in line
    ]
    assert rule[2] == receiver.one("StateDirectoryMode"), (
        "the unit undoes the mode that tmpfiles sets"
    )
    assert int(receiver.one("LimitNOFILE")) >= CONNECTIONS_MAX + FILES_KEPT
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    for name in ("turnike-receiver.service", "turnike-publish.service"):
        copied = office.root / name
        copied.write_text((DEPLOY / "systemd" / name).read_text().replace(PROGRAM, "/bin/true"))
        judged = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", copied],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        said = [line for line in judged.stderr.splitlines() if str(copied) in line or name in line]
        assert (judged.returncode, said) == (0, [])
