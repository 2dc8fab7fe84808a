"""The lane as a process on simulated devices: outcomes, signals, lists, what it leaves behind."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.gate_rig import Gate, gate, serving
from tests.support.city.list_making import KEY, entry_of, segment_bytes
from validator.courier.store.installer import ListInstaller
from validator.domain.cards import CardUid
from validator.domain.rules import Effect
from validator.lists.fingerprint_keys import format_key_file
from validator.lists.manifest import Manifest, RuleEntry, encode
from validator.lists.segment import NO_END


@pytest.fixture(params=["pn532", "serial"])
def either_gate(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Gate]:
    """A gate with either driver: what a passenger sees does not depend on it."""
    with gate(tmp_path, reads_on_board=request.param == "serial") as made:
        yield made


@pytest.fixture
def one_gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate with the reference reader."""
    with gate(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("kind", "outcome", "ground", "rule", "reported"),
    [
        ("matched", "admitted", "no rule speaks", "", False),
        ("suspended", "denied", "in table", "suspended", True),
        ("unmatched", "denied", "not in table", "matched", False),
        ("ended", "admitted", "no rule speaks", "", False),
        ("staff", "admitted", "in table", "staff", True),
        ("classic", "admitted", "no rule speaks", "", False),
    ],
)
def test_a_card_gets_its_outcome(
    one_gate: Gate, kind: str, outcome: str, ground: str, rule: str, reported: bool
) -> None:
    with serving(one_gate) as lane:
        line = one_gate.tap(lane, one_gate.card(kind))
        assert (line["outcome"], line["ground"], line["rule"], line["reported"]) == (
            outcome,
            ground,
            rule,
            reported,
        )
        one_gate.board.event("show", outcome=outcome)
        opened = [line for line in one_gate.board.catch_up() if line.get("event") == "open"]
        assert len(opened) == (outcome == "admitted")


def test_no_verdict_without_exactly_one_whole_card(either_gate: Gate) -> None:
    with serving(either_gate) as lane:
        source = either_gate.card_source
        source.say(f"clash {either_gate.card('matched')} {either_gate.card('matched')}")
        assert lane.event("tap")["outcome"] == "try_again"
        either_gate.take_away()
        random_uid = either_gate.tap(lane, "08a1b2c3")
        assert (random_uid["outcome"], random_uid["ground"], random_uid["token"]) == (
            "unsupported",
            "random uid",
            "",
        )
        either_gate.serves(lane)
        opened = [
            line["tap"] for line in either_gate.board.catch_up() if line.get("event") == "open"
        ]
        assert len(opened) == 1


def test_a_denied_card_is_shown_again_and_reported_once(either_gate: Gate) -> None:
    with serving(either_gate) as lane:
        uid = either_gate.card("suspended")
        lines = [either_gate.tap(lane, uid) for _ in range(3)]
        assert [line["outcome"] for line in lines] == ["denied"] * 3
        assert [line["reported"] for line in lines] == [True, False, False]
        assert len({line["token"] for line in lines}) == 1
        assert lines[-1]["reports_waiting"] == 1


def test_a_card_held_after_it_was_admitted_opens_once(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        one_gate.reader.say(f"present {one_gate.card('matched')}")
        lane.event("passage", passed=True)
        one_gate.board.event(
            "show", outcome="ready", by="board"
        )  # the feedback is over, and the card still lies there
        assert [line["event"] for line in lane.catch_up()].count("tap") == 1


def test_sigterm_shows_out_of_service_and_leaves_the_chip_as_a_fresh_program_expects_it(
    one_gate: Gate,
) -> None:
    with serving(one_gate) as lane:
        one_gate.serves(lane)
        assert lane.end() == 0
        one_gate.board.event("show", outcome="out_of_service", by="lane")
        assert lane.heard[-1]["event"] == "stopped"
        one_gate.reader.say("status")
        assert one_gate.reader.event("status")["baud"] == 115_200


def publish(
    of: Gate,
    version: int,
    suspended: list[str],
    issued_unix_s: int,
    *,
    era: int = 0,
    recent: bool = False,
) -> None:
    """A list with one refusing rule about these cards, on the disk or in memory."""
    content = segment_bytes(
        {CardUid(bytes.fromhex(uid)).fingerprint(KEY): NO_END for uid in suspended},
        to_version=version,
    )
    rule = RuleEntry("suspended", Effect.REFUSE, (entry_of(content),), reports=True)
    manifest = Manifest(version, issued_unix_s, issued_unix_s + 5 * 86_400, (rule,))
    disk, memory = of.folder / "lists", of.folder / "recent"
    installer = ListInstaller(memory, also=disk) if recent else ListInstaller(disk)
    installer.install(encode(manifest), {entry_of(content).file_name: content}, era=era)


@pytest.mark.parametrize("told", ["SIGHUP", "by itself"])
def test_a_new_list_is_adopted_between_two_taps(one_gate: Gate, told: str) -> None:
    (one_gate.folder / "keys" / "second.key").write_bytes(format_key_file(KEY))
    with serving(one_gate) as lane:
        uid = one_gate.card("matched")
        assert one_gate.tap(lane, uid)["outcome"] == "admitted"
        lane.event("passage")
        publish(one_gate, 7, [uid], 1_780_000_100)
        if told == "SIGHUP":
            lane.process.send_signal(signal.SIGHUP)
        assert lane.event("list", list_version=7)
        line = one_gate.tap(lane, uid)
        assert (line["outcome"], line["list_version"]) == ("denied", 7)


def test_a_torn_newer_list_is_logged_in_one_line_and_the_last_good_one_serves(
    one_gate: Gate,
) -> None:
    (one_gate.folder / "keys" / "second.key").write_bytes(format_key_file(KEY))
    with serving(one_gate) as lane:
        publish(one_gate, 7, [one_gate.card("matched")], 1_780_000_100)
        assert lane.event("list", list_version=7)
        newest = max(
            (one_gate.folder / "lists").glob("*.seg"), key=lambda path: path.stat().st_mtime_ns
        )
        content = newest.read_bytes()
        replaced = newest.with_suffix(".torn")
        replaced.write_bytes(content[:-8] + b"\xff" * 8)
        replaced.rename(newest)
        assert "body checksum" in lane.event("list problem")["problem"]
        assert one_gate.serves(lane)["list_version"] == 7


def test_a_fingerprint_key_that_is_put_there_is_used_without_a_restart(one_gate: Gate) -> None:
    with serving(one_gate) as lane:
        uid = one_gate.card("matched")
        publish(one_gate, 7, [uid], 1_780_000_100)
        assert "put that key into list.keys" in lane.event("list problem")["problem"]
        assert one_gate.serves(lane)["list_state"] == "corrupt"
        (one_gate.folder / "keys" / "second.key").write_bytes(format_key_file(KEY))
        assert lane.event("list", list_version=7)
        assert one_gate.tap(lane, uid)["outcome"] == "denied"


@pytest.mark.parametrize("spoil", ["no folder", "no key", "not a key", "not readable as a file"])
def test_a_lane_without_a_key_serves_by_its_policy_and_uses_the_first_that_comes(
    one_gate: Gate, spoil: str
) -> None:
    keys = one_gate.folder / "keys"
    key = (keys / "demo.key").read_bytes()
    (keys / "demo.key").unlink()
    match spoil:
        case "no folder":
            keys.rmdir()
        case "not a key":
            (keys / "demo.key").write_text("5ecret\n")
        case "not readable as a file":
            (keys / "demo.key").mkdir()
    with serving(one_gate) as lane:
        assert one_gate.tap(lane, one_gate.card("matched"))["ground"] == "list missing"
        problems = [line["problem"] for line in lane.heard if line["event"] == "list problem"]
        assert any(str(keys) in problem for problem in problems)
        assert "5ecret" not in json.dumps(lane.heard)
        keys.mkdir(exist_ok=True)
        (keys / "first.key").write_bytes(key)
        assert lane.event("list", list_version=1)
        assert one_gate.tap(lane, one_gate.card("suspended"))["outcome"] == "denied"


def test_a_list_in_memory_and_then_a_newer_era_replace_what_is_on_the_disk(one_gate: Gate) -> None:
    (one_gate.folder / "keys" / "second.key").write_bytes(format_key_file(KEY))
    text = one_gate.config.read_text().replace(
        "[list]", f'[list]\nrecent = "{one_gate.folder}/recent"'
    )
    one_gate.config.write_text(text)
    with serving(one_gate) as lane:
        uid = one_gate.card("matched")
        (one_gate.folder / "recent").mkdir()
        publish(one_gate, 900, [uid], 1_780_000_100, era=1, recent=True)
        assert lane.event("list", list_version=900)
        assert one_gate.tap(lane, uid)["outcome"] == "denied"
        publish(one_gate, 3, [], 1_780_000_200, era=2)
        assert lane.event("list", list_version=3)
        assert one_gate.tap(lane, uid)["outcome"] == "admitted"
        assert not [line for line in lane.heard if line["event"] == "list problem"]


def test_a_lane_that_starts_on_a_torn_list_uses_the_one_before(one_gate: Gate) -> None:
    (one_gate.folder / "keys" / "second.key").write_bytes(format_key_file(KEY))
    publish(one_gate, 7, [one_gate.card("matched")], 1_780_000_100)
    newest = max(
        (one_gate.folder / "lists").glob("*.seg"), key=lambda path: path.stat().st_mtime_ns
    )
    newest.write_bytes(newest.read_bytes()[:-8])
    with serving(one_gate) as lane:
        line = one_gate.serves(lane)
        assert (line["list_version"], line["list_state"]) == (1, "corrupt")
        assert any(line["event"] == "list problem" for line in lane.heard)


@pytest.mark.parametrize(("missing", "outcome"), [("deny", "denied"), ("admit", "admitted")])
def test_a_list_of_another_fleets_key_is_no_list(
    one_gate: Gate, missing: str, outcome: str
) -> None:
    (one_gate.folder / "keys" / "demo.key").write_bytes(format_key_file(KEY))
    text = one_gate.config.read_text().replace('missing = "deny"', f'missing = "{missing}"')
    one_gate.config.write_text(text)
    with serving(one_gate) as lane:
        line = one_gate.tap(lane, one_gate.card("matched"))
        assert (line["outcome"], line["ground"], line["list_state"]) == (
            outcome,
            "list missing",
            "missing",
        )
        assert (
            "fingerprint key"
            in next(line for line in lane.heard if line["event"] == "list problem")["problem"]
        )


def test_nothing_the_lane_logs_holds_a_uid_or_a_fingerprint(one_gate: Gate) -> None:
    cards = {kind: one_gate.card(kind) for kind in ("matched", "suspended", "unmatched", "staff")}
    with serving(one_gate) as lane:
        for uid in cards.values():
            one_gate.tap(lane, uid)
        lane.end()
        assert lane.process.stderr is not None
        said = json.dumps(lane.heard).lower() + lane.process.stderr.read().decode().lower()
    key = bytes.fromhex((one_gate.folder / "keys" / "demo.key").read_text().splitlines()[-1])
    for uid in cards.values():
        assert uid not in said
        assert uid.upper() not in said
        assert str(CardUid(bytes.fromhex(uid)).fingerprint(key)) not in said
