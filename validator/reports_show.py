"""What `turnike reports show` shows: how many reports wait in a lane's outbox, and the oldest of them. Asked of the lane, which alone may open it."""

import json
from pathlib import Path
from typing import Any

import click

from validator.adapters.lane_client import LaneClient
from validator.carrier_ports import LaneGoneError
from validator.config import Config
from validator.formats.lane_requests import BATCH_MAX

_COUNTS = {
    "reports_waiting": "wait for the courier",
    "reports_rejected": "put aside, since the back office did not take them",
    "reports_refused": "refused since the lane's start, for want of room",
}


def show_reports(config: Config, *, as_json: bool) -> bool:
    """Show them; False if the lane does not answer. A report names nobody."""
    if not config.reports.socket:
        click.echo("there is no reports.socket, so nobody can ask this lane", err=True)
        return False
    lane = LaneClient(Path(config.reports.socket))
    try:
        status, oldest = lane.status(), lane.oldest(BATCH_MAX, 0)
    except LaneGoneError as error:
        click.echo(f"the lane does not answer: {error}", err=True)
        return False
    finally:
        lane.close()
    counts: dict[str, Any] = {name: status[name] for name in (*_COUNTS, "reports_trouble")}
    if as_json:
        click.echo(json.dumps({**counts, "oldest": [json.loads(report.json()) for report in oldest]}))
        return True
    for name, what in _COUNTS.items():
        click.echo(f"{counts[name]:>9,} {what}")
    if counts["reports_trouble"]:
        click.echo(f"trouble: {counts['reports_trouble']}")
    for report in oldest:
        click.echo(
            f"  {report.seq:>9} {report.unix_s} {report.kind.value}, rule {report.rule}, list {report.list_version}, id {report.report_id}"
        )
    return True
