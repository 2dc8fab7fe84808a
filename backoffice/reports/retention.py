"""Decides which reports are at the end of retention, exported or not, and has them deleted.

The publisher deletes: `publish --watch` each hour, and each `publish` without it. `reports forget`
does it by hand.
"""

from backoffice.home.config import Config
from backoffice.home.folder import DAY_S
from backoffice.registry.database import RegistryError
from backoffice.reports.store import ReportStore
from validator.errors import OperatorError

AHEAD_S = DAY_S  # a clock further ahead of the gates' last statuses is suspect
SLICE_S = 3_600  # of reports deleted in one transaction: a gate that uploads waits for one slice


def ends_unix_s(config: Config, now_unix_s: int) -> int:
    """The time before which received reports are to be deleted now, in Unix seconds."""
    return now_unix_s - config.reports.retention_days * DAY_S


def forget(store: ReportStore, before_unix_s: int, now_unix_s: int) -> int:
    """Delete the reports that came before a time, an hour of them at a time. Returns how many."""
    forgotten = 0
    while (oldest := store.oldest_unix_s(before_unix_s, now_unix_s)) is not None:
        forgotten += store.forget(min(oldest + SLICE_S, before_unix_s), now_unix_s)
    return forgotten


def confirmed_unix_s(config: Config) -> int:
    """The newest time signed by a gate with a synchronised clock, in Unix seconds.

    0 if there is none, or while the database is unavailable. What is deleted by this time alone can
    wait: at most one row of the registry for each card.
    """
    try:
        with ReportStore.open(config.reports_url) as store:
            return store.witnessed().synchronised_unix_s or 0
    except RegistryError:
        return 0


def forget_due(config: Config, now_unix_s: int, *, is_clock_right: bool = False) -> int:
    """Delete the reports whose retention is over. Returns how many; raises OperatorError.

    A clock that runs ahead would delete reports that were not exported yet. Each gate signs the
    time of its status, so the gates are the witnesses: without a status of the last day nothing is
    deleted, unless the operator confirms the clock.
    """
    with ReportStore.open(config.reports_url) as store:
        before = ends_unix_s(config, now_unix_s)
        if store.oldest_unix_s(before, now_unix_s) is None:
            return 0
        witnessed = store.witnessed().best_unix_s
        if not is_clock_right and (witnessed is None or now_unix_s > witnessed + AHEAD_S):
            raise OperatorError(
                "no report is deleted: no gate has sent a status in the day before this clock's"
                " time. Set the clock; or, if it is right:"
                " turnike-backoffice reports forget --clock-is-right"
            )
        return forget(store, before, now_unix_s)
