"""The answer to a status request: what the lane reports of itself.

docs/lane-socket.md has the keys. The clerk asks for it in its own thread, so that no figure changes
meanwhile.
"""

from typing import Any

import msgspec

from validator.domain.decision import list_state
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import Now
from validator.ipc import answers
from validator.lane.ports import Outbox
from validator.lane.tally import Tally
from validator.lists.names import ListName


def lane_status(
    *,
    tally: Tally,
    now: Now,
    rules: RuleSet | None,
    cards: int,
    problems: tuple[str, ...],
    refused: tuple[ListName, ...],
    outbox: Outbox,
    delivered: int,
    notes_dropped: int,
    courier: answers.CourierHealth | None,
    figures: answers.Figures,
) -> answers.LaneStatus:
    """Put the lane's status together.

    `now` is wall time by the floor rule. `rules` is the list in force, of `cards` entries, or None.
    The last scan of the list folder had `problems` and refused the lists `refused`. Since the start
    `delivered` reports reached the city and `notes_dropped` log lines were lost. `courier` is None
    on a gate without a courier. `figures` are the loop's latencies.
    """
    return answers.LaneStatus(
        gate_id=tally.gate_id,
        lane=tally.lane,
        version=tally.version,
        run_id=tally.run_id,
        uptime_s=tally.uptime_s,
        devices=tally.devices,
        emergency=tally.emergency,
        tamper=tally.tamper,
        forced=tally.forced,
        taps=tally.taps(),
        unix_s=now.unix_s,
        clock_synchronised=now.synchronised,
        list_state=list_state(rules, now).value,
        list_version=rules.version if rules else None,
        list_issued_unix_s=rules.issued_unix_s if rules else None,
        list_expires_unix_s=rules.expires_unix_s if rules else None,
        list_cards=cards,
        list_problems=problems,
        lists_refused=refused,
        courier=courier,
        **report_counts(outbox, notes_dropped),
        reports_delivered=delivered,
        reports_trouble=outbox.trouble,
        disk_free_bytes=outbox.free_bytes(),
        **msgspec.structs.asdict(figures),
    )


def report_counts(outbox: Outbox, notes_dropped: int) -> dict[str, Any]:
    """Counts of reports and notes, as status and summary lines name them."""
    return {
        "reports_waiting": outbox.waiting,
        "reports_refused": outbox.refused,
        "reports_rejected": outbox.rejected,
        "notes_dropped": notes_dropped,
    }
