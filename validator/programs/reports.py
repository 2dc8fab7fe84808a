"""`turnike reports`: shows how many reports wait in a lane's outbox, and retries quarantined ones.

It asks the lane, which alone may open its outbox.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from validator.config import Config
from validator.errors import LaneGoneError
from validator.formats.shown import shown
from validator.ipc.client import LaneClient
from validator.ipc.requests import BATCH_MAX

_COUNTS = {
    "reports_waiting": "wait for the courier",
    "reports_rejected": "quarantined, since the back office did not accept them",
    "reports_refused": "refused since the lane's start, for want of room",
}


class NoAnswerError(Exception):
    """The lane cannot be asked; the text is one line."""


@contextmanager
def _lane(config: Config) -> Iterator[LaneClient]:
    if not config.reports.socket:
        raise NoAnswerError(
            "reports.socket: not set, so no program can ask this lane; name a socket there"
        )
    lane = LaneClient(Path(config.reports.socket))
    try:
        yield lane
    except LaneGoneError as error:
        raise NoAnswerError(f"the lane does not answer: {error}") from error
    finally:
        lane.close()


def retry_reports(config: Config) -> int:
    """Let all readable quarantined reports wait again; return how many.

    Raises:
        NoAnswerError: the lane does not answer, or cannot read its reports.
    """
    with _lane(config) as lane:
        # Reports that are rejected meanwhile are not counted twice.
        status = lane.outbox_status()
        left = there = status.reports_rejected
        if there is None or left is None:
            raise NoAnswerError(f"the lane cannot read its reports: {status.reports_trouble}")
        while left > 0 and (some := lane.retry()):
            left -= some
        return there - left


def show_reports(config: Config, *, as_json: bool) -> None:
    """Print the counts and the oldest reports; a report names no card.

    Raises:
        NoAnswerError: the lane does not answer.
    """
    with _lane(config) as lane:
        status = lane.outbox_status()
        is_known = status.reports_waiting is not None
        oldest = lane.oldest(BATCH_MAX, 0) if is_known else ()
    counts = {name: getattr(status, name) for name in (*_COUNTS, "reports_trouble")}
    if as_json:
        click.echo(
            json.dumps({**counts, "oldest": [json.loads(report.json()) for report in oldest]})
        )
        return
    for name, what in _COUNTS.items():
        told = "unknown" if counts[name] is None else f"{counts[name]:,}"
        click.echo(f"{told:>9} {what}")
    if counts["reports_trouble"]:
        click.echo(f"trouble: {shown(str(counts['reports_trouble']))}")
    for report in oldest:
        kind = f"{report.kind.value}, rule {shown(report.rule)}, list {report.list_version}"
        click.echo(f"  {report.seq:>9} {report.unix_s} {kind}, id {shown(report.report_id)}")
