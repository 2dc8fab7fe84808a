"""The commands about reports and gates: one line for each error, and no UID on a terminal."""

import json
import re
import time

import pytest

from backoffice.home.folder import DAY_S
from backoffice.reports import keys as report_keys
from tests.support.city.report_commands import Desk, status
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.machine.programs import Program
from validator.lane.outbox.sealing import Sealer

UIDS = [bytes.fromhex(f"04c0ffee{number:06x}") for number in range(0xABCDEF, 0xABCDEF + 8)]


def no_uid(said: str) -> None:
    """No card is named, in whatever way people write it."""
    plain = re.sub(r"[^0-9a-f]", "", said.lower())
    assert "c0ffee" not in plain


@pytest.fixture
def exporter(city: Desk) -> Desk:
    """A city with reports, and all the keys of an export."""
    for name, more in (
        ("report-a", ()),
        ("report-b", ()),
        ("ministry", ()),
        ("exporter", ("--signing",)),
    ):
        city.types("report-key", "make", name, "--out", ".", "--no-passphrase", *more)
    for seq, uid in enumerate(UIDS, start=1):
        sealer = Sealer()
        sealer.seal_to(report_keys.read_sealing_key(city.folder / f"report-{'ab'[seq % 2]}.pub"))
        sealed, sealed_to = sealer.seal(uid)
        made_unix_s = NOW_UNIX_S - 10 * DAY_S + seq
        report = stored(seq, sealed=sealed, sealed_to=sealed_to, unix_s=made_unix_s)
        city.store.add("gate", [report], made_unix_s)
    return city


EXPORT = (
    "reports",
    "export",
    "--key",
    "report-a.pem",
    "--key",
    "report-b.pem",
    "--to",
    "ministry.pub",
)


SIGNED = (*EXPORT, "--sign", "exporter.pem", "--who", "Ayşe Kaya")


OPEN = ("reports", "open", "out", "--key", "ministry.pem", "--signer", "exporter.pub")


def test_an_export_goes_from_the_city_to_the_authority_and_names_no_card_on_the_way(
    exporter: Desk,
) -> None:
    said = exporter.types(*SIGNED, "out")
    no_uid(said)
    assert said.startswith("out: 8 reports, received until 2027-01-15 07:55:00 UTC, for ministry ")
    opened = exporter.run(*OPEN)
    assert opened.exit_code == 0
    assert [json.loads(line)["uid"] for line in opened.stdout.splitlines()] == [
        uid.hex() for uid in UIDS
    ]
    no_uid(opened.stderr)
    assert "exported 2027-01-15 08:00:00 UTC by 'Ayşe Kaya'" in opened.stderr
    log = exporter.types("reports", "log")
    no_uid(log)
    assert "Ayşe Kaya for ministry" in log
    assert "1 exports" in log
    assert json.loads(exporter.types("reports", "log", "--json"))[0]["sha256"] in log


def test_an_export_with_one_key_of_two_names_what_it_lacks(exporter: Desk) -> None:
    one = (*SIGNED[:4], *SIGNED[6:])
    said = exporter.types(
        *one, "out", "--from", "2026-12-01T00:00:00+03:00", "--up-to", str(NOW_UNIX_S - 300)
    )
    no_uid(said)
    assert re.search(r"WITHOUT A UID 4: sealed to [0-9a-f]{16}, a key that was not given", said)


REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((*SIGNED, "there"), "there: is there already"),
    ((*SIGNED, "gone/out"), "-out: No such file"),
    ((*SIGNED, "out", "--from", "yesterday"), "--from 'yesterday': give a time such as"),
    ((*SIGNED, "out", "--from", "2026-12-01"), "give a time such as"),
    ((*SIGNED, "out", "--from", "9" * 40), "give a time such as"),
    ((*SIGNED, "out", "--up-to", str(NOW_UNIX_S)), "cannot be exported yet"),
    ((*EXPORT, "--sign", "exporter.pem", "--who", "a\nb", "out"), "--who: a name has"),
    ((*EXPORT, "--sign", "report-a.pem", "--who", "a", "out"), "report-a.pem: is no Ed25519 key"),
    ((*EXPORT, "--who", "a", "out"), "Missing option '--sign'"),
    ((*SIGNED, "out", "--key", "exporter.pem"), "exporter.pem: is no X25519 key"),
    (("reports", "open", "there", *OPEN[3:]), "there: is no export of reports"),
    (("reports", "open", "gone", *OPEN[3:]), "gone: No such file"),
    (("reports", "list", "--home", "gone"), "is not there"),
]


def test_what_cannot_be_is_one_line(exporter: Desk) -> None:
    (exporter.folder / "there").write_bytes(b"something")
    for arguments, told in REFUSED:
        said = exporter.refused(*arguments)
        assert told in said, arguments
        no_uid(said)
        assert not (exporter.folder / "out").exists()
    assert exporter.store.export_log() == []


def test_an_export_for_another_authority_or_by_another_exporter_is_not_opened(
    exporter: Desk,
) -> None:
    exporter.types(*SIGNED, "out")
    exporter.types("report-key", "make", "other", "--out", ".", "--no-passphrase", "--signing")
    wrong_key = exporter.refused(*OPEN[:3], "--key", "report-a.pem", "--signer", "exporter.pub")
    assert "out: is sealed to another key, or damaged" in wrong_key
    assert "do not believe it" in exporter.refused(*OPEN[:5], "--signer", "other.pub")


def test_list_shows_what_is_missing_refused_and_begun_again(city: Desk) -> None:
    reports = [stored(seq, refused_before=2 if seq == 5 else 0) for seq in (1, 2, 5)]
    later = [stored(seq, outbox_id="f" * 32, unix_s=NOW_UNIX_S + 99) for seq in (1, 2)]
    far = stored(1, gate_id="mad", unix_s=(1 << 53) - 1)
    city.store.add("gate", [*reports, *later], NOW_UNIX_S)
    city.store.add("mad", [far], NOW_UNIX_S)
    assert city.types("reports", "list").splitlines() == [
        "gate  lane 1, outbox 00000000: 3 reports, the newest of 2027-01-15 08:00:05 UTC",
        "    MISSING 2 of 5, they never came: 3 to 4",
        "    REFUSED 2: the gate could not keep them",
        "gate  lane 1, outbox ffffffff: 2 reports, the newest of 2027-01-15 08:01:39 UTC",
        "    NEW OUTBOX: the one before ended; reports of it that had not come are lost",
        "mad  lane 1, outbox 00000000: 1 reports, the newest of 9007199254740991 s",
        "6 reports came, 2 are missing, 2 were refused by gates",
    ]
    told = json.loads(city.types("reports", "list", "--json"))
    assert [(each["is_new"], each["gaps"]) for each in told] == [
        (False, [[3, 4]]),
        (True, []),
        (False, []),
    ]


def test_the_outbox_that_came_later_is_the_new_one_whatever_the_gates_clock_was(
    city: Desk,
) -> None:
    city.store.add("gate", [stored(1, unix_s=NOW_UNIX_S + 365 * DAY_S)], NOW_UNIX_S)
    city.store.add("gate", [stored(1, outbox_id="f" * 32)], NOW_UNIX_S + 60)
    told = json.loads(city.types("reports", "list", "--json"))
    assert [(each["outbox_id"][0], each["is_new"]) for each in told] == [("0", False), ("f", True)]


def test_an_empty_city_has_no_reports_gates_and_exports(city: Desk) -> None:
    assert (
        city.types("reports", "list") == "0 reports came, 0 are missing, 0 were refused by gates\n"
    )
    assert city.types("gates") == "0 gates, 0 in trouble, 0 struck off\n"
    assert city.types("reports", "log") == "0 exports\n"


def test_forget_deletes_what_is_older_than_retention_and_prints_how_many(exporter: Desk) -> None:
    exporter.store.add(
        "gate", [stored(99, unix_s=NOW_UNIX_S - 31 * DAY_S)], NOW_UNIX_S - 31 * DAY_S
    )
    set_status(exporter.store, "gate", NOW_UNIX_S - DAY_S, NOW_UNIX_S, status())
    assert exporter.types("reports", "forget").startswith(
        "1 reports deleted: received before 2026-12-16"
    )
    assert exporter.store.count() == 8


def test_a_clock_that_runs_ahead_of_all_gates_deletes_nothing_until_a_person_says_that_it_is_right(
    exporter: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status(exporter.store, "gate", NOW_UNIX_S, NOW_UNIX_S, status())
    for module in ("publish", "reports"):
        monkeypatch.setattr(f"backoffice.cli.{module}.now_unix_s", lambda: NOW_UNIX_S + 365 * DAY_S)
    assert "no report is deleted: no gate has sent a status" in exporter.refused(
        "reports", "forget"
    )
    assert "no report is deleted: no gate has sent a status" in exporter.run("publish").stderr
    assert exporter.store.count() == 8
    assert exporter.types("reports", "forget", "--clock-is-right").startswith("8 reports deleted")


def test_publish_deletes_reports_whose_time_is_over_also_when_no_list_can_be_made(
    exporter: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.cli.publish.now_unix_s", lambda: NOW_UNIX_S + 21 * DAY_S)
    set_status(exporter.store, "gate", NOW_UNIX_S + 21 * DAY_S, NOW_UNIX_S + 21 * DAY_S, status())
    (exporter.city / "keys/online/targets.pem").rename(exporter.folder / "targets.pem")
    ended = exporter.run("publish")
    assert ended.exit_code == 2, ended.output
    assert "8 reports deleted: their retention is over\n" in ended.stdout
    assert exporter.store.count() == 0


def test_publish_watch_deletes_them_as_well(city: Desk) -> None:
    city.store.add("gate", [stored(seq) for seq in (1, 2)], 0)
    set_status(city.store, "gate", int(time.time()), int(time.time()), status())
    watch = Program("backoffice", "publish", "--home", str(city.city), "--watch", "--json")
    try:
        watch.event("forgotten", reports=2)
    finally:
        watch.close()
    assert city.store.count() == 0
