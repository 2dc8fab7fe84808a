"""Statuses of gates, put into a report store as the receiver would put them."""

from backoffice.reports.store import ReportStore
from validator.reports.signed_request import Speaker


def set_status(
    store: ReportStore, gate_id: str, created_unix_s: int, now_unix_s: int, status: str
) -> bool:
    """Keep a status of a gate that was never given a nonce. Returns whether it was kept."""
    return store.keep_status(Speaker(gate_id, created_unix_s), now_unix_s, status).kept
