"""The lane on wrong clocks: it admits no suspended card early, and no clock closes the station."""

from pathlib import Path

import pytest

from tests.processes.clocked_gate import Y1970, Y2038, ClockedGate, S, told
from tests.processes.gate_rig import Gate
from tests.support.city.list_making import (
    EPOCH_UNIX_S,
    EXPIRES_UNIX_S,
    KEY,
    NOW_UNIX_S,
    entry_of,
    seg,
    segment_bytes,
)
from tests.support.machine.programs import Program
from validator.courier.store.installer import ListInstaller
from validator.domain.cards import CardUid
from validator.domain.rules import Effect
from validator.lists.fingerprint_keys import format_key_file
from validator.lists.manifest import Manifest, RuleEntry, encode
from validator.lists.segment import NO_END

DAY_S = 86_400
SUSPENDED, MATCHED, UNMATCHED = "04aa0000000001", "04aa0000000002", "04aa0000000003"
ENDS_UNIX_S = NOW_UNIX_S + 2 * DAY_S  # of the suspension
STARTS_UNIX_S = NOW_UNIX_S + 3 * DAY_S  # when a card must be matched


class TimedGate(ClockedGate):
    """One whose list knows three cards."""

    def publish(self, version: int = 1) -> None:
        """A list issued at NOW: one card suspended, one matched, a start for unmatched cards."""
        numbers = {
            uid: CardUid(bytes.fromhex(uid)).fingerprint(KEY) for uid in (SUSPENDED, MATCHED)
        }
        suspended = segment_bytes({numbers[SUSPENDED]: (ENDS_UNIX_S - EPOCH_UNIX_S) // 60})
        matched = segment_bytes(dict.fromkeys(numbers.values(), NO_END), rule="matched")
        rules = (
            RuleEntry("suspended", Effect.REFUSE, (entry_of(suspended),), reports=True),
            RuleEntry(
                "matched",
                Effect.REQUIRE,
                (entry_of(matched),),
                in_force_from_unix_s=STARTS_UNIX_S,
                notice=True,
            ),
        )
        manifest = Manifest(version, NOW_UNIX_S, EXPIRES_UNIX_S, rules)
        sources: dict[str, Path | bytes] = {
            seg(content): content for content in (suspended, matched)
        }
        ListInstaller(self.folder / "lists").install(encode(manifest), sources)

    def accepted(self, signed_unix_s: int, boot_id: str = "this", key: str = "a1") -> None:
        """Leave a signed time there, as the courier does."""
        values = {
            "signed_unix_s": signed_unix_s,
            "boot_id": boot_id,
            "boottime_ns": 100 * S,
            "timestamp_keys": [key],
        }
        self.put(self.folder / "lists" / "accepted.json", values)


@pytest.fixture
def clocked(tmp_path: Path, devices: Gate) -> TimedGate:
    """A gate that is synchronised to NOW."""
    clocked = TimedGate(tmp_path, devices)
    (tmp_path / "keys" / "fleet.key").write_bytes(format_key_file(KEY))
    clocked.publish()
    clocked.set(NOW_UNIX_S, synchronised=True)
    return clocked


@pytest.mark.parametrize("unix_s", [Y1970, Y2038])
def test_a_gate_that_boots_in_another_year_serves_by_the_time_of_its_list(
    clocked: TimedGate, unix_s: int
) -> None:
    clocked.set(unix_s)
    with clocked.serving() as lane:
        line = clocked.tap(lane, SUSPENDED)
        assert told(line) == ("denied", "in table", "fresh", False)
        assert line["unix_s"] == NOW_UNIX_S
        assert told(clocked.tap(lane, MATCHED)) == ("admitted", "no rule speaks", "fresh", False)
        assert told(clocked.tap(lane, UNMATCHED)) == (
            "admitted_with_notice",
            "no rule speaks",
            "fresh",
            False,
        )


def test_a_clock_that_steps_while_the_gate_runs_admits_no_card_early_and_locks_none_out(
    clocked: TimedGate,
) -> None:
    clocked.accepted(NOW_UNIX_S)
    with clocked.serving() as lane:
        assert told(clocked.tap(lane, SUSPENDED)) == ("denied", "in table", "fresh", True)
        steps = [
            (Y2038, False),
            (Y1970, False),
            (NOW_UNIX_S - DAY_S, True),
            (NOW_UNIX_S + 30 * DAY_S, False),
        ]
        for unix_s, synchronised in steps:
            clocked.set(unix_s, synchronised=synchronised)
            assert told(clocked.tap(lane, SUSPENDED)) == ("denied", "in table", "fresh", False)
        assert told(clocked.tap(lane, UNMATCHED)) == (
            "admitted_with_notice",
            "no rule speaks",
            "fresh",
            False,
        )
        clocked.set(NOW_UNIX_S + 60, synchronised=True)
        assert told(clocked.tap(lane, MATCHED)) == ("admitted", "no rule speaks", "fresh", True)


def test_a_suspension_ends_while_the_gate_is_offline(clocked: TimedGate) -> None:
    clocked.accepted(NOW_UNIX_S)
    with clocked.serving() as lane:
        clocked.set(ENDS_UNIX_S - 1, synchronised=True)
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "denied"
        clocked.set(ENDS_UNIX_S, synchronised=True)
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "admitted"


def test_without_a_clock_it_ends_when_so_much_time_has_gone_by(clocked: TimedGate) -> None:
    clocked.accepted(NOW_UNIX_S)
    gone_s = ENDS_UNIX_S - NOW_UNIX_S
    with clocked.serving() as lane:
        clocked.set(Y2038, boottime_s=100 + gone_s - 1)
        assert told(clocked.tap(lane, SUSPENDED)) == ("denied", "in table", "fresh", False)
        clocked.set(Y1970, boottime_s=100 + gone_s)
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "admitted"


def test_after_a_power_cut_it_counts_from_this_boot_and_ends_late(clocked: TimedGate) -> None:
    clocked.accepted(NOW_UNIX_S, boot_id="the boot before")
    gone_s = ENDS_UNIX_S - NOW_UNIX_S
    clocked.set(Y1970, boottime_s=gone_s - 1)
    with clocked.serving() as lane:
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "denied"
        clocked.set(Y1970, boottime_s=gone_s)
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "admitted"


def test_a_rule_begins_on_its_day_and_on_no_other_clocks_word(clocked: TimedGate) -> None:
    clocked.accepted(NOW_UNIX_S)
    with clocked.serving() as lane:
        clocked.set(Y2038)
        assert clocked.tap(lane, UNMATCHED)["outcome"] == "admitted_with_notice"
        clocked.set(STARTS_UNIX_S, synchronised=True)
        assert told(clocked.tap(lane, UNMATCHED)) == ("denied", "not in table", "fresh", True)
        assert clocked.tap(lane, MATCHED)["outcome"] == "admitted"


@pytest.mark.parametrize(
    ("stale", "matched"),
    [
        ("decide", ("admitted", "no rule speaks", "stale")),
        ("deny", ("denied", "list stale", "stale")),
    ],
)
@pytest.mark.parametrize("synchronised", [True, False])
def test_a_list_past_its_expiry_does_what_the_operator_chose(
    clocked: TimedGate, stale: str, matched: tuple[str, str, str], synchronised: bool
) -> None:
    text = clocked.config.read_text().replace('stale = "decide"', f'stale = "{stale}"')
    clocked.config.write_text(text)
    if synchronised:
        clocked.set(EXPIRES_UNIX_S, synchronised=True)
    else:
        clocked.set(Y1970)
        clocked.accepted(EXPIRES_UNIX_S)
    with clocked.serving() as lane:
        assert told(clocked.tap(lane, MATCHED)) == (*matched, synchronised)
        assert told(clocked.tap(lane, UNMATCHED)) == (
            "denied",
            "not in table",
            "stale",
            synchronised,
        )


def test_a_time_that_a_thief_signed_is_healed_by_replacing_the_key(clocked: TimedGate) -> None:
    clocked.set(Y1970)
    clocked.accepted(ENDS_UNIX_S, key="stolen")
    with clocked.serving() as lane:
        assert clocked.tap(lane, SUSPENDED)["outcome"] == "admitted"
        clocked.accepted(NOW_UNIX_S + DAY_S, key="new")
        clocked.publish(2)
        lane.event("list", list_version=2)  # the lane reads the time first
        line = clocked.tap(lane, SUSPENDED)
        assert (line["outcome"], line["unix_s"]) == ("denied", NOW_UNIX_S + DAY_S)


@pytest.mark.parametrize("ahead_s", [5 * DAY_S, 40 * DAY_S, 366 * DAY_S, 3_653 * DAY_S])
@pytest.mark.parametrize("is_synchronised", [True, False], ids=["synchronised", "no clock"])
@pytest.mark.parametrize("restarts", [False, True], ids=["runs on", "starts again"])
def test_after_the_repair_of_a_time_signed_ahead_ends_starts_and_expiry_are_right(
    clocked: TimedGate, ahead_s: int, is_synchronised: bool, restarts: bool
) -> None:
    """The synchronised clock lies below the signed time, and is not believed until that is void."""
    clocked.set(NOW_UNIX_S + 60 if is_synchronised else Y1970, synchronised=is_synchronised)
    clocked.accepted(NOW_UNIX_S + ahead_s, key="old")
    with clocked.serving() as lane:
        assert told(clocked.tap(lane, SUSPENDED)) == ("admitted", "no rule speaks", "stale", False)
        assert told(clocked.tap(lane, UNMATCHED)) == ("denied", "not in table", "stale", False)
        if not restarts:
            clocked.accepted(NOW_UNIX_S + 60, key="new")
            clocked.publish(2)
            lane.event("list", list_version=2)  # the lane reads the time first
            assert_is_healed(clocked, lane, is_synchronised=is_synchronised)
    if restarts:
        clocked.accepted(NOW_UNIX_S + 60, key="new")
        with clocked.serving() as lane:
            assert_is_healed(clocked, lane, is_synchronised=is_synchronised)


def assert_is_healed(clocked: TimedGate, lane: Program, *, is_synchronised: bool) -> None:
    """Every decision is the right one at NOW."""
    line = clocked.tap(lane, SUSPENDED)
    assert told(line) == ("denied", "in table", "fresh", is_synchronised)
    assert line["unix_s"] == NOW_UNIX_S + 60
    notice = ("admitted_with_notice", "no rule speaks", "fresh", is_synchronised)
    assert told(clocked.tap(lane, UNMATCHED)) == notice
    assert told(clocked.tap(lane, MATCHED)) == (
        "admitted",
        "no rule speaks",
        "fresh",
        is_synchronised,
    )


def test_a_spoiled_file_of_the_courier_is_logged_and_the_lists_own_time_counts(
    clocked: TimedGate,
) -> None:
    (clocked.folder / "lists" / "accepted.json").write_bytes(b"\0" * 100)
    clocked.set(Y2038)
    with clocked.serving() as lane:
        line = clocked.tap(lane, SUSPENDED)
        assert (*told(line), line["unix_s"]) == ("denied", "in table", "fresh", False, NOW_UNIX_S)
        assert [line["event"] for line in lane.heard].count("time problem") == 1
