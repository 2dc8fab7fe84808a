"""`turnike check` on a gate's folders, disks, secrets, socket and reports."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.json import encode

from tests.support.city.list_making import KEY
from tests.support.machine.programs import lane_config
from validator.check.files import examine_disks, examine_lane, examine_secrets
from validator.config import Config, load
from validator.host.durable import put_secret
from validator.host.owners import name_of
from validator.lists.fingerprint_keys import format_key_file

GATE_KEY = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A gate with all files that it needs, each with the right mode."""
    for name in ("lists", "keys", "reports"):
        (tmp_path / name).mkdir(mode=0o700)
    put_secret(tmp_path / "keys" / "fleet.key", format_key_file(KEY))
    put_secret(tmp_path / "gate.pem", GATE_KEY)
    for name in ("outbox.json", "outbox.lock", "cache.db"):
        (tmp_path / "reports" / name).touch(mode=0o640)
    upload = f"""
[upload]
url = "https://reports.example/"
key = "{tmp_path}/gate.pem"
lanes = ["{tmp_path}/lane.sock"]
"""
    return load(lane_config(tmp_path, more=upload))


def told(config: Config) -> dict[str, list[tuple[str, str]]]:
    """Mark and text of each finding, by its subject."""
    found: dict[str, list[tuple[str, str]]] = {}
    for examine in (examine_disks, examine_lane, examine_secrets):
        for finding in examine(config):
            assert finding.text.isprintable()
            found.setdefault(finding.subject, []).append((finding.mark, finding.text))
    return found


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604, 0o620, 0o660])
@pytest.mark.parametrize("name", ["gate.pem", "keys/fleet.key"])
def test_a_key_that_others_can_read_or_change_is_noted_with_the_command_to_run(
    name: str, mode: int, config: Config, tmp_path: Path
) -> None:
    assert [mark for mark, _ in told(config)["secrets"]] == ["ok"]
    path = tmp_path / name
    path.chmod(mode)
    ((mark, text),) = told(config)["secrets"]
    assert mark == "note"
    assert f"{path}: mode {mode:04o}" in text
    assert f"chmod 600 {path}" in text
    path.chmod(0o600)
    assert [mark for mark, _ in told(config)["secrets"]] == ["ok"]


@pytest.mark.parametrize("name", ["outbox.json", "cache.db"])
def test_an_outbox_that_others_can_read_or_its_group_can_change_is_noted(
    name: str, config: Config, tmp_path: Path
) -> None:
    for mode in (0o644, 0o660):
        (tmp_path / "reports" / name).chmod(mode)
        (tmp_path / "reports").chmod(0o700)
        assert told(config)["secrets"][0][0] == "ok", "no other user gets into the folder"
        (tmp_path / "reports").chmod(0o711)
        ((mark, text),) = told(config)["secrets"]
        assert (mark, f"{name}: mode {mode:04o}" in text) == ("note", True)


def test_a_link_to_a_key_that_others_can_read_is_noted(config: Config, tmp_path: Path) -> None:
    (tmp_path / "gate.pem").rename(tmp_path / "elsewhere.pem")
    (tmp_path / "gate.pem").symlink_to(tmp_path / "elsewhere.pem")
    assert told(config)["secrets"][0][0] == "ok"
    (tmp_path / "elsewhere.pem").chmod(0o644)
    assert "gate.pem: mode 0644" in told(config)["secrets"][0][1]


def test_a_folder_in_which_others_can_put_another_key_is_noted(
    config: Config, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    assert f"{tmp_path}: mode 0777, others may write there" in told(config)["secrets"][0][1]


def test_a_folder_of_reports_or_keys_that_is_open_to_others_is_noted(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "reports").chmod(0o755)
    (tmp_path / "keys").chmod(0o777)
    texts = [text for _, text in told(config)["secrets"]]
    assert any(f"{tmp_path}/keys: mode 0777" in text for text in texts)
    assert any(f"{tmp_path}/reports: mode 0755" in text for text in texts)


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(b"?")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "advice"),
    [
        (gone, "turnike enroll makes it"),
        (garbage, "is no private key; move it away"),
        (a_folder, "Is a directory"),
    ],
)
def test_a_gate_without_a_key_of_its_own_is_noted(
    spoil: Callable[[Path], None], advice: str, config: Config, tmp_path: Path
) -> None:
    ((mark, text),) = told(config)["enrolment"]
    assert (mark, f"{tmp_path}/gate.pem: this gate's key" in text) == ("ok", True)
    spoil(tmp_path / "gate.pem")
    ((mark, text),) = told(config)["enrolment"]
    assert (mark, advice in text) == ("note", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_that_the_courier_cannot_read_is_noted_with_the_command_to_run(
    config: Config, tmp_path: Path
) -> None:
    os.chown(tmp_path / "lists", 65_534, -1)
    ((mark, text),) = told(config)["enrolment"]
    user = name_of(65_534)
    assert (mark, text.endswith(f"as root: chown {user}: {tmp_path}/gate.pem")) == ("note", True)
    os.chown(tmp_path / "gate.pem", 65_534, -1)
    assert told(config)["enrolment"][0][0] == "ok"


def test_a_missing_folder_of_reports_and_a_full_disk_are_noted(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "reports").rename(tmp_path / "elsewhere")
    ((mark, text),) = told(config)["reports"]
    assert (mark, f"{tmp_path}/reports: No such file or directory" in text) == ("note", True)


@contextmanager
def a_lane(path: Path, status: Mapping[str, Any]) -> Iterator[None]:
    """A lane that answers one question with this."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(1)

        def answer() -> None:
            caller, _ = listener.accept()
            with caller, caller.makefile("rb") as asked:
                asked.readline()
                caller.sendall(encode({"status": status}) + b"\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        thread.join()


def test_the_lanes_counts_of_reports_are_shown(config: Config, tmp_path: Path) -> None:
    counts = {
        "reports_waiting": 3,
        "reports_rejected": 0,
        "reports_refused": 0,
        "reports_trouble": "",
    }
    with a_lane(tmp_path / "lane.sock", counts):
        found = told(config)
    assert found["socket"] == [("ok", f"{tmp_path}/lane.sock: the lane answers")]
    assert found["reports"][1:] == [
        ("ok", "3 wait, 0 quarantined, 0 refused since the lane's start")
    ]


def test_an_unknown_count_is_not_shown_as_0(config: Config, tmp_path: Path) -> None:
    counts = {
        "reports_waiting": None,
        "reports_rejected": None,
        "reports_refused": 2,
        "reports_trouble": "x: \x1b",
    }
    with a_lane(tmp_path / "lane.sock", counts):
        found = told(config)
    assert found["reports"][1:] == [
        ("note", "cannot be kept now: x: ?"),
        ("note", "it is not known how many wait: the lane cannot read them"),
    ]


def test_a_lane_that_cannot_be_asked_is_noted(config: Config, tmp_path: Path) -> None:
    ((mark, text),) = told(config)["socket"]
    assert (mark, "is the lane running? (systemctl status turnike-lane@1)" in text) == (
        "note",
        True,
    )
    with a_lane(tmp_path / "lane.sock", {}):
        (tmp_path / "lane.sock").chmod(0o666)
        assert "every user may ask the lane" in told(config)["socket"][0][1]
