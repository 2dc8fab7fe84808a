"""`turnike check` on log, keys, list and time: each state is one line with what to do."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.city.list_making import (
    EXPIRES_UNIX_S,
    KEY,
    NOW_UNIX_S,
    OTHER_KEY,
    seg,
)
from tests.support.gate.checked_gate import TABLE, SetClock, accepted, found, keep
from validator.config import Config, LogConfig
from validator.lists.fingerprint_keys import format_key_file, key_id


def test_a_log_with_the_grounds_of_denials_is_noted(config: Config) -> None:
    assert found(config, "log") == []
    ((mark, text),) = found(replace(config, log=LogConfig(grounds=True)), "log")
    assert mark == "note"
    assert text.startswith("log.grounds is true: ")


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
