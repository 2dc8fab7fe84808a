"""Retention: what is deleted, when, and that nothing of it stays."""

from pathlib import Path
from unittest.mock import patch

import pytest

from backoffice.home.config import Config, ReportsConfig, RuleConfig
from backoffice.home.folder import DAY_S
from backoffice.reports import retention
from backoffice.reports.store import ReportStore
from tests.support.city.export_desk import UIDS, Desk
from tests.support.city.statuses import set_status
from tests.support.gate.reports import NOW_UNIX_S
from validator.domain.rules import Effect
from validator.errors import OperatorError


def test_retention_ends_on_a_date(desk: Desk) -> None:
    config = Config(
        folder=desk.folder,
        rules=(RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=60),),
        reports=ReportsConfig(retention_days=30),
    )
    for seq, day in enumerate((0, 1, 1, 29), start=1):
        desk.add(seq, UIDS[seq], now_unix_s=NOW_UNIX_S + day * DAY_S, unix_s=NOW_UNIX_S)
    ended = NOW_UNIX_S + 30 * DAY_S
    set_status(desk.store, "gate", ended + DAY_S, ended + DAY_S, "{}")
    assert retention.forget_due(config, ended) == 0
    assert retention.forget_due(config, ended + 1) == 1
    assert retention.forget_due(config, ended + DAY_S + 1) == 2
    assert [row["seq"] for row in desk.store.select(0, 1 << 40)] == [4]
    (view,) = desk.store.outboxes()
    assert (view.received, view.missing) == (4, 0)
    with pytest.raises(OperatorError, match="no gate has sent a status"):
        retention.forget_due(config, ended + 400 * DAY_S)
    assert retention.forget_due(config, ended + 400 * DAY_S, is_clock_right=True) == 1
    assert desk.store.count() == 0


def test_a_server_clock_that_was_in_1970_deletes_nothing_of_then_when_it_is_right(
    desk: Desk,
) -> None:
    config = Config(
        folder=desk.folder,
        rules=(RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=60),),
        reports=ReportsConfig(retention_days=30),
    )
    desk.add(1, UIDS[0], now_unix_s=1_000)
    desk.add(2, UIDS[1], now_unix_s=NOW_UNIX_S - 40 * DAY_S)  # a clock that was weeks behind
    for days, left in ((1, 2), (29, 2), (31, 0)):
        now_unix_s = NOW_UNIX_S + days * DAY_S
        set_status(desk.store, "gate", now_unix_s, now_unix_s, "{}")
        retention.forget_due(config, now_unix_s)
        assert desk.store.count() == left, days


def test_reports_are_deleted_an_hour_at_a_time(desk: Desk) -> None:
    for seq in range(1, 31):
        desk.add_raw(seq, now_unix_s=NOW_UNIX_S + 600 * seq)
    slices: list[int] = []
    forget = desk.store.forget

    def noted(before_unix_s: int, now_unix_s: int) -> int:
        slices.append(forget(before_unix_s, now_unix_s))
        return slices[-1]

    with patch.object(desk.store, "forget", noted):
        assert retention.forget(desk.store, NOW_UNIX_S + 600 * 20, NOW_UNIX_S + 600 * 20) == 19
    assert slices == [6, 6, 6, 1]


def test_what_is_deleted_does_not_stay_behind_in_the_file(full: Desk) -> None:
    (row, *_) = full.store.select(0, 1 << 40)
    marks = [str(row[name]).encode() for name in ("sealed", "report_id")]
    others = [
        ReportStore.open(f"sqlite:///{full.folder / 'registry.db'}") for _ in range(2)
    ]  # as a receiver is
    assert all(mark in on_disk(full.folder) for mark in marks)
    retention.forget(full.store, 1 << 40, 1 << 40)
    for each in (full.store, *others):
        each.close()
    assert not any(mark in on_disk(full.folder) for mark in marks)


def on_disk(folder: Path) -> bytes:
    """All that the database's files hold."""
    return b"".join(path.read_bytes() for path in folder.glob("registry.db*"))
