"""Reports in the city: each once, by its id; gaps are seen; a stolen gate is refused.

What has had its time is gone and not missing.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from backoffice.home.folder import DAY_S
from backoffice.reports.outboxes import Gap
from backoffice.reports.schema import forgotten_numbers
from backoffice.reports.store import (
    ALREADY,
    REJECTED,
    STORED,
    EnrolmentError,
    Export,
    ReportStore,
)
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S, OUTBOX, stored

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReportStore]:
    with ReportStore.open(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


def results(
    store: ReportStore, *seqs: int, gate_id: str = "gate", now_unix_s: int = NOW_UNIX_S
) -> list[str]:
    sent = [stored(seq, gate_id=gate_id) for seq in seqs]
    answers = store.add(gate_id, sent, now_unix_s)
    return [answers[report.report_id].result for report in sent]


def test_a_report_is_stored_once_however_often_it_comes(store: ReportStore) -> None:
    assert results(store, 1, 2) == [STORED, STORED]
    assert results(store, 2, 3) == [ALREADY, STORED]
    assert results(store, 3, 3) == [ALREADY, ALREADY]
    assert store.count() == 3


def test_a_gate_speaks_for_itself_alone(store: ReportStore) -> None:
    theirs = stored(1, gate_id="another")
    assert store.add("gate", [theirs, stored(2)], NOW_UNIX_S)[theirs.report_id].result == REJECTED
    assert store.count() == 1


def test_a_gate_cannot_learn_or_take_the_id_of_another_gates_report(store: ReportStore) -> None:
    store.add("another", [stored(1, gate_id="another")], NOW_UNIX_S)
    copied = stored(9, report_id=stored(1, gate_id="another").report_id)
    assert store.add("gate", [copied], NOW_UNIX_S)[copied.report_id].result == REJECTED


def test_two_reports_with_one_number_are_listed(store: ReportStore) -> None:
    store.add("gate", [stored(1)], NOW_UNIX_S)
    second = stored(1, report_id=stored(77).report_id)
    answer = store.add("gate", [second], NOW_UNIX_S)[second.report_id]
    assert (answer.result, answer.reason) == (REJECTED, "another report has its number")


def test_a_gap_and_what_was_refused_are_seen(store: ReportStore) -> None:
    store.add(
        "gate",
        [stored(seq, refused_before=2 if seq == 5 else 0) for seq in (1, 2, 5, 9)],
        NOW_UNIX_S,
    )
    store.add("gate", [stored(1, outbox_id="f" * 32)], NOW_UNIX_S)
    first, second = sorted(store.outboxes(), key=lambda view: view.outbox_id)
    assert (first.outbox_id, first.received, first.newest_seq, first.missing, first.refused) == (
        OUTBOX,
        4,
        9,
        5,
        2,
    )
    assert (second.received, second.missing) == (1, 0)


def test_any_order_of_arrival_ends_the_same(store: ReportStore) -> None:
    seqs = [seq for seq in range(1, 60) for _ in range(3)]
    random.Random(3).shuffle(seqs)
    told = [results(store, *set(seqs[at : at + 20])) for at in range(0, len(seqs), 20)]
    assert sum(each.count(STORED) for each in told) == 59
    (view,) = store.outboxes()
    assert (view.received, view.missing) == (59, 0)


def test_what_has_had_its_time_is_gone_and_not_missing(store: ReportStore) -> None:
    results(store, 1, 2, 4, now_unix_s=100)
    results(store, 5, now_unix_s=200)
    assert store.forget(200) == 3
    assert store.count() == 1
    (view,) = store.outboxes()
    assert (view.received, view.missing) == (4, 1)
    assert [row["seq"] for row in store.select(0, 1_000)] == [5]
    results(store, 6, now_unix_s=300)
    store.forget(300)
    (view,) = store.outboxes()
    assert (view.received, view.newest_seq, view.missing) == (5, 6, 1)


def test_what_was_forgotten_and_is_sent_again_is_known_and_not_held_again(
    store: ReportStore,
) -> None:
    for seqs, now_unix_s in (((1, 2, 5), 100), ((3, 6), 200), ((4, 9), 300)):
        results(store, *seqs, now_unix_s=now_unix_s)
        store.forget(now_unix_s + 1)
    assert set(results(store, 1, 2, 3, 4, 5, 6, 9, now_unix_s=400)) == {ALREADY}
    assert results(store, 7, 8, 10, now_unix_s=400) == [STORED] * 3
    assert results(store, 1, 9, 10, 11, now_unix_s=400) == [ALREADY, ALREADY, ALREADY, STORED]
    (view,) = store.outboxes()
    assert (store.count(), view.received, view.missing) == (4, 11, 0)
    assert store.add("gate", [stored(2, outbox_id="1" * 32)], 400).popitem()[1].result == STORED


def test_the_numbers_that_were_forgotten_are_few_ranges(store: ReportStore) -> None:
    for seq in range(1, 40):
        results(store, seq, now_unix_s=seq)
        store.forget(seq + 1)
    with store._database.reading() as connection:
        kept = connection.execute(
            sa.select(forgotten_numbers.c.first_seq, forgotten_numbers.c.last_seq)
        ).all()
    assert kept == [(1, 39)]


def test_a_gate_that_is_enrolled_again_is_taken_whatever_time_the_old_one_had(
    store: ReportStore,
) -> None:
    store.enrol("gate", store.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
    assert set_status(store, "gate", NOW_UNIX_S + 50, NOW_UNIX_S, "{}")
    store.enrol("gate", store.invite("gate", NOW_UNIX_S), OTHER, NOW_UNIX_S)
    assert set_status(store, "gate", NOW_UNIX_S, NOW_UNIX_S, "{}")


def test_a_token_is_spent_also_by_the_gate_that_is_enrolled_already(store: ReportStore) -> None:
    store.enrol("gate", store.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
    token = store.invite("gate", NOW_UNIX_S)
    store.enrol("gate", token, KEY, NOW_UNIX_S)
    with pytest.raises(EnrolmentError):
        store.enrol("gate", token, OTHER, NOW_UNIX_S)


def test_the_numbers_that_are_missing_are_listed(store: ReportStore) -> None:
    results(store, 2, 3, 7, now_unix_s=100)
    results(store, 8, 10, now_unix_s=200)
    results(store, 1, 2, gate_id="another", now_unix_s=200)
    assert store.gaps() == [Gap("gate", OUTBOX, *gap) for gap in ((1, 1), (4, 6), (9, 9))]
    store.forget(200)
    assert store.gaps() == [Gap("gate", OUTBOX, 9, 9)]
    store.forget(300)
    assert store.gaps() == []


def test_reports_are_selected_by_when_they_came(store: ReportStore) -> None:
    for seq in (1, 2, 3):
        results(store, seq, now_unix_s=100 * seq)
    assert [row["seq"] for row in store.select(200, 300)] == [2]
    (row,) = store.select(300, 301)
    assert (row["report_id"], row["sealed"], row["kind"]) == (
        stored(3).report_id,
        "sealed",
        "denied boarding",
    )


def test_a_gate_enrols_once_with_its_token(store: ReportStore) -> None:
    assert store.public_key("gate") is None
    token = store.invite("gate", NOW_UNIX_S)
    with pytest.raises(EnrolmentError):
        store.enrol("another", token, KEY, NOW_UNIX_S)
    with pytest.raises(EnrolmentError):
        store.enrol("gate", token[:-1] + "!", KEY, NOW_UNIX_S)
    store.enrol("gate", token, KEY, NOW_UNIX_S)
    store.enrol("gate", token, KEY, NOW_UNIX_S)  # its answer was lost
    assert store.public_key("gate") == KEY
    with pytest.raises(EnrolmentError):
        store.enrol("gate", token, OTHER, NOW_UNIX_S)
    assert store.public_key("gate") == KEY


def test_a_token_ends_and_a_newer_one_voids_it(store: ReportStore) -> None:
    first = store.invite("gate", NOW_UNIX_S, valid_s=60)
    with pytest.raises(EnrolmentError):
        store.enrol("gate", first, KEY, NOW_UNIX_S + 61)
    first = store.invite("gate", NOW_UNIX_S)
    second = store.invite("gate", NOW_UNIX_S)
    with pytest.raises(EnrolmentError):
        store.enrol("gate", first, KEY, NOW_UNIX_S)
    store.enrol("gate", second, KEY, NOW_UNIX_S)


@pytest.mark.parametrize("ahead_s", [40 * DAY_S, 3_650 * DAY_S])
def test_a_clock_that_runs_ahead_while_a_gate_is_invited_ends_no_other_token(
    store: ReportStore, ahead_s: int
) -> None:
    token = store.invite("gate", NOW_UNIX_S)
    of_another = store.invite("another", NOW_UNIX_S + ahead_s)
    store.enrol("gate", token, KEY, NOW_UNIX_S)
    with pytest.raises(EnrolmentError):  # it would be valid for weeks or years
        store.enrol("another", of_another, OTHER, NOW_UNIX_S)
    store.enrol("another", store.invite("another", NOW_UNIX_S), OTHER, NOW_UNIX_S)


def test_a_stolen_gate_is_struck_off_and_its_key_cannot_enrol_it_again(store: ReportStore) -> None:
    token = store.invite("gate", NOW_UNIX_S)
    store.enrol("gate", token, KEY, NOW_UNIX_S)
    assert store.strike_off("gate", NOW_UNIX_S)
    assert store.public_key("gate") is None
    assert not store.strike_off("gate", NOW_UNIX_S)
    with pytest.raises(EnrolmentError):
        store.enrol("gate", token, KEY, NOW_UNIX_S)
    store.enrol("gate", store.invite("gate", NOW_UNIX_S), OTHER, NOW_UNIX_S)
    assert store.public_key("gate") == OTHER


def test_an_older_status_that_is_sent_again_changes_nothing(store: ReportStore) -> None:
    store.enrol("gate", store.invite("gate", NOW_UNIX_S), KEY, NOW_UNIX_S)
    assert set_status(store, "gate", 10, NOW_UNIX_S, '{"list_version": 2}')
    assert not set_status(store, "gate", 10, NOW_UNIX_S, '{"list_version": 1}')
    assert set_status(store, "gate", 11, NOW_UNIX_S, '{"list_version": 3}')
    (row,) = store.gate_rows()
    assert row["status"] == '{"list_version": 3}'


def test_every_export_is_written_down(store: ReportStore) -> None:
    export = Export(0, NOW_UNIX_S, "ayse", "ministry", 0, 100, 3, "ab" * 32)
    assert store.log_export(export) == 1
    assert store.export_log() == [export._replace(number=1)]
