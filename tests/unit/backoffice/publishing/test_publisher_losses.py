"""The publisher after a kill or a loss: gates see whole lists, and old files and states go."""

import dataclasses
import os
import shutil
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from backoffice.publishing.pieces import DAY_S, HOUR_S
from tests.support.city.published_view import is_whole
from tests.support.city.publishing_rig import MATCHED, STAFF, SUSPENDED, PublishingOffice
from tests.unit.backoffice.publishing.publisher_steps import (
    CARDS,
    assert_followed,
    later,
    names,
    seen,
    spans,
)
from validator.errors import OperatorError, SourceState

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
