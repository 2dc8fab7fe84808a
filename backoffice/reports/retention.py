"""Deletes reports when their time is over, exported or not. What a gate's outbox had missing is remembered (ReportStore.forget); of whom, nothing.

The publisher does it, of which a city has one: `publish --watch` each hour, and each `publish` without it. `reports forget` does it by hand.
"""

from backoffice.home.config import Config
from backoffice.home.folder import DAY_S
from backoffice.registry.database import RegistryError
from backoffice.reports.store import ReportStore
from validator.errors import OperatorError

AHEAD_S = DAY_S  # how far this clock may be ahead of what gates have said last before it is doubted
SLICE_S = (
    3_600  # of reports that are deleted at once: a gate that sends meanwhile waits for no more
)


def ends_unix_s(config: Config, now_unix_s: int) -> int:
    """Reports that were received before this are to be deleted now."""
    return now_unix_s - config.reports.retention_days * DAY_S


def forget(store: ReportStore, before_unix_s: int, now_unix_s: int) -> int:
    """Delete the reports that came before, an hour of them at a time; how many."""
    forgotten = 0
    while (oldest := store.oldest_unix_s(before_unix_s, now_unix_s)) is not None:
        forgotten += store.forget(min(oldest + SLICE_S, before_unix_s), now_unix_s)
    return forgotten


def confirmed_unix_s(config: Config) -> int:
    """The newest time that a gate with a synchronised clock has signed, in Unix seconds; 0 if none has, or the database is away.

    What is deleted by it alone can wait: of the registry, at most a row for each card.
    """
    try:
        with ReportStore.open(config.reports_url) as store:
            return store.witnessed().synchronised_unix_s or 0
    except RegistryError:
        return 0


def forget_due(config: Config, now_unix_s: int, *, is_clock_right: bool = False) -> int:
    """Delete the reports of this city whose time is over; how many. Raises OperatorError.

    A clock that runs ahead would delete what nobody has exported yet. The gates' are the witnesses: each signs the time at which it says how it fares. With
    none of the last day nothing is deleted, unless a person says that the clock is right.
    """
    with ReportStore.open(config.reports_url) as store:
        before = ends_unix_s(config, now_unix_s)
        if store.oldest_unix_s(before, now_unix_s) is None:
            return 0
        witnessed = store.witnessed().best_unix_s
        if not is_clock_right and (witnessed is None or now_unix_s > witnessed + AHEAD_S):
            raise OperatorError(
                "no report is deleted: no gate has spoken since a day before what this clock says. Set the clock; or, if it is"
                " right, say so: turnike-backoffice reports forget --clock-is-right"
            )
        return forget(store, before, now_unix_s)
