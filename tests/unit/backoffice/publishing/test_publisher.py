"""The publisher in a real home: its publications, kills, losses, and when it begins again."""

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.home.config import RuleConfig
from backoffice.publishing.fingerprints import CardsError, Hash, hasher
from backoffice.publishing.naming import index_of, manifest_of
from backoffice.publishing.pieces import DAY_S, HOUR_S
from backoffice.publishing.publisher import Publisher
from backoffice.registry.publications import Kind, Piece
from backoffice.signing.clock import ClockError
from tests.support.city.published_view import View, is_whole, view
from tests.support.city.publishing_rig import MATCHED, STAFF, SUSPENDED, PublishingOffice
from tests.support.city.town import uid
from validator.domain.rules import Effect
from validator.errors import OperatorError, SourceState
from validator.lists.manifest import RULES_MAX, IndexEntry, ScopeEntry, decode

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # thousands of fsyncs
CARDS = tuple(map(uid, range(8)))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that costs no disk."""
    with tempfile.TemporaryDirectory(prefix="publisher-", dir=SHELVES) as made:
        yield Path(made)


@pytest.fixture
def town(folder: Path) -> Iterator[PublishingOffice]:
    """A city with some cards, of which nothing is published yet."""
    made = PublishingOffice(folder / "town")
    made.issue(*CARDS)
    made.change("suspended", CARDS[0], made.now_unix_s + 10 * DAY_S)
    made.change("matched", CARDS[1])
    yield made
    made.close()


@pytest.fixture
def public(town: PublishingOffice) -> PublishingOffice:
    """The same with two lists behind it."""
    town.publish()
    later(town, CARDS[2])
    return town


def later(town: PublishingOffice, *suspended: bytes, seconds: int = 60) -> View:
    """So much later these cards are suspended, and the list is published."""
    town.now_unix_s += seconds
    for card in suspended:
        town.change("suspended", card)
    town.publish()
    return seen(town)


def seen(town: PublishingOffice) -> View:
    """What is public, whole."""
    found = view(town.published)
    assert found is not None
    return found


def spans(found: View, rule: str = "suspended") -> list[tuple[int, int]]:
    """The pieces on offer."""
    return [(entry.from_version, entry.to_version) for entry in found.index.rules[rule]]


def assert_followed(town: PublishingOffice, name: str = "a new gate") -> None:
    """A new gate gets what the registry holds."""
    gate = town.gate(name)
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    town.assert_says(gate.rules)
    gate.web.close()


def names(town: PublishingOffice) -> set[str]:
    """The published files whose names come from their content."""
    folders = ("segments", "indexes", "targets")
    return {path.name for each in folders for path in (town.published / each).iterdir()}


# Killed


def prepared(town: PublishingOffice) -> None:
    """All is due at once: a new day, two changed rules, a lost piece, a file to be removed."""
    for card in CARDS[3:5]:
        later(town, card, seconds=HOUR_S)
    later(town, CARDS[5], seconds=2 * DAY_S - town.now_unix_s % DAY_S - 600)
    town.now_unix_s += 1_200
    town.change("suspended", CARDS[6], town.now_unix_s + DAY_S)
    town.remove("suspended", CARDS[2])
    town.change("matched", CARDS[0])
    forgotten = town.published / "segments" / f"{0:064x}.wire"
    forgotten.write_bytes(b"of another time")
    os.utime(forgotten, (0, 0))


def test_killed_between_any_two_steps_the_next_run_publishes_the_very_same(
    public: PublishingOffice, folder: Path
) -> None:
    prepared(public)
    before = seen(public)
    unkilled = public.copied(folder / "unkilled")
    unkilled.publish()
    after, offered = (
        seen(unkilled),
        {rule.name: unkilled.registry.publications.offered(rule.name) for rule in unkilled.rules},
    )
    left = names(unkilled)
    after_that = later(unkilled, CARDS[7], seconds=DAY_S)
    unkilled.close()
    for steps in count(1):
        town = public.copied(folder / str(steps))
        died_at = town.publish_killed(steps)
        assert seen(town).manifest in (before.manifest, after.manifest), died_at
        town.publish()
        assert seen(town).manifest_bytes == after.manifest_bytes, died_at
        assert seen(town).index == after.index
        assert {
            rule.name: town.registry.publications.offered(rule.name) for rule in town.rules
        } == offered, died_at
        assert names(town) <= left | names(public), died_at
        assert later(town, CARDS[7], seconds=DAY_S).index == after_that.index, died_at
        town.close()
        shutil.rmtree(town.folder)
        if died_at is None:
            break
    assert steps > 40


def test_killed_in_the_first_publication_of_all_the_next_run_publishes(
    town: PublishingOffice, folder: Path
) -> None:
    for steps in count(1):
        copy = town.copied(folder / str(steps))
        died_at = copy.publish_killed(steps)
        assert is_whole(copy.published) or not (copy.home.metadata / "timestamp.json").exists(), (
            died_at
        )
        copy.publish()
        assert seen(copy).manifest.list_version in (1, 2), died_at
        assert_followed(copy)
        copy.close()
        shutil.rmtree(copy.folder)
        if died_at is None:
            break
    assert steps > 40


def test_what_changes_after_a_kill_is_not_slipped_into_the_list_that_was_begun(
    public: PublishingOffice,
) -> None:
    public.change("suspended", CARDS[3])
    assert public.publish_killed(2) == "claimed 3"
    public.change("suspended", CARDS[4])
    assert public.publish().version == 3
    assert_followed(public)
    assert public.publish().version == 4
    assert_followed(public, "another gate")


def test_no_step_shows_a_name_whose_file_is_not_there(public: PublishingOffice) -> None:
    prepared(public)
    for step in public.steps():
        assert is_whole(public.published), step


# Nothing to do, and time


def test_without_a_change_nothing_is_published_and_the_timestamp_is_signed_in_time(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.now_unix_s += 60
    outcome = public.publish()
    assert (outcome.version, outcome.why, outcome.files) == (2, (), {})
    public.now_unix_s += 3 * HOUR_S
    outcome = public.publish()
    assert (outcome.version, outcome.why, list(outcome.files)) == (2, (), ["timestamp.json"])
    assert seen(public).manifest == before.manifest
    assert seen(public).timestamp_expires_unix_s == public.now_unix_s + 6 * HOUR_S


def test_a_list_is_issued_again_long_before_it_expires(public: PublishingOffice) -> None:
    before = seen(public)
    public.now_unix_s += 12 * HOUR_S
    assert public.publish().why == ("its time has come",)
    assert seen(public).manifest.expires_unix_s == before.manifest.expires_unix_s + 12 * HOUR_S
    assert seen(public).index == before.index, "no piece is made for it"


def test_a_clock_that_is_set_back_publishes_nothing(public: PublishingOffice) -> None:
    before = seen(public)
    public.now_unix_s -= DAY_S
    public.change("suspended", CARDS[3])
    with pytest.raises(ClockError, match="later than this clock shows: set the clock"):
        public.publish()
    assert seen(public) == before
    public.now_unix_s += DAY_S + 60
    public.publish()
    assert_followed(public)


def test_a_clock_that_ran_ahead_is_overcome_by_another_timestamp_key(
    public: PublishingOffice,
) -> None:
    gate = public.gate()
    gate.poll()
    right_unix_s = public.now_unix_s + HOUR_S
    later(public, CARDS[3], seconds=30 * DAY_S)
    public.now_unix_s = right_unix_s
    with pytest.raises(ClockError, match="rotate timestamp"):
        public.publish()
    public.city.rotate("timestamp", now_unix_s=right_unix_s)
    public.publish()
    gate.clock.unix_s = right_unix_s
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("suspended", CARDS[3])
    assert public.publish().why == ()


# Lost


def test_an_empty_registry_beside_a_public_list_publishes_nothing(public: PublishingOffice) -> None:
    before = seen(public)
    public.restore(dataclasses.replace(public.back_up(), registry=b""))
    with pytest.raises(OperatorError, match="the registry is empty, though list 2 is public"):
        public.publish()
    assert seen(public) == before


def test_an_older_registry_put_back_begins_again_above_what_is_public(
    public: PublishingOffice,
) -> None:
    backup = public.back_up()
    gate = public.gate()
    for card in CARDS[3:5]:
        later(public, card)
    gate.poll()
    public.restore(backup)
    outcome = public.publish()
    assert outcome.version == 5
    assert "the registry does not know the public list" in outcome.why
    assert spans(seen(public)) == [(0, 5)]
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    public.assert_says(gate.rules)
    assert not gate.holds("suspended", CARDS[3]), "the registry no longer has it"
    later(public, CARDS[6])
    assert spans(seen(public)) == [(0, 5), (5, 6)]


@pytest.mark.parametrize("steps", [1, 2], ids=["before it claimed", "after it claimed"])
def test_a_registry_copied_while_a_list_was_begun_loses_no_change_when_put_back(
    public: PublishingOffice, steps: int
) -> None:
    public.change("suspended", CARDS[3])
    public.publish_killed(steps)
    backup = public.back_up()
    public.publish()
    gate = public.gate()
    gate.poll()
    public.restore(backup)
    later(public, CARDS[4])
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("suspended", CARDS[3])
    assert gate.holds("suspended", CARDS[4])


def test_a_lost_record_of_publications_begins_again(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    public.lose_publications()
    assert later(public, CARDS[3]).manifest.list_version == 3
    assert spans(seen(public)) == [(0, 3)]
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("suspended", CARDS[3])


def test_a_lost_published_folder_is_made_again_and_gates_go_on(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    shutil.rmtree(public.published)
    assert public.publish().version == 3
    assert spans(seen(public)) == [(0, 3), (1, 3)], "who is in step needs no snapshot"
    assert gate.poll().state is SourceState.FRESH
    assert_followed(public)


def test_a_list_that_may_have_been_seen_is_not_made_again_when_the_folder_is_lost(
    public: PublishingOffice,
) -> None:
    public.change("suspended", CARDS[3])
    steps = public.steps()
    while next(steps) != "list 3 is public":
        pass
    steps.close()
    gate = public.gate()
    gate.poll()
    shutil.rmtree(public.published)
    public.now_unix_s += 60
    assert public.publish().version == 4
    assert gate.poll().state is SourceState.FRESH


@pytest.mark.parametrize("place", range(3))
def test_a_lost_piece_is_restored_by_the_next_run(public: PublishingOffice, place: int) -> None:
    gate = public.gate()
    gate.poll()
    found = later(public, CARDS[3])
    entry = found.index.rules["suspended"][place]
    (public.published / "segments" / f"{entry.sha256}.wire").unlink()
    assert public.publish().why == ("suspended has lost 1 pieces",)
    assert is_whole(public.published)
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("suspended", CARDS[3])
    assert_followed(public)
    assert public.publish().why == ()


@pytest.mark.parametrize("what", ["indexes", "targets", "metadata/timestamp.json"])
def test_a_lost_index_manifest_or_timestamp_is_restored_by_the_next_run(
    public: PublishingOffice, what: str
) -> None:
    path = public.published / what
    for each in [path] if path.is_file() else list(path.iterdir()):
        each.unlink()
    public.publish()
    assert is_whole(public.published)
    assert_followed(public)


# Other rules, units, keys


def test_other_rules_are_published_without_a_piece(public: PublishingOffice) -> None:
    before = seen(public)
    public.rules = (STAFF, SUSPENDED, replace(MATCHED, notice=True))
    outcome = public.publish()
    assert (outcome.why, outcome.built) == (("the rules changed",), ())
    assert [rule.name for rule in seen(public).manifest.rules] == ["staff", "suspended", "matched"]
    assert seen(public).index == before.index
    assert_followed(public)


def test_another_unit_begins_the_rule_again_and_no_other(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    before = seen(public)
    public.rules = (replace(SUSPENDED, until_unit_s=300), STAFF, MATCHED)
    assert public.publish().why == ("suspended begins again",)
    assert spans(seen(public)) == [(0, 3)]
    assert spans(seen(public), "matched") == spans(before, "matched")
    assert gate.poll().state is SourceState.FRESH
    assert gate.rules is not None
    public.assert_says(gate.rules)


def test_another_fingerprint_key_begins_every_rule_again(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    public.rotate_fingerprint_key()
    outcome = public.publish()
    assert outcome.why == tuple(f"{rule.name} begins again" for rule in public.rules)
    assert outcome.compared == len(CARDS)
    assert [spans(seen(public), rule.name) for rule in public.rules] == [[(0, 3)]] * 3
    assert (gate.poll().state, gate.version) == (SourceState.NO_KEY, 2)
    gate.hold(public.key)
    assert (gate.poll().state, gate.version) == (SourceState.FRESH, 3)
    assert gate.rules is not None
    public.assert_says(gate.rules)


def test_a_rule_that_is_taken_away_and_given_back_begins_again(public: PublishingOffice) -> None:
    gate = public.gate()
    gate.poll()
    public.rules = (SUSPENDED, MATCHED)
    public.publish()
    assert set(seen(public).index.rules) == {"suspended", "matched"}
    public.change("staff", CARDS[5])
    public.rules = (SUSPENDED, STAFF, MATCHED)
    public.publish()
    assert gate.poll().state is SourceState.FRESH
    assert gate.holds("staff", CARDS[5])


def test_another_fingerprint_key_between_a_kill_and_the_next_run(public: PublishingOffice) -> None:
    public.change("suspended", CARDS[3])
    steps = public.steps()
    while not next(steps).startswith("renamed suspended"):
        pass
    steps.close()
    public.rotate_fingerprint_key()
    assert public.publish().version == 3
    assert spans(seen(public)) == [(0, 3)]
    assert_followed(public)


# Cards that cannot be published


def colliding(first: bytes, second: bytes, key: bytes) -> Callable[[bytes], Hash]:
    """Fingerprints among which the second card has the first one's, under this key alone."""

    def hashing(used: bytes) -> Hash:
        hashed = hasher(used)
        return lambda uids: hashed(
            [first if each == second and used == key else each for each in uids]
        )

    return hashing


def test_two_cards_with_one_fingerprint_stop_the_list_until_the_key_is_another(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.hashing = colliding(CARDS[0], uid(90), public.key)
    public.issue(uid(90))
    public.change("suspended", CARDS[3])
    for _ in range(2):
        with pytest.raises(CardsError) as error:
            public.publish()
        assert "1 card has the fingerprint of another card, so nothing is published" in str(
            error.value
        )
        assert "rotate fingerprint-key" in str(error.value)
        assert seen(public) == before
    public.change("suspended", CARDS[4])
    public.rotate_fingerprint_key()
    assert public.publish().version == 3
    assert_followed(public)
    assert later(public).manifest.list_version == 4
    assert_followed(public, "another gate")


def test_an_end_beyond_the_reach_of_the_unit_stops_the_list_until_it_is_fixed(
    public: PublishingOffice,
) -> None:
    before = seen(public)
    public.change("suspended", CARDS[3], public.now_unix_s + 60 * DAY_S)
    with pytest.raises(
        CardsError, match=r"1 cards end later than 44 days.*give the rule a larger until_unit_s"
    ):
        public.publish()
    assert seen(public) == before
    public.rules = (replace(SUSPENDED, until_unit_s=300), STAFF, MATCHED)
    public.publish()
    assert_followed(public)


# Removing


def test_a_gate_in_the_middle_of_a_download_finds_its_files_for_a_day(
    public: PublishingOffice,
) -> None:
    old = public.published
    kept = shutil.copytree(old, public.folder / "as the gate saw it")
    public.rotate_fingerprint_key()
    for seconds in (60, HOUR_S, 20 * HOUR_S):
        later(public, CARDS[seconds % 7], seconds=seconds)
        for each in ("segments", "indexes", "targets", "metadata"):
            gone = {path.name for path in (kept / each).iterdir()} - {
                path.name for path in (old / each).iterdir()
            }
            assert not gone, (seconds, each)
    later(public, CARDS[7], seconds=4 * HOUR_S)
    later(public, CARDS[6], seconds=4 * HOUR_S)
    left = {path.name for path in (kept / "segments").iterdir()} & {
        path.name for path in (old / "segments").iterdir()
    }
    assert not left
    assert is_whole(old)


@pytest.mark.parametrize("accident", ["the record is lost", "an older registry is put back"])
def test_a_gate_in_the_middle_of_a_download_finds_its_files_though_no_record_has_them(
    public: PublishingOffice, accident: str
) -> None:
    backup = public.back_up()
    later(public, CARDS[3])
    public.now_unix_s += 5 * DAY_S
    before = set((public.published / "segments").iterdir())
    if accident == "the record is lost":
        public.lose_publications()
    else:
        public.restore(backup)
    for _ in range(3):
        later(public, seconds=HOUR_S)
        assert before <= set((public.published / "segments").iterdir())
    later(public, seconds=DAY_S)
    later(public, CARDS[4], seconds=HOUR_S)
    assert not before & set((public.published / "segments").iterdir())


def test_what_a_killed_run_left_half_written_goes_with_the_next_and_what_it_named_a_day_later(
    public: PublishingOffice,
) -> None:
    public.change("suspended", CARDS[3])
    steps = public.steps()
    while not next(steps).startswith("renamed suspended"):
        pass
    steps.close()
    segments = public.published / "segments"
    (segments / ".new-suspended-2-3.wire").write_bytes(b"half")
    public.rules = (
        replace(SUSPENDED, until_unit_s=300),
        STAFF,
        MATCHED,
    )  # so that it is not the one that is made again
    public.publish()
    assert not list(segments.glob(".*"))
    offered = {entry.sha256 for entries in seen(public).index.rules.values() for entry in entries}
    assert len(list(segments.iterdir())) > len(offered)
    for _ in range(3):
        later(public, seconds=13 * HOUR_S)
    offered = {entry.sha256 for entries in seen(public).index.rules.values() for entry in entries}
    assert {path.stem for path in segments.iterdir()} == offered


def test_a_card_taken_out_is_sent_to_all_that_may_still_hold_it_and_then_forgotten(
    public: PublishingOffice,
) -> None:
    gate = public.gate()
    gate.poll()
    public.remove("suspended", CARDS[2])
    later(public)
    for _ in range(3):
        public.rotate_fingerprint_key()
        gate.hold(public.key)
        later(public, seconds=2 * DAY_S)
    assert public.registry.standings(CARDS[2]) == ()
    gate.clock.unix_s = public.now_unix_s
    assert gate.poll().state is SourceState.FRESH
    assert not gate.holds("suspended", CARDS[2])


# One at a time


def test_a_second_publisher_is_refused(public: PublishingOffice) -> None:
    first, second = (Publisher(public.config, public.registry) for _ in range(2))
    with first.alone():
        with pytest.raises(OperatorError, match="another publisher is running"), second.alone():
            pass
        first.publish(public.now_unix_s)
    with second.alone():
        second.publish(public.now_unix_s)


def test_a_home_that_is_none_is_refused_as_none(public: PublishingOffice, tmp_path: Path) -> None:
    nowhere = replace(public.config, folder=tmp_path / "nowhere")
    with (
        pytest.raises(OperatorError, match="is no home of a back office"),
        Publisher(nowhere, public.registry).alone(),
    ):
        pass


# Naming


def rule_names(length: int) -> list[RuleConfig]:
    return [
        RuleConfig(name=f"{number}".rjust(length, "r"), effect=Effect.REQUIRE, until_unit_s=60)
        for number in range(RULES_MAX)
    ]


def test_a_manifest_names_as_many_pieces_as_it_has_room_for() -> None:
    rules = rule_names(9)
    offered = {
        rule.name: [
            Piece(Kind.MINUTE, end - 1, end, 10**6, 0, f"{end:064x}") for end in range(1, 10)
        ]
        for rule in rules
    }
    many = decode(
        manifest_of(9, 0, 5 * DAY_S, rules[:2], offered, IndexEntry(9, "0" * 64), "0" * 16)
    )
    assert [len(rule.segments) for rule in many.rules] == [3, 3]
    few = decode(
        manifest_of(9, 0, 5 * DAY_S, rules[:5], offered, IndexEntry(9, "0" * 64), "0" * 16)
    )
    assert {len(rule.segments) for rule in few.rules} < {1, 2}
    assert all(rule.segments[0].to_version == 9 for rule in few.rules)
    wordy = [
        replace(rule, name=f"{rule.name:r>32}", scope=ScopeEntry((4, 7, 10), (1, 2, 3)))
        for rule in rules
    ]
    offered |= {rule.name: offered[rules[0].name] for rule in wordy}
    with pytest.raises(OperatorError, match="give the rules shorter names"):
        manifest_of(9, 0, 5 * DAY_S, wordy, offered, IndexEntry(9, "0" * 64), "0" * 16)
    assert len(index_of(offered).rules[rules[0].name]) == 9
