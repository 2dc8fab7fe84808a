"""What every registry promises, tried on SQLite and on a real PostgreSQL server."""

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backoffice.imports.card_rows import Limits, Reason
from backoffice.imports.csv_and_jsonl import opened
from backoffice.imports.importer import CARD_COLUMNS, STATE_COLUMNS, Import, Imported
from backoffice.imports.plausibility import Mistake
from backoffice.imports.scratch import Scratch
from backoffice.registry.publications import Kind, Piece, Publication
from backoffice.registry.registry import (
    Counts,
    IssuedCard,
    Outcome,
    Registry,
    RegistryError,
    State,
    UnderRule,
)
from tests.support.city.registry_reads import (
    issued_uids,
    members,
    remove_state,
    set_state,
    snapshot,
    states,
)

A, B, C, D = (bytes([4, 0, 0, 0, 0, 0, number]) for number in range(1, 5))
UNISSUED = bytes([4, 9, 9, 9, 9, 9, 9])
RULE = "suspended"
NUMBER = 1_234_567_812_345_678


@pytest.fixture
def city(registry: Registry) -> Registry:
    """A registry with the cards A, B, C and D."""
    registry.add_cards([IssuedCard(uid) for uid in (A, B, C, D)])
    return registry


def is_in(uid: bytes, ends_unix_s: int | None = None) -> State:
    return State(uid, is_in=True, ends_unix_s=ends_unix_s)


def out(uid: bytes) -> State:
    return State(uid, is_in=False)


# Cards


def test_a_card_is_issued_once_and_found_by_either_name(registry: Registry) -> None:
    batch = [IssuedCard(A, NUMBER), IssuedCard(B), IssuedCard(b"\x01\x02\x03\x04", 0)]
    assert registry.add_cards(batch) == Outcome(changed=3, added=3)
    assert registry.add_cards(batch) == Outcome(changed=0)
    assert (registry.card_count(), registry.cards_added(), sorted(issued_uids(registry))) == (
        3,
        3,
        sorted(card.uid for card in batch),
    )
    assert registry.card(A) == registry.card_by_number(NUMBER) == IssuedCard(A, NUMBER)
    assert (registry.card(B), registry.card(UNISSUED), registry.card_by_number(1)) == (
        IssuedCard(B),
        None,
        None,
    )
    assert registry.uids_by_number([NUMBER, 0, 5]) == {NUMBER: A, 0: b"\x01\x02\x03\x04"}
    assert registry.unissued([A, UNISSUED]) == {UNISSUED}


def test_a_number_belongs_to_one_card(registry: Registry) -> None:
    registry.add_cards([IssuedCard(A, 1), IssuedCard(B, 2)])
    assert registry.add_cards([IssuedCard(C, 1), IssuedCard(D, 3)]) == Outcome(
        1, frozenset({C}), added=1
    )
    assert registry.add_cards([IssuedCard(A, 9), IssuedCard(C, 9)]) == Outcome(1, frozenset({C}))
    assert registry.add_cards([IssuedCard(A), IssuedCard(B, 1)]) == Outcome(1), (
        "none given is none taken away"
    )
    assert [registry.card(uid) for uid in (A, B, C, D)] == [(A, 9), (B, 1), None, (D, 3)]


def test_what_is_only_tried_changes_nothing(city: Registry) -> None:
    assert city.add_cards([IssuedCard(UNISSUED)], keep=False) == Outcome(1, added=1)
    assert city.set_states(RULE, [is_in(A)], keep=False) == Outcome(1, added=1)
    assert (city.card(UNISSUED), city.standings(A), city.pending(), city.cards_added()) == (
        None,
        (),
        0,
        4,
    )


# States


def test_a_state_that_is_so_already_is_no_change(city: Registry) -> None:
    assert city.set_states(RULE, [is_in(A), is_in(B, 50), out(C)]) == Outcome(2, added=2)
    assert city.set_states(RULE, [is_in(A), is_in(B, 50), out(C)]) == Outcome(0)
    assert city.set_states(RULE, [is_in(A, 60), out(B), is_in(C)]) == Outcome(3, added=1, removed=1)
    assert city.standings(A) == (UnderRule(RULE, is_in=True, ends_unix_s=60, version=None),)
    assert (set_state(city, RULE, D), set_state(city, RULE, D), remove_state(city, RULE, D)) == (
        True,
        False,
        True,
    )
    assert list(members(city, RULE)) == [is_in(A, 60), is_in(C)]
    assert city.counts() == (Counts(RULE, 2, 4),)


def test_a_card_that_is_not_issued_is_refused_and_the_others_are_not(city: Registry) -> None:
    assert city.set_states(RULE, [is_in(A), is_in(UNISSUED)]) == Outcome(
        1, frozenset({UNISSUED}), added=1
    )
    for state in (is_in(UNISSUED), out(UNISSUED)):
        assert city.set_states(RULE, [state]) == Outcome(0, frozenset({UNISSUED}))
    assert city.set_states(RULE, [is_in(UNISSUED)], issue=True) == Outcome(1, added=1)
    assert city.card(UNISSUED) == (UNISSUED, None)


def test_rules_do_not_touch_each_other(city: Registry) -> None:
    set_state(city, "staff", A)
    set_state(city, RULE, A, 70)
    city.claim(1)
    remove_state(city, "staff", A)
    assert city.standings(A) == (
        UnderRule("staff", is_in=False, ends_unix_s=None, version=None),
        UnderRule(RULE, is_in=True, ends_unix_s=70, version=1),
    )
    assert city.counts() == (Counts("staff", 0, 1), Counts(RULE, 1, 0))
    city.claim(2)
    assert (city.changed_rules(1), city.changed_rules(0), city.changed_rules(2)) == (
        {"staff"},
        {"staff", RULE},
        set(),
    )


# List versions


def test_a_version_carries_what_was_pending_when_it_was_claimed(city: Registry) -> None:
    city.set_states(RULE, [is_in(A), is_in(B)])
    assert (city.pending(), city.claim(1), city.pending(), city.claimed()) == (2, 2, 0, 1)
    city.set_states(RULE, [out(B), is_in(C, 80)])
    assert city.claim(1) == 0, "what changed since stays pending"
    assert (city.pending(), city.claim(5), city.claimed()) == (2, 2, 5)
    assert sorted(states(city, RULE, 1, 5)) == [out(B), is_in(C, 80)]
    assert sorted(states(city, RULE, 0, 5)) == [is_in(A), out(B), is_in(C, 80)]
    assert sorted(snapshot(city, RULE, 5)) == [is_in(A), is_in(C, 80)]
    with pytest.raises(ValueError, match="cannot be claimed"):
        city.claim(4)
    with pytest.raises(ValueError, match="5 is the newest that was claimed"):
        list(states(city, RULE, 0, 1))


def test_what_is_claimed_reads_the_same_until_the_next_claim(city: Registry) -> None:
    city.set_states(RULE, [is_in(A, 90), is_in(B)])
    city.claim(1)
    before = sorted(states(city, RULE, 0, 1))
    city.set_states(RULE, [out(A), is_in(B, 5), is_in(C)])
    city.set_states(RULE, [is_in(A, 91), is_in(B), out(C)])
    assert sorted(states(city, RULE, 0, 1)) == sorted(snapshot(city, RULE, 1)) == before
    city.claim(2)
    assert sorted(states(city, RULE, 1, 2)) == [is_in(A, 91), is_in(B), out(C)]


def test_a_change_that_no_gate_needs_is_deleted(city: Registry) -> None:
    city.set_states(RULE, [is_in(A), is_in(B, 100), is_in(C, 300)])
    city.claim(1)
    remove_state(city, RULE, A)
    city.claim(2)
    set_state(city, RULE, D)
    remove_state(city, RULE, D)
    assert city.forget(RULE, 1, 200) == 1, "B has ended; version 2 has the change that A is out"
    assert city.forget(RULE, 9, 200) == 1, "no version has had D"
    assert city.forget(RULE, 9, 200) == 0
    assert sorted(snapshot(city, RULE, 2)) == [is_in(C, 300)]
    assert (city.standings(A), city.pending()) == ((), 1)


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([A, B, C, D]), st.booleans(), st.none() | st.integers(1, 3)),
        st.just("claim"),
    ),
    max_size=12,
)


def test_any_changes_leave_what_a_dictionary_would(city: Registry) -> None:
    rules = (f"rule-{number}" for number in range(10**6))

    @settings(max_examples=15)
    @given(CHANGES)
    def run(changes: list[tuple[bytes, bool, int | None] | str]) -> None:
        rule, began = next(rules), city.claimed() + 1
        city.claim(began)
        version, pending = began, dict[bytes, State]()
        # The state of each card at the newest version, and the version that brought it.
        claimed = dict[bytes, tuple[int, State]]()
        for change in changes:
            if isinstance(change, str):
                version += 1
                assert city.claim(version) == len(pending)
                claimed |= {uid: (version, state) for uid, state in pending.items()}
                pending = {}
            else:
                uid, goes_in, ends_unix_s = change
                state = is_in(uid, ends_unix_s) if goes_in else out(uid)
                was = pending.get(uid) or claimed.get(uid, (0, out(uid)))[1]
                assert city.set_states(rule, [state]).changed == (state != was)
                pending |= {uid: state} if state != was else {}
        for after in range(began, version + 1):
            expected = sorted(state for since, state in claimed.values() if since > after)
            assert sorted(states(city, rule, after, version)) == expected
        assert sorted(snapshot(city, rule, version)) == sorted(
            s for _, s in claimed.values() if s.is_in
        )
        held = {uid: state for uid, (_, state) in claimed.items()} | pending
        assert list(members(city, rule)) == sorted(state for state in held.values() if state.is_in)

    run()


# Several at once


def test_writers_at_once_lose_nothing_and_readers_see_whole_batches(
    url: str, city: Registry
) -> None:
    uids = [bytes([4, writer, number, 0, 0, 0, 0]) for writer in range(3) for number in range(40)]
    city.add_cards([IssuedCard(uid) for uid in uids])
    seen: list[int] = []

    def write(writer: int) -> None:
        with Registry.open(url) as own:
            for first in range(0, 40, 10):
                own.set_states(RULE, [is_in(uid) for uid in uids[writer * 40 + first :][:10]])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(sum(1 for _ in members(city, RULE)))
    for thread in threads:
        thread.join()
    assert sorted(seen) == seen
    assert all(count % 10 == 0 for count in seen)
    assert (sum(1 for _ in members(city, RULE)), city.claim(1)) == (120, 120)


def test_a_long_read_sees_one_state_while_others_write(
    city: Registry, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.registry.database._FETCHED_ROWS", 1)
    city.set_states(RULE, [is_in(uid) for uid in (A, B, C)])
    city.claim(1)
    reading = states(city, RULE, 0, 1)
    first = next(reading)
    with Registry.open(url) as other:
        other.set_states(RULE, [out(A), out(B), out(C), is_in(D)])
        other.claim(2)
    assert sorted([first, *reading]) == [is_in(uid) for uid in (A, B, C)]


# What is published


def test_publications_are_begun_once_and_finished(registry: Registry) -> None:
    log = registry.publications
    assert (log.newest(), log.building()) == (None, None)
    assert (
        log.begin(1, 100)
        == log.begin(1, 200)
        == log.building()
        == Publication(1, 100, is_published=False)
    )
    with pytest.raises(ValueError, match="1 is being built"):
        log.begin(2, 200)
    log.finish(1)
    log.finish(1)
    assert (log.newest(), log.building()) == (Publication(1, 100, is_published=True), None)
    with pytest.raises(ValueError, match="not a new one"):
        log.begin(1, 300)
    with pytest.raises(ValueError, match="not begun"):
        log.finish(7)


def test_an_earlier_end_is_found_and_taken_only_on_request(city: Registry) -> None:
    now = 100
    city.set_states(RULE, [is_in(A), is_in(B, 500), is_in(C, 90)])
    earlier = [is_in(A, 400), is_in(B, 499), is_in(C, 95), is_in(D, 400)]
    kept = city.set_states(RULE, earlier, now_unix_s=now, shorten=False)
    assert kept == Outcome(2, added=1, shorter=frozenset({A, B}))
    assert list(members(city, RULE)) == [is_in(A), is_in(B, 500), is_in(C, 95), is_in(D, 400)]
    none = city.set_states(
        RULE, [is_in(B, 1), is_in(C)], now_unix_s=now, shorten=False, is_whole=True
    )
    assert none == Outcome(0, shorter=frozenset({B}))
    assert city.set_states(RULE, [out(B)], now_unix_s=now, shorten=False, keep=False).removed == 1
    assert list(members(city, RULE)) == [is_in(A), is_in(B, 500), is_in(C, 95), is_in(D, 400)]
    longer = [is_in(A), is_in(B, 500), is_in(C, 600), is_in(D)]
    assert city.set_states(RULE, longer, now_unix_s=now, shorten=False) == Outcome(2)
    taken = city.set_states(RULE, earlier, now_unix_s=now)
    assert taken == Outcome(4, shorter=frozenset({A, B, C, D}))
    assert list(members(city, RULE)) == earlier


def test_pieces_are_offered_retired_and_offered_again(registry: Registry) -> None:
    log = registry.publications
    one, other = (Piece(Kind.SNAPSHOT, 0, to, 10 * to, 100, f"{to:064x}") for to in (1, 2))
    log.offer(RULE, [one], "aa", 100)
    log.offer(RULE, [other], "bb", 200)
    assert log.offered(RULE) == (other,)
    assert (log.key_ids(RULE), log.rules()) == (frozenset({"bb"}), frozenset({RULE}))
    (gone,) = log.retired(201)
    assert (gone.piece, gone.retired_unix_s, log.retired(200)) == (one, 200, ())
    log.offer(RULE, [one, other], "bb", 300)
    log.forget([gone])
    assert log.offered(RULE) == (one, other), "it was offered again meanwhile"
    log.offer(RULE, [], "bb", 400)
    log.forget(log.retired(500))
    assert (log.offered(RULE), log.rules(), log.retired(500)) == ((), frozenset(), ())


def test_notes_and_new_cards_are_kept(city: Registry, url: str) -> None:
    city.set_meta("note", "one")
    city.set_meta("note", "two")
    with Registry.open(url) as again:
        assert (again.get_meta("note"), again.get_meta("none")) == ("two", None)
        assert (again.new_cards.since().added, sorted(again.new_cards.since().uids or ())) == (
            4,
            [A, B, C, D],
        )
        again.new_cards.checked(4)
    assert city.new_cards.since() == (4, 4, ())


# Imports and faults


def imported(registry: Registry, folder: Path, content: str, rule: str | None = None) -> Imported:
    path = folder / "rows"
    path.write_text(content, encoding="utf-8")
    with path.open("rb") as raw, Scratch() as scratch:
        columns = STATE_COLUMNS if rule else CARD_COLUMNS
        return Import(registry, scratch, Limits(0), rule, now_unix_s=100, meant=list(Mistake)).run(
            opened(raw, columns)
        )


def test_a_file_is_imported_and_again_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    cards = (
        f"uid,number\n{A.hex()},0000000000000001\n{B.hex()},0000000000000002\n"
        f"{C.hex()},\n{D.hex()},2\n"
    )
    states = (
        f"uid,number,ends,state\n,0000000000000002,500,\n{C.hex()},,50,in\n"
        f"{A.hex()},,,out\n{D.hex()},,,\n"
    )
    bad_number, unknown = {Reason.NUMBER_SHORT.value: 1}, {Reason.UNKNOWN_CARD.value: 1}
    assert imported(registry, tmp_path, cards) == (4, 3, 0, 0, 1, 0, 0, 0, bad_number)
    assert imported(registry, tmp_path, cards) == (4, 0, 0, 3, 1, 0, 0, 0, bad_number)
    assert imported(registry, tmp_path, states, RULE) == (4, 2, 0, 1, 1, 1, 0, 0, unknown)
    assert imported(registry, tmp_path, states, RULE) == (4, 0, 0, 3, 1, 1, 0, 0, unknown)
    assert list(members(registry, RULE)) == [is_in(B, 500), is_in(C, 50)]


def test_numbers_that_cards_pass_on_do_not_depend_on_the_order(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.imports.importer.BATCH_CARDS", 1)
    registry.add_cards(
        [IssuedCard(uid, number) for number, uid in enumerate((A, B, C, D), start=1)]
    )
    # A takes B's number, B C's, C a new one; and D wants A's, which is free last of all.
    passed_on = zip((A, B, C, D), (2, 3, 9, 1), strict=True)
    content = "uid,number\n" + "".join(f"{uid.hex()},{number:016}\n" for uid, number in passed_on)
    assert imported(registry, tmp_path, content)[:5] == (4, 0, 4, 0, 0)
    assert imported(registry, tmp_path, content)[:5] == (4, 0, 0, 4, 0)


def test_an_error_of_the_database_names_no_card(city: Registry) -> None:
    set_state(city, RULE, A)
    neither: Any = None
    with pytest.raises(RegistryError) as caught:  # of which PostgreSQL would show the whole row
        city.set_states(RULE, [State(A, is_in=neither)])
    assert "\n" not in str(caught.value)
    assert A.hex() not in str(caught.value)
    assert city.standings(A)[0].is_in
