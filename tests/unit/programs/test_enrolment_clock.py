"""`turnike enroll` with a wrong clock: a certificate is checked as the courier checks it.

Where a synchronised clock refuses it, the error names the clock.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.machine.programs import lane_config
from tests.support.web.web_server import Authority, WebServer
from validator.cli import main
from validator.domain.trusted_time import SystemClock
from validator.host.clock import Clock
from validator.programs import enrolment

DAY_S = 86_400
Y1970, Y2099, Y2126 = 60, 4_070_908_800, 4_924_000_000


class SetClock(Clock):
    """The gate's clock, on a system that a test sets."""

    unix_s, is_synchronised = Y1970, False

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self.unix_s, self.is_synchronised, boottime_ns=9)


@dataclass
class World:
    """A gate that is not enrolled, and a receiver whose certificate ended yesterday.

    For a clock in 2099, every certificate has ended.
    """

    folder: Path
    store: ReportStore
    server: WebServer
    config: Path

    def enroll(self) -> Result:
        """Run the command with a valid token."""
        (self.folder / "token").write_text(self.store.invite("test", NOW_UNIX_S))
        (self.folder / "token").chmod(0o600)
        command = [
            "enroll",
            "--config",
            str(self.config),
            "--token-file",
            str(self.folder / "token"),
        ]
        return CliRunner().invoke(main, command)

    def signed(self, unix_s: int) -> None:
        """Write the signed time, as the courier does."""
        values = {
            "signed_unix_s": unix_s,
            "boot_id": "",
            "boottime_ns": 5,
            "timestamp_keys": ["a1"],
        }
        (self.folder / "lists" / "accepted.json").write_text(json.dumps(values))

    def is_enrolled(self) -> bool:
        """Whether the city knows the gate's key."""
        return self.store.public_key("test") is not None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    authority = Authority(tmp_path)
    monkeypatch.setattr(enrolment, "Clock", SetClock)
    for name in ("lists", "keys"):
        (tmp_path / name).mkdir()
    with (
        ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as store,
        WebServer(tls=authority.context(days_left=-1)) as server,
    ):
        server.app = Starlette(routes=Receiver(store, now_unix_s=lambda: NOW_UNIX_S).routes)
        root = f'root = "{tmp_path}/root.json"\nca_file = "{authority.file}"\n'
        courier = f'[courier]\nurl = "{server.url}"\n{root}'
        key = f'key = "{tmp_path}/gate.pem"\nlanes = ["{tmp_path}/l.sock"]\n'
        upload = f'[upload]\nurl = "{server.url}"\n{key}'
        yield World(tmp_path, store, server, lane_config(tmp_path, more=courier + upload))


@pytest.mark.parametrize("unix_s", [Y1970, Y2099])
def test_an_unset_clock_checks_no_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch, unix_s: int
) -> None:
    monkeypatch.setattr(SetClock, "unix_s", unix_s)
    result = world.enroll()
    assert (result.exit_code, result.output) == (0, "test: enrolled\n")
    assert world.is_enrolled()


def test_the_time_that_the_city_signed_is_the_lowest_time(world: World) -> None:
    world.signed(Y2126)
    result = world.enroll()
    assert result.exit_code == 2
    assert (
        "certificate has expired: it is 2126-01-13 at least, as the city has signed"
        in result.stderr
    )
    assert not world.is_enrolled()


def test_a_synchronised_clock_is_named_with_the_certificate_that_it_refuses(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SetClock, "unix_s", NOW_UNIX_S)
    monkeypatch.setattr(SetClock, "is_synchronised", True)
    result = world.enroll()
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "certificate has expired by the clock of this machine, which says 20" in result.stderr
    assert "UTC: if that is wrong, set it (timedatectl)" in result.stderr
    assert not world.is_enrolled()
