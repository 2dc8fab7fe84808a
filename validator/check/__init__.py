"""`turnike check` and `turnike list show`: check all that a gate needs; print what to do.

Nothing is changed. Only a fault that keeps the lane from serving is "bad". The courier's faults are
notes: without a courier, a gate goes on with the list that it has.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from validator.check.board_limits import examine_board_limits
from validator.check.courier import examine_courier
from validator.check.devices import examine_devices
from validator.check.files import examine_disks, examine_lane, examine_secrets
from validator.check.finding import Finding, date
from validator.check.list_show import show_list
from validator.command_line.output import OutputError, give_up
from validator.config import Config
from validator.domain.rules import RuleSet
from validator.domain.trusted_time import NS_PER_S
from validator.formats.shown import shown
from validator.host.clock import Clock
from validator.lane.ports import FoundTime
from validator.lists.fingerprint_keys import FingerprintKeyError
from validator.lists.held_keys import held_keys, read_keys
from validator.lists.segment import MappedTable
from validator.programs.lane import list_folder, time_file

__all__ = ["Finding", "examine", "show", "show_list"]

MARKS = {"ok": "green", "note": "yellow", "bad": "red"}


def examine(config: Config) -> Iterator[Finding]:
    """Check one subject after the other; yields each finding as soon as it is known."""
    yield Finding(
        "configuration",
        "ok",
        f"gate {config.gate_id}, lane {config.lane}, reader {config.reader.driver}",
    )
    if config.log.grounds:
        shows = "the log and `watch` show why each card was refused"
        told = f"log.grounds is true: {shows}; set it to false where passengers are"
        yield Finding("log", "note", told)
    clock = Clock()
    found = time_file(config).look()
    if found is not None and found.signed is not None:
        clock.begin_with(found.signed)
    yield from _list(config, clock)
    yield from examine_courier(config, clock.now().unix_s)
    yield from _clock(clock, found)
    yield from examine_disks(config)
    yield from examine_lane(config)
    yield from examine_secrets(config)
    yield from examine_board_limits(config)
    yield from examine_devices(config)


def show(findings: Iterator[Finding], *, as_json: bool) -> bool:
    """Print each finding as it comes; return whether the gate could serve, also into `| head`."""
    seen, is_read = [], True
    for finding in findings:
        seen.append(finding)
        if not as_json and is_read:
            mark = click.style(f"{finding.mark:4}", fg=MARKS[finding.mark])
            try:
                click.echo(f"{mark}  {finding.subject:13}  {shown(finding.text)}")
                sys.stdout.flush()  # a closed pipe is noticed here, not at the end
            except OutputError as error:
                if not error.is_closed:
                    raise
                give_up()
                is_read = False
    serves = not any(finding.fatal for finding in seen)
    if as_json:
        click.echo(
            json.dumps({"serves": serves, "findings": [asdict(finding) for finding in seen]})
        )
    return serves


def _list(config: Config, clock: Clock) -> Iterator[Finding]:
    try:
        keys = held_keys(Path(config.list.keys))
        _, spoilt = read_keys(Path(config.list.keys))
    except FingerprintKeyError as error:
        yield Finding("keys", "bad", str(error))
        return
    adopted = list_folder(config).settled()
    used = _used_keys(adopted.rules)
    told = (f"{key.hex()}{' (in use)' if key in used else ''}" for key in keys)
    yield Finding("keys", "ok", f"{len(keys)} fingerprint key(s): {', '.join(told)}")
    yield from (Finding("keys", "note", line) for line in spoilt)
    for problem in adopted.problems:
        yield Finding("list", "note", problem)
    if adopted.rules is None:
        admits = config.list.missing == "admit"
        yield Finding(
            "list",
            "note" if admits else "bad",
            f"missing: every card is {'admitted' if admits else 'denied'} (list.missing)",
        )
        return
    clock.raise_floor(adopted.rules.issued_unix_s)
    stale = clock.now().unix_s >= adopted.rules.expires_unix_s
    kept = "decided by it" if config.list.stale == "decide" else "denied"
    state = f"stale: every card is {kept} (list.stale)" if stale else "fresh"
    mark = "ok" if not stale else "note" if config.list.stale == "decide" else "bad"
    yield Finding(
        "list",
        mark,
        f"version {adopted.rules.version}, {len(adopted.rules.rules)} rule(s), {state}",
    )


def _used_keys(rules: RuleSet | None) -> set[bytes]:
    """The ids of the keys under which the list in force was made: two while a key is replaced."""
    tables = [rule.table for rule in rules.rules] if rules else []
    return {
        header.key_id
        for table in tables
        if isinstance(table, MappedTable)
        for header in table.headers
    }


def _clock(clock: Clock, found: FoundTime | None) -> Iterator[Finding]:
    if found is not None and found.problem:
        yield Finding("clock", "note", found.problem)
    floor = _floor(clock, found)
    if clock.now().synchronised:
        yield Finding("clock", "ok", f"synchronised by the kernel's account; {floor}")
    elif clock.system().synchronised:
        behind = f"the kernel calls it synchronised, and it is behind: {floor}"
        text = f"{behind}; check the time service (timedatectl)"
        if found is not None and found.signed is not None:
            ahead = "the city's clock ran ahead: call the back office (docs/runbook.md)"
            text += f"; if that is right, {ahead}"
        yield Finding("clock", "note", text)
    else:
        yield Finding(
            "clock", "note", f"not synchronised: {floor}; check the time service (timedatectl)"
        )


def _floor(clock: Clock, found: FoundTime | None) -> str:
    if clock.floor_unix_s() * NS_PER_S <= clock.system().boottime_ns:
        return "neither the city nor a list has given the time yet"
    behind = (
        "signed by the city"
        if found is not None and found.signed is not None
        else "of the list itself"
    )
    return f"it is {date(clock.floor_unix_s())} at least, counted from the time {behind}"
