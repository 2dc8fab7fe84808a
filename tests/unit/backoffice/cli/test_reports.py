"""The commands about reports and gates: one line for each error, and no UID on a terminal."""

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from backoffice.cli.program import main
from backoffice.home.config import Config, ReportsConfig, load
from backoffice.home.folder import DAY_S
from backoffice.reports import keys as report_keys
from backoffice.reports.gate_views import views
from backoffice.reports.store import EnrolmentError, ReportStore
from backoffice.signing.keys import KeyFileError
from tests.support.city.published_view import view
from tests.support.city.publishing_rig import PublishingOffice, SocketlessGate
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, stored
from tests.support.machine.programs import Program
from validator.errors import ConfigError, SourceState
from validator.lane.outbox.sealing import Sealer
from validator.reports.sealing_keys import sealing_key_id

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # many fsyncs
SECRET = re.compile(r"PRIVATE KEY|-----BEGIN")


class Desk:
    """A folder in which a person types commands, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = folder / "city"
        self.store: ReportStore

    def types(self, *arguments: str, answers: str = "") -> str:
        """Run a command to its end. Returns its standard output."""
        ended = self.run(*arguments, answers=answers)
        assert ended.exit_code == 0, f"{arguments}: {ended.output}"
        return str(ended.stdout)

    def run(self, *arguments: str, answers: str = "") -> Result:
        """Run a command to its end; its output is checked for private keys."""
        ended = CliRunner(catch_exceptions=False).invoke(main, arguments, input=answers)
        assert not SECRET.search(ended.output)
        return ended

    def refused(self, *arguments: str) -> str:
        """Run a command that must not do it: exit 2 and one line, which is returned."""
        ended = self.run(*arguments)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.count("\n") == 1, ended.stderr
        return str(ended.stderr)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An empty folder for commands, in memory."""
    with (
        tempfile.TemporaryDirectory(prefix="reports-", dir=SHELVES) as folder,
        monkeypatch.context() as patched,
    ):
        patched.chdir(folder)
        patched.setenv("TURNIKE_HOME", "city")
        yield Desk(Path(folder))


# Sealing keys


def test_a_sealing_key_is_made_where_the_exporter_is_and_read_by_its_owner_alone(
    desk: Desk,
) -> None:
    said = desk.types("report-key", "make", "report-a", "--out", ".", "--no-passphrase")
    private, public = desk.folder / "report-a.pem", desk.folder / "report-a.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    key = report_keys.read_sealing_key(public)
    assert f"id {sealing_key_id(key).hex()}" in said
    assert "is there already" in desk.refused(
        "report-key", "make", "report-a", "--out", ".", "--no-passphrase"
    )
    assert report_keys.Opener([report_keys.read_opening_key(private)]).key_ids == {
        sealing_key_id(key).hex()
    }


def test_a_sealing_key_has_a_passphrase_unless_an_option_declines_it(desk: Desk) -> None:
    (desk.folder / "words").write_text("correct horse battery staple\n")
    (desk.folder / "short").write_text("horse\n")
    make = ("report-key", "make", "a", "--out", ".")
    assert "no terminal to ask for the passphrase; use --passphrase-file" in desk.refused(*make)
    assert "at least 20 characters" in desk.refused(*make, "--passphrase-file", "short")
    assert not (desk.folder / "a.pem").exists()
    desk.types(*make, "--passphrase-file", "words")
    with pytest.raises(KeyFileError, match="no terminal to ask for it"):
        report_keys.read_opening_key(desk.folder / "a.pem")
    assert report_keys.read_opening_key(
        desk.folder / "a.pem", lambda: "correct horse battery staple"
    )


def test_keys_of_reports_are_not_mistaken_for_each_other(desk: Desk) -> None:
    desk.types("report-key", "make", "seal", "--out", ".", "--no-passphrase")
    desk.types("report-key", "make", "sign", "--out", ".", "--no-passphrase", "--signing")
    for read, name, told in (
        (report_keys.read_sealing_key, "sign.pub", "is no X25519 key"),
        (report_keys.read_opening_key, "sign.pem", "is no X25519 key"),
        (report_keys.read_signer, "seal.pub", "is no Ed25519 key"),
        (report_keys.read_signing_key, "seal.pem", "is no Ed25519 key"),
        (report_keys.read_sealing_key, "seal.pem", "is a private key"),
        (report_keys.read_opening_key, "seal.pub", "is the public part"),
        (report_keys.read_sealing_key, "gone.pub", "No such file"),
    ):
        with pytest.raises(KeyFileError, match=f"{name}.*{told}"):
            read(desk.folder / name)


def test_a_weak_key_to_which_nothing_can_be_sealed_is_refused(desk: Desk) -> None:
    weak = X25519PublicKey.from_public_bytes(bytes(32))
    (desk.folder / "weak.pub").write_bytes(
        weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="is a weak key"):
        report_keys.read_sealing_key(desk.folder / "weak.pub")


@pytest.fixture
def town() -> Iterator[PublishingOffice]:
    """A city that has published a list without a sealing key."""
    with tempfile.TemporaryDirectory(prefix="reports-", dir=SHELVES) as folder:
        made = PublishingOffice(Path(folder) / "town")
        made.publish()
        yield made
        made.close()


def sealing_to(town: PublishingOffice, name: str) -> Config:
    """Name a key in the configuration, and make it if it is not there."""
    if not (town.home.folder / f"{name}.pem").exists():
        report_keys.make_sealing_key(town.home.folder, name, None)
    town.config = replace(town.config, reports=ReportsConfig(sealing_key=f"{name}.pub"))
    return town.config


def sealing_key_of(gate: SocketlessGate) -> str | None:
    """To which key a gate seals when it has polled."""
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    return gate.rules.sealing_key.hex() if gate.rules.sealing_key else None


def test_another_sealing_key_is_a_reason_to_publish_and_comes_to_the_gates(
    town: PublishingOffice,
) -> None:
    gate = town.gate()
    assert sealing_key_of(gate) is None
    for name in ("a", "b"):
        expected = report_keys.published_sealing_key(sealing_to(town, name))
        outcome = town.publish()
        assert outcome.why == ("the sealing key changed",)
        assert town.publish().why == ()
        seen = view(town.published)
        assert seen is not None
        assert seen.manifest.sealing_key == expected
        assert sealing_key_of(gate) == expected
    town.config = replace(town.config, reports=ReportsConfig())
    assert town.publish().why == ("the sealing key changed",)
    gate.web.close()


def test_a_sealing_key_that_is_not_there_stops_publishing_with_one_line(
    town: PublishingOffice,
) -> None:
    town.config = replace(town.config, reports=ReportsConfig(sealing_key="gone.pub"))
    with pytest.raises(KeyFileError, match=r"gone\.pub: No such file"):
        town.publish()


def test_the_table_of_reports_is_checked(desk: Desk) -> None:
    desk.types("init", "city", "--development")
    path = desk.city / "backoffice.toml"
    text = path.read_text()
    assert load(desk.city).reports == ReportsConfig()
    for line, told in (
        ("retention_days = 0", "reports.retention_days"),
        ('sealing_key = "a\\u0000"', "reports.sealing_key: names no file"),
        ("days = 1", "reports.days: is not a key"),
    ):
        path.write_text(text.replace("retention_days = 30 ", f"{line} "))
        with pytest.raises(ConfigError, match=told):
            load(desk.city)


# Gates


@pytest.fixture
def city(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A city, and the time that its commands see."""
    desk.types("init", "city", "--development")
    for name in ("gates", "reports"):
        monkeypatch.setattr(f"backoffice.cli.{name}.now_unix_s", lambda: NOW_UNIX_S)
    desk.store = ReportStore.open(load(desk.city).database_url)
    yield desk
    desk.store.close()


def status(every_s: int = 60, **lane: object) -> str:
    """The status of a gate with one lane."""
    well: dict[str, object] = {
        "list_version": 7,
        "list_issued_unix_s": NOW_UNIX_S - 600,
        "list_problems": [],
        "devices": {"reader": "ready", "board": "ready"},
        "reports_waiting": 3,
        "reports_trouble": "",
    }
    way = {"state": "fresh", "problem": ""}
    return json.dumps(
        {"gate_id": "g", "every_s": every_s, "courier": way, "carrier": way, "lanes": [well | lane]}
    )


def enrolled(city: Desk, gate_id: str) -> None:
    """Enrol a gate as people do it."""
    token = city.types("enroll", gate_id).strip()
    city.store.enrol(gate_id, token, b"k" * 32, NOW_UNIX_S)


def test_enroll_prints_a_token_that_enrols_this_gate_once_and_nothing_else(city: Desk) -> None:
    said = city.types("enroll", "kadikoy-03")
    assert re.fullmatch(r"[0-9a-f]{40}\n", said)
    with pytest.raises(EnrolmentError):
        city.store.enrol("kadikoy-04", said.strip(), b"k" * 32, NOW_UNIX_S)
    city.store.enrol("kadikoy-03", said.strip(), b"k" * 32, NOW_UNIX_S + 6 * DAY_S)
    assert city.store.public_key("kadikoy-03") == b"k" * 32


def test_enroll_refuses_what_no_gate_is_called(city: Desk) -> None:
    for gate_id in ("", "../a", "a b", "a" * 33, "ş", "a\n"):
        assert "is no gate's name" in city.refused("enroll", gate_id)


def test_a_stolen_gate_is_struck_off_by_one_command(city: Desk) -> None:
    enrolled(city, "kadikoy-03")
    assert "struck off" in city.types("strike-off", "kadikoy-03")
    assert city.store.public_key("kadikoy-03") is None
    assert "was struck off already" in city.types("strike-off", "kadikoy-03")
    assert "no such gate is enrolled" in city.refused("strike-off", "kadikoy-3")
    assert "STRUCK OFF 2027-01-15" in city.types("gates")


def test_gates_shows_the_status_of_each(city: Desk) -> None:
    for gate_id, told, ago_s in (
        ("a", status(), 20),
        (
            "b",
            status(
                devices={"reader": "lost", "board": "ready"}, reports_trouble="the disk is full"
            ),
            20,
        ),
        ("c", status(), 600),
        ("d", None, 0),
    ):
        enrolled(city, gate_id)
        if told:
            set_status(city.store, gate_id, 1, NOW_UNIX_S - ago_s, told)
    assert city.types("gates").splitlines() == [
        "a  status 20 s ago, list 7 (10 min old), board ready, reader ready, 3 reports wait",
        "b  status 20 s ago, list 7 (10 min old), board ready, reader lost, 3 reports wait",
        "    TROUBLE reader lost",
        "    TROUBLE the disk is full",
        "c  status 10 min ago, list 7 (10 min old), board ready, reader ready, 3 reports wait",
        "    TROUBLE silent for 10 min",
        "d  enrolled 2027-01-15 08:00:00 UTC, no status yet",
        "4 gates, 2 in trouble, 0 struck off",
    ]
    first = json.loads(city.types("gates", "--json"))[0]
    assert (first["gate_id"], first["list_version"], first["reports_waiting"]) == ("a", 7, 3)


def test_a_gate_that_a_busy_server_has_slowed_down_is_silent_only_after_three_missed_statuses(
    city: Desk,
) -> None:
    said = {
        "at-rest": (900, 2_699),
        "gone": (900, 2_700),
        "liar": (10**9, 2_700),
        "well": (0, 179),
        "off": (0, 180),
    }
    for gate_id, (every_s, ago_s) in said.items():
        enrolled(city, gate_id)
        set_status(city.store, gate_id, 1, NOW_UNIX_S - ago_s, status(every_s))
    silent = {view.gate_id for view in views(city.store.gate_rows(), NOW_UNIX_S) if view.troubles}
    assert silent == {"gone", "liar", "off"}


UNKNOWN = "it is not known how many reports wait"
HOSTILE = {
    "{}": UNKNOWN,
    '{"lanes": [{"reports_waiting": 2}, {"reports_waiting": 3}]}': "5 reports wait",
    '{"lanes": [{"reports_waiting": 2}, {"reports_waiting": null}]}': UNKNOWN,
    '{"lanes": [{"reports_waiting": 2}, {"problem": "gone"}]}': UNKNOWN,
    '{"lanes": 3}': "TROUBLE its status cannot be read",
    '{"lanes": [{"problem": "\\u001b[2J\\nall well"}]}': "TROUBLE ?[2J?all well",
    '{"lanes": [{"list_version": 1, "devices": {"\\u001b": "\\u0007"}}]}': "TROUBLE ? ?",
    '{"lanes": [{"problem": "no lane"}, {"list_version": 1}]}': "TROUBLE lane 1: no lane",
    '{"lanes": [{}]}': "TROUBLE no list",
    '{"carrier": {"state": "away", "problem": "no way"}}': "TROUBLE reports: no way",
    '{"courier": {"state": "frozen"}}': "TROUBLE lists: frozen",
    '{"lanes": [{"list_version": 1, "reports_refused": 9}]}': "TROUBLE 9 reports refused",
    '{"lanes": [{"list_version": 1, "emergency": true}]}': "TROUBLE emergency: its arms hang free",
    '{"lanes": [{"list_version": 1, "tamper": true}]}': "TROUBLE its housing is open",
    '{"lanes": [{"list_version": 1, "forced": 2}]}': "TROUBLE locked arms were turned 2 times",
}


def test_any_status_of_a_gate_is_harmless_to_a_terminal(city: Desk) -> None:
    enrolled(city, "a")
    for created, (told, seen) in enumerate(HOSTILE.items(), start=1):
        set_status(city.store, "a", created, NOW_UNIX_S, told)
        said = city.types("gates")
        assert seen in said, told
        assert "\x1b" not in said
        json.loads(city.types("gates", "--json"))


# Reports

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
