"""Deletes reports when their time is over, exported or not. What a gate's outbox had missing is remembered (ReportStore.forget); of whom, nothing.

The publisher does it, of which a city has one: `publish --watch` each hour, and each `publish` without it. `reports forget` does it by hand.
"""

from backoffice.config import Config
from backoffice.office import DAY_S
from backoffice.report_store import ReportStore

SLICE_S = 3_600  # of reports that are deleted at once: a gate that sends meanwhile waits for no more


def ends_unix_s(config: Config, now_unix_s: int) -> int:
    """Reports that were received before this are to be deleted now."""
    return now_unix_s - config.reports.retention_days * DAY_S


def forget(store: ReportStore, before_unix_s: int) -> int:
    """Delete the reports that were received before, an hour of them at a time; how many."""
    forgotten = 0
    while (oldest := store.oldest_unix_s()) is not None and oldest < before_unix_s:
        forgotten += store.forget(min(oldest + SLICE_S, before_unix_s))
    return forgotten


def forget_due(config: Config, now_unix_s: int) -> int:
    """Delete the reports of this city whose time is over; how many. Raises RegistryError."""
    with ReportStore.open(config.database_url) as store:
        return forget(store, ends_unix_s(config, now_unix_s))
