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

    Args:
        tally: counts taps and device states of this run; `now` is by the floor rule.
        rules: the list in force, of `cards` entries; None without one.
        problems: of the last scan of the list folder, which refused the lists `refused`.
        delivered: reports since the start; `notes_dropped` log lines were lost since.
        courier: health of the gate's courier, None without one; `figures` are the loop's.
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
