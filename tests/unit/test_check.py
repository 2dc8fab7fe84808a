"""What `turnike check` says of lists, the courier and time: each state in one line, and how to mend it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.list_making import EXPIRES_UNIX_S, KEY, NOW_UNIX_S, install, seg, segment_bytes
from tests.programs import lane_config
from validator import check
from validator.adapters.clock import Clock
from validator.config import Config, load
from validator.domain.trusted_time import SystemClock
from validator.formats.fingerprint_keys import format_key_file
from validator.formats.segment import NO_END

TABLE = segment_bytes({1: NO_END})
STATUS = {
    "state": "fresh",
    "problem": "",
    "since_unix_s": NOW_UNIX_S,
    "polled_unix_s": NOW_UNIX_S,
    "list_version": 7,
}


class SetClock(Clock):
    """A system whose clock says what the test wants."""

    unix_s, is_synchronised = NOW_UNIX_S + 60, True

    def system(self) -> SystemClock:
        """See Clock."""
        return SystemClock(self.unix_s, self.is_synchronised, 0)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A gate with keys, a list, a memory-backed folder, and no devices."""
    for name in ("lists", "recent", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys" / "fleet.key").write_bytes(format_key_file(KEY))
    install(tmp_path / "lists", 1, (TABLE,))
    path = lane_config(tmp_path)
    path.write_text(path.read_text().replace("[list]", f'[list]\nrecent = "{tmp_path}/recent"'))
    monkeypatch.setattr(check, "Clock", SetClock)
    monkeypatch.setattr(check, "_devices", lambda _: iter(()))
    return load(path)


def found(config: Config, subject: str) -> list[tuple[str, str]]:
    """Mark and text of each finding about it."""
    findings: list[check.Finding] = list(check.examine(config))
    return [(finding.mark, finding.text) for finding in findings if finding.subject == subject]


def left(config: Config, **fields: Any) -> None:
    """Leave the courier's status there."""
    (Path(config.list.recent) / "courier.json").write_text(json.dumps(STATUS | {"disk_bytes": 9} | fields))


def accepted(config: Config, signed_unix_s: int) -> None:
    """Leave what the courier accepted there."""
    fields = {"signed_unix_s": signed_unix_s, "boot_id": "another", "boottime_ns": 5, "manifest": "{}"}
    (Path(config.list.folder) / "accepted.json").write_text(json.dumps(fields))


def test_without_a_courier_it_says_so(config: Config) -> None:
    assert found(config, "lists") == [("note", "no courier has run here: lists come only by hand")]


def test_a_fresh_source_is_well(config: Config) -> None:
    left(config)
    assert found(config, "lists") == [
        ("ok", "fresh since 2021-01-02 00:00 UTC, asked last 2021-01-02 00:00 UTC, version 7")
    ]


@pytest.mark.parametrize(("version", "told"), [(7, "version 7"), (0, "no list")])
def test_a_source_that_fails_is_told_with_what_the_gate_goes_on_by(
    config: Config, version: int, told: str
) -> None:
    left(config, state="unreachable", problem="no route\n", list_version=version)
    assert found(config, "lists") == [
        ("note", f"unreachable since 2021-01-02 00:00 UTC: no route?; the gate goes on by {told}")
    ]


def test_a_courier_that_is_silent_is_told(config: Config) -> None:
    left(config, polled_unix_s=NOW_UNIX_S - 86_400)
    ((mark, text),) = found(config, "lists")
    assert mark == "note"
    assert text.startswith("asked last 2021-01-01 00:00 UTC: is the courier running?")


@pytest.mark.parametrize("content", [b"", b"?", b"{}", b"[" * 9_000, b" " * 99_999])
def test_a_status_that_is_none_is_one_line(config: Config, content: bytes) -> None:
    (Path(config.list.recent) / "courier.json").write_bytes(content)
    ((mark, text),) = found(config, "lists")
    assert mark == "note"
    assert text.isprintable()
    assert text.endswith("the courier writes it anew")


def test_the_floor_and_a_synchronised_clock_are_told(config: Config) -> None:
    accepted(config, NOW_UNIX_S + 30)
    ((mark, text),) = found(config, "clock")
    assert (mark, text) == (
        "ok",
        "synchronised, says the kernel; it is 2021-01-02 00:00 UTC at least, counted from the time signed by the city",
    )


@pytest.mark.parametrize(
    ("unix_s", "synchronised", "told"),
    [
        (60, False, "not synchronised: it is 2021-01-02 00:00 UTC at least"),
        (2**31, False, "not synchronised: it is 2021-01-02 00:00 UTC at least"),
        (60, True, "the kernel calls it synchronised, and it is behind: it is 2021-01-02 00:00 UTC at least"),
    ],
)
def test_a_clock_that_is_not_believed_is_told_and_expires_nothing(
    config: Config, monkeypatch: pytest.MonkeyPatch, unix_s: int, synchronised: bool, told: str
) -> None:
    monkeypatch.setattr(SetClock, "unix_s", unix_s)
    monkeypatch.setattr(SetClock, "is_synchronised", synchronised)
    ((mark, text),) = found(config, "clock")
    assert (mark, text.startswith(told)) == ("note", True)
    assert text.endswith("counted from the time of the list itself; check the time service (timedatectl)")
    assert found(config, "list") == [("ok", "version 1, 1 rule(s), fresh")]


def test_a_spoiled_signed_time_is_told(config: Config) -> None:
    (Path(config.list.folder) / "accepted.json").write_bytes(b"?")
    assert [mark for mark, _ in found(config, "clock")] == ["note", "ok"]


def test_a_list_past_its_expiry_by_the_signed_time_is_stale(config: Config) -> None:
    accepted(config, EXPIRES_UNIX_S + 60)
    assert found(config, "list") == [
        ("note", "version 1, 1 rule(s), stale: every card is decided by it (list.stale)")
    ]


def test_a_missing_segment_is_told_at_once(config: Config) -> None:
    (Path(config.list.folder) / seg(TABLE)).unlink()
    texts = [text for _, text in found(config, "list")]
    assert "missing; the courier fetches it" in texts[0]
