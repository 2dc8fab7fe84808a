"""`turnike check` on the courier: its status, root, accepted list, folders and certificates."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.city.list_making import (
    NOW_UNIX_S,
    OTHER_KEY,
)
from tests.support.gate.checked_gate import (
    STATUS,
    WELL,
    SetClock,
    found,
    in_memory,
    keep,
    left,
    set_courier,
)
from tests.support.web.web_server import Authority
from validator import check
from validator.check import courier as check_courier
from validator.config import Config, UploadConfig
from validator.courier.store.accepted_store import DiskAcceptedStore
from validator.errors import SourceState
from validator.lists.fingerprint_keys import format_key_file, key_id


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
