"""`turnike check` on lists, the courier and time: each state is one line with what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.city.backoffice_rig import City
from tests.support.city.list_making import (
    EXPIRES_UNIX_S,
    KEY,
    NOW_UNIX_S,
    OTHER_KEY,
    install,
    manifest_of,
    seg,
    segment_bytes,
)
from tests.support.machine.programs import lane_config
from tests.support.web.web_server import Authority
from validator import check
from validator.check import courier as check_courier
from validator.config import Config, LogConfig, UploadConfig, load
from validator.courier.store.accepted_store import DiskAcceptedStore
from validator.domain.floor import Floor, RoleKeys, RoleVersions
from validator.domain.trusted_time import SystemClock
from validator.errors import SourceState
from validator.host.clock import Clock
from validator.host.durable import put_secret
from validator.ipc.accepted import Accepted
from validator.lists.fingerprint_keys import format_key_file, key_id
from validator.lists.manifest import encode
from validator.lists.segment import NO_END

TABLE = segment_bytes({1: NO_END})
STATUS = {
    "state": "fresh",
    "problem": "",
    "since_unix_s": NOW_UNIX_S,
    "polled_unix_s": NOW_UNIX_S,
    "list_version": 7,
}
WELL = {"courier", "root", "accepted", "folders", "certificates"}


class SetClock(Clock):
    """A system whose clock shows what the test sets."""

    unix_s, is_synchronised = NOW_UNIX_S + 60, True

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self.unix_s, self.is_synchronised, 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The root of a city, in force for a year from NOW."""
    city = City.founded(tmp_path_factory.mktemp("city"), NOW_UNIX_S)
    return (city.home.roots / "1.root.json").read_bytes()


@pytest.fixture
def config(tmp_path: Path, root: bytes, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A gate with keys, a list, a folder that counts as memory-backed, a courier, no devices."""
    for name in ("lists", "recent", "keys"):
        (tmp_path / name).mkdir()
    put_secret(tmp_path / "keys" / "fleet.key", format_key_file(KEY))
    (tmp_path / "root.json").write_bytes(root)
    install(tmp_path / "lists", 1, (TABLE,))
    courier = f'[courier]\nurl = "https://lists.example/"\nroot = "{tmp_path}/root.json"'
    path = lane_config(tmp_path, more=courier)
    path.write_text(path.read_text().replace("grounds = true", "grounds = false"))
    path.write_text(path.read_text().replace("[list]", f'[list]\nrecent = "{tmp_path}/recent"'))
    monkeypatch.setattr(check, "Clock", SetClock)
    monkeypatch.setattr(check, "examine_devices", lambda _: iter(()))
    in_memory(monkeypatch, "recent")
    return load(path)


def in_memory(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the folders of these names be memory-backed, and no others."""

    def is_one(folder: Path) -> bool:
        folder.stat()
        return folder.name in names

    monkeypatch.setattr(check_courier, "is_in_memory", is_one)


def found(config: Config, subject: str) -> list[tuple[str, str]]:
    """Mark and text of each finding about it, every one of which fits on a line."""
    findings: list[check.Finding] = list(check.examine(config))
    assert all(finding.text.isprintable() for finding in findings)
    return [(finding.mark, finding.text) for finding in findings if finding.subject == subject]


def left(config: Config, **fields: Any) -> None:
    """Write the courier's status."""
    (Path(config.list.recent) / "courier.json").write_text(
        json.dumps(STATUS | {"disk_bytes": 9} | fields)
    )


def test_a_log_with_the_grounds_of_denials_is_noted(config: Config) -> None:
    assert found(config, "log") == []
    ((mark, text),) = found(replace(config, log=LogConfig(grounds=True)), "log")
    assert mark == "note"
    assert text.startswith("log.grounds is true: ")


def set_courier(config: Config, **fields: Any) -> Config:
    """The same gate with another [courier]."""
    assert config.courier is not None
    return replace(config, courier=replace(config.courier, **fields))


def keep(config: Config, **fields: Any) -> None:
    """Write a whole file of what the courier accepted."""
    manifest = encode(
        replace(manifest_of(7, (TABLE,)), fingerprint_key=key_id(fields.pop("key", KEY)).hex())
    )
    versions, keys = RoleVersions(1, 5, 4, 3), RoleKeys(("a1",), ("b2",), ("c3",))
    of = Accepted.of(Floor(versions, keys, 7, NOW_UNIX_S, era=1), manifest, "another", 5)
    DiskAcceptedStore(Path(config.list.folder)).accept(replace(of, **fields))


def accepted(config: Config, signed_unix_s: int) -> None:
    """Write what the courier accepted."""
    fields = {
        "signed_unix_s": signed_unix_s,
        "boot_id": "another",
        "boottime_ns": 5,
        "manifest": "{}",
    }
    (Path(config.list.folder) / "accepted.json").write_text(json.dumps(fields))


def test_a_complete_gate_has_no_note(config: Config, root: bytes) -> None:
    left(config)
    keep(config)
    DiskAcceptedStore(Path(config.list.folder)).keep_root(root)
    Path(config.reports.folder).mkdir(mode=0o700)
    findings = list(check.examine(config))
    assert {finding.subject for finding in findings if finding.subject in WELL} == WELL
    assert [finding.subject for finding in findings if finding.mark != "ok"] == ["socket"], (
        "no lane runs"
    )


def test_a_faulty_courier_does_not_keep_the_gate_from_serving(config: Config) -> None:
    Path(config.list.recent).rmdir()
    Path(set_courier(config).courier.root).unlink()  # type: ignore[union-attr]  # it has one
    findings = list(check.examine(set_courier(config, ca_file="/nowhere")))
    assert {finding.mark for finding in findings if finding.subject in WELL} == {"note"}
    assert not any(finding.fatal for finding in findings)


def test_a_gate_without_a_courier_gets_one_note(config: Config) -> None:
    findings = list(check.examine(replace(config, courier=None)))
    assert [finding.text for finding in findings if finding.subject in WELL] == [
        "not configured: lists come only by hand; config/validator.example.toml explains [courier]"
    ]


def test_a_courier_that_has_not_run_is_noted(config: Config) -> None:
    assert found(config, "courier") == [
        (
            "note",
            (
                "has written no status since the boot: is it running? "
                "(systemctl status turnike-courier)"
            ),
        )
    ]


def test_a_fresh_source_is_ok(config: Config) -> None:
    left(config)
    assert found(config, "courier") == [
        (
            "ok",
            (
                "fresh since 2021-01-02 00:00 UTC, "
                "asked last 2021-01-02 00:00 UTC (60 s ago), version 7"
            ),
        )
    ]


@pytest.mark.parametrize(("version", "told"), [(7, "version 7"), (0, "no list")])
def test_a_failing_source_is_noted_with_advice_and_the_list_in_use(
    config: Config, version: int, told: str
) -> None:
    left(config, state="unreachable", problem="no route\n", list_version=version)
    why = "unreachable since 2021-01-02 00:00 UTC: no route?; check the network and courier.url"
    asked = "asked last 2021-01-02 00:00 UTC (60 s ago)"
    assert found(config, "courier") == [("note", f"{why}; {asked}; the gate goes on by {told}")]


@pytest.mark.parametrize("state", list(SourceState)[1:])
def test_every_state_of_the_source_has_its_advice(config: Config, state: SourceState) -> None:
    left(config, state=state.value, problem="why")
    ((mark, text),) = found(config, "courier")
    assert mark == "note"
    assert f"why; {check_courier.ADVICE[state]}; asked last" in text


def test_a_state_of_a_newer_courier_is_shown_unchanged(config: Config) -> None:
    left(config, state="eaten\tby mice", problem="why")
    ((mark, text),) = found(config, "courier")
    assert (mark, text.startswith("eaten?by mice since 2021-01-02 00:00 UTC: why; asked last")) == (
        "note",
        True,
    )


@pytest.mark.parametrize(
    ("silent_s", "state", "asks"),
    [
        (900, "fresh", False),
        (1_000, "fresh", True),
        (5 * 86_400, "frozen", True),
        (5_000, "busy", False),
        (6_000, "busy", True),
    ],
)
def test_a_courier_that_is_silent_for_longer_than_a_poll_is_noted(
    config: Config, silent_s: int, state: str, asks: bool
) -> None:
    left(config, state=state, polled_unix_s=SetClock.unix_s - silent_s)
    ((_, text),) = found(config, "courier")
    assert ("is it running?" in text) is asks
    assert asks or "asked last" in text


def test_without_a_memory_backed_folder_an_old_status_is_no_fault(config: Config) -> None:
    config = replace(config, list=replace(config.list, recent=""))
    status = STATUS | {"polled_unix_s": NOW_UNIX_S - 86_400}
    (Path(config.list.folder) / "courier.json").write_text(json.dumps(status))
    ((mark, text),) = found(config, "courier")
    assert (mark, text.startswith("fresh since")) == ("ok", True)


@pytest.mark.parametrize("content", [b"", b"?", b"{}", b"[" * 9_000, b" " * 99_999])
def test_an_invalid_status_is_one_line(config: Config, content: bytes) -> None:
    (Path(config.list.recent) / "courier.json").write_bytes(content)
    ((mark, text),) = found(config, "courier")
    assert mark == "note"
    assert text.isprintable()
    assert text.endswith("the courier writes it again")


def test_a_synchronised_clock_is_ok_and_shows_the_floor(config: Config) -> None:
    accepted(config, NOW_UNIX_S + 30)
    ((mark, text),) = found(config, "clock")
    assert (mark, text) == (
        "ok",
        (
            "synchronised by the kernel's account; it is 2021-01-02 00:00 UTC at least, "
            "counted from the time signed by the city"
        ),
    )


@pytest.mark.parametrize(
    ("unix_s", "synchronised", "told"),
    [
        (60, False, "not synchronised: it is 2021-01-02 00:00 UTC at least"),
        (2**31, False, "not synchronised: it is 2021-01-02 00:00 UTC at least"),
        (
            60,
            True,
            (
                "the kernel calls it synchronised, and it is behind: "
                "it is 2021-01-02 00:00 UTC at least"
            ),
        ),
    ],
)
def test_a_clock_that_is_not_trusted_is_noted_and_expires_no_list(
    config: Config, monkeypatch: pytest.MonkeyPatch, unix_s: int, synchronised: bool, told: str
) -> None:
    monkeypatch.setattr(SetClock, "unix_s", unix_s)
    monkeypatch.setattr(SetClock, "is_synchronised", synchronised)
    ((mark, text),) = found(config, "clock")
    assert (mark, text.startswith(told)) == ("note", True)
    assert text.endswith(
        "counted from the time of the list itself; check the time service (timedatectl)"
    )
    assert found(config, "list") == [("ok", "version 1, 1 rule(s), fresh")]


def test_a_signed_time_ahead_of_a_synchronised_clock_may_be_either_clocks_fault(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(config, signed_unix_s=NOW_UNIX_S + 20 * 3_600)
    monkeypatch.setattr(SetClock, "unix_s", NOW_UNIX_S)
    ((mark, text),) = found(config, "clock")
    assert mark == "note"
    assert text.startswith("the kernel calls it synchronised, and it is behind: it is ")
    assert text.endswith(
        "if that is right, the city's clock ran ahead: call the back office (docs/runbook.md)"
    )


def test_before_the_first_list_no_time_is_invented(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SetClock, "is_synchronised", False)
    for path in Path(config.list.folder).iterdir():
        path.unlink()
    told = (
        "not synchronised: neither the city nor a list has given the time yet; "
        "check the time service (timedatectl)"
    )
    assert found(config, "clock") == [("note", told)]


def test_a_damaged_signed_time_is_noted(config: Config) -> None:
    (Path(config.list.folder) / "accepted.json").write_bytes(b"?")
    assert [mark for mark, _ in found(config, "clock")] == ["note", "ok"]


def test_a_list_past_its_expiry_by_the_signed_time_is_stale(config: Config) -> None:
    accepted(config, EXPIRES_UNIX_S + 60)
    assert found(config, "list") == [
        ("note", "version 1, 1 rule(s), stale: every card is decided by it (list.stale)")
    ]


def test_a_missing_segment_is_noted_at_once(config: Config) -> None:
    (Path(config.list.folder) / seg(TABLE)).unlink()
    texts = [text for _, text in found(config, "list")]
    assert "missing; the courier fetches it" in texts[0]


def test_the_root_is_shown_with_its_expiry(config: Config, root: bytes) -> None:
    told = [("ok", "root 1, expires 2022-01-02 00:00 UTC")]
    assert found(config, "root") == told
    DiskAcceptedStore(Path(config.list.folder)).keep_root(root)
    assert found(config, "root") == told


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"{}", "is no root metadata")]
)
def test_an_invalid_root_keeps_the_courier_from_starting_unless_it_has_verified_one(
    config: Config, root: bytes, content: bytes | None, why: str
) -> None:
    assert config.courier is not None
    path = Path(config.courier.root)
    path.write_bytes(content) if content is not None else path.unlink()
    told = f"{path}: {why}; put the city's root.json there, from a source you trust: "
    assert found(config, "root") == [("note", f"{told}the courier cannot start")]
    DiskAcceptedStore(Path(config.list.folder)).keep_root(root)
    assert found(config, "root") == [
        ("note", f"{told}the courier goes on by the root it has kept"),
        ("ok", "root 1, expires 2022-01-02 00:00 UTC"),
    ]


def test_a_damaged_stored_root_gives_way_to_the_given_one(config: Config) -> None:
    (Path(config.list.folder) / "root.json").write_bytes(b"\0" * 100)
    (mark, text), well = found(config, "root")
    assert (
        mark,
        text.endswith("the courier begins with courier.root and fetches the later ones"),
    ) == (
        "note",
        True,
    )
    assert well == ("ok", "root 1, expires 2022-01-02 00:00 UTC")


def test_an_expired_root_is_for_the_back_office_to_renew(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SetClock, "unix_s", NOW_UNIX_S + 366 * 86_400)
    ((mark, text),) = found(config, "root")
    assert mark == "note"
    assert text.startswith("root 1 expired 2022-01-02 00:00 UTC: nothing new is accepted until")


def test_the_accepted_list_is_shown(config: Config) -> None:
    assert found(config, "accepted") == [
        ("note", "nothing yet: the courier has not reached its city")
    ]
    keep(config)
    assert found(config, "accepted") == [("ok", "list 7 of era 1, signed 2021-01-02 00:00 UTC")]


def test_an_accepted_list_under_a_missing_key_names_the_key(config: Config) -> None:
    keep(config, key=OTHER_KEY)
    ((mark, text),) = found(config, "accepted")
    assert mark == "note"
    assert f"under fingerprint key {key_id(OTHER_KEY).hex()}, which this gate does not hold" in text
    (Path(config.list.keys) / "new.key").write_bytes(format_key_file(OTHER_KEY))
    assert [mark for mark, _ in found(config, "accepted")] == ["ok"]


def test_the_key_of_the_list_in_force_is_marked(config: Config) -> None:
    (Path(config.list.keys) / "new.key").write_bytes(format_key_file(OTHER_KEY))
    old, new = key_id(KEY).hex(), key_id(OTHER_KEY).hex()
    ((mark, text),) = found(config, "keys")
    assert mark == "ok"
    assert text.startswith("2 fingerprint key(s): ")
    assert set(text.removeprefix("2 fingerprint key(s): ").split(", ")) == {f"{old} (in use)", new}


def test_without_the_key_of_the_list_there_is_no_list_and_the_key_is_named(config: Config) -> None:
    (Path(config.list.keys) / "fleet.key").write_bytes(format_key_file(OTHER_KEY))
    (_, text), missing = found(config, "list")
    assert f"made under fingerprint key {key_id(KEY).hex()}, which this gate does not hold" in text
    assert missing == ("bad", "missing: every card is denied (list.missing)")


def test_an_invalid_accepted_file_loses_the_floor_and_is_noted(config: Config) -> None:
    (Path(config.list.folder) / "accepted.json").write_bytes(b"?")
    ((mark, text),) = found(config, "accepted")
    assert (mark, text.endswith("this gate begins as a new one")) == ("note", True)


@pytest.mark.parametrize(
    ("names", "marks", "said"),
    [
        (("recent",), ["ok"], "in memory, at "),
        ((), ["note"], "let list.recent be on a tmpfs"),
        (("recent", "lists"), ["note", "ok"], "list.folder must be on the disk"),
    ],
)
def test_folders_that_wear_the_disk_out_or_a_power_cut_would_empty_are_noted(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    marks: list[str],
    said: str,
) -> None:
    in_memory(monkeypatch, *names)
    findings = found(config, "folders")
    assert [mark for mark, _ in findings] == marks
    assert said in findings[0][1]


def test_without_a_recent_folder_the_note_names_one(config: Config) -> None:
    Path(config.list.recent).rmdir()
    ((mark, text),) = found(config, "folders")
    assert (mark, text.endswith("not there; the courier makes it when it starts")) == ("note", True)
    ((mark, text),) = found(replace(config, list=replace(config.list, recent="")), "folders")
    assert (mark, text.endswith("name a memory-backed folder in list.recent")) == ("note", True)


def test_the_file_of_authorities_is_checked(config: Config, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours").file
    assert found(config, "certificates")[0][0] == "ok"
    assert found(set_courier(config, ca_file=str(authority)), "certificates") == [
        ("ok", f"the web server's certificate is verified by the authorities in {authority}")
    ]
    assert found(set_courier(config, url="http://127.0.0.1/"), "certificates")[0][0] == "ok"
    for wrong in ("/nowhere", "/dev/null"):
        ((mark, text),) = found(set_courier(config, ca_file=wrong), "certificates")
        assert (mark, text.startswith(f"[courier]: {wrong}: ")) == ("note", True)
        assert text.endswith("write a file of certificates in PEM; the courier cannot start")


@pytest.mark.parametrize(
    ("upload", "mark", "text"),
    [
        ({"state": "fresh", "problem": ""}, "ok", "nothing keeps reports from the back office"),
        (
            {
                "state": "not ours",
                "problem": "r.example/v1/reports: something between answered 403",
            },
            "note",
            (
                "r.example/v1/reports: something between answered 403; "
                "reports wait on the gate until then (docs/reports.md)"
            ),
        ),
        (
            {"state": "of a newer courier", "problem": ""},
            "note",
            "of a newer courier; reports wait on the gate until then (docs/reports.md)",
        ),
    ],
)
def test_the_upload_finding_shows_whether_reports_reach_the_back_office(
    config: Config, upload: dict[str, str], mark: str, text: str
) -> None:
    of = replace(
        config, upload=UploadConfig(url="https://r.example/", key="/gate.pem", lanes=("/l.sock",))
    )
    left(of)
    assert found(of, "upload") == [], "an older courier does not report it"
    left(of, upload=upload)
    assert found(of, "upload") == [(mark, text)]
    assert found(config, "upload") == [], "a gate without [upload]"
    left(of, upload={"state": "\x1b[2J", "problem": "\u202e\nforged"})
    ((_, told),) = found(of, "upload")
    assert "forged" in told
