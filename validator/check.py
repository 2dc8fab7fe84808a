"""`turnike check` and `turnike list show`: looks at everything a lane needs and says what is wrong and how to mend it. Changes nothing.

It opens the devices with the lane's own drivers, so what it says of them is what the lane would say. A device that a running lane
holds is left alone.
"""

import fcntl
import json
import os
import select
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from validator.adapters.clock import Clock
from validator.adapters.list_folder import Adopted, held_keys
from validator.adapters.time_file import FoundTime, TimeFile
from validator.app import list_folder, make_board, make_reader
from validator.config import Config
from validator.domain.events import BoardBack, BoardLost, ReaderBack, ReaderLost
from validator.domain.rules import Rule
from validator.formats.courier_status import (
    COURIER_STATUS_BYTES_MAX,
    COURIER_STATUS_FILE,
    FRESH,
    CourierStatusError,
    decode,
)
from validator.formats.fingerprint_keys import FingerprintKeyError
from validator.formats.segment import MappedTable
from validator.formats.signed_time import SIGNED_TIME_FILE
from validator.ports import Board, Reader

DEVICE_WAIT_S = 4.0  # a chip left at another speed is found in two seconds, a board greets within one
FREE_BYTES_MIN = 600 << 20  # three lists of the largest size, and room for reports
COURIER_SILENT_S = 4_500  # the longest it waits between two polls: 3,600 s and a fifth
MARKS = {"ok": "green", "note": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: "ok", "note" (the gate serves, but look at it) or "bad" (it could not serve)."""

    subject: str
    mark: str
    text: str

    @property
    def fatal(self) -> bool:
        """Whether the gate could not serve because of it."""
        return self.mark == "bad"


def examine(config: Config) -> Iterator[Finding]:
    """Look at one thing after the other."""
    yield Finding(
        "configuration", "ok", f"gate {config.gate_id}, lane {config.lane}, reader {config.reader.driver}"
    )
    clock = Clock()
    found = TimeFile(Path(config.list.folder) / SIGNED_TIME_FILE).look()
    if found is not None and found.signed is not None:
        clock.begin_with(found.signed)
    yield from _list(config, clock)
    yield _courier(config, clock)
    yield from _clock(clock, found)
    yield _disk(config)
    yield from _devices(config)


def show(findings: Iterator[Finding], *, as_json: bool) -> bool:
    """Print each finding as it comes; returns whether the gate could serve."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            click.echo(
                f"{click.style(f'{finding.mark:4}', fg=MARKS[finding.mark])}  {finding.subject:13}  {finding.text}"
            )
    serves = not any(finding.fatal for finding in seen)
    if as_json:
        click.echo(json.dumps({"serves": serves, "findings": [asdict(finding) for finding in seen]}))
    return serves


def show_list(config: Config, *, as_json: bool) -> bool:
    """Print what the list in force is made of; returns whether there is one."""
    try:
        adopted = list_folder(config).settled()
    except FingerprintKeyError as error:
        adopted = Adopted(None, (str(error),))
    for problem in adopted.problems:
        click.echo(f"turnike: {problem}", err=True)
    if adopted.rules is None:
        click.echo(json.dumps({"list_version": None}) if as_json else "no list")
        return False
    rules = [_described(rule) for rule in adopted.rules.rules]
    whole = {
        "list_version": adopted.rules.version,
        "issued_unix_s": adopted.rules.issued_unix_s,
        "expires_unix_s": adopted.rules.expires_unix_s,
        "rules": rules,
    }
    click.echo(json.dumps(whole) if as_json else _as_text(whole))
    return True


def _list(config: Config, clock: Clock) -> Iterator[Finding]:
    try:
        keys = held_keys(Path(config.list.keys))
    except FingerprintKeyError as error:
        yield Finding("keys", "bad", str(error))
        return
    yield Finding("keys", "ok", f"{len(keys)} fingerprint key(s): {', '.join(key.hex() for key in keys)}")
    adopted = list_folder(config).settled()
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
        "list", mark, f"version {adopted.rules.version}, {len(adopted.rules.rules)} rule(s), {state}"
    )


def _courier(config: Config, clock: Clock) -> Finding:
    path = Path(config.list.recent or config.list.folder) / COURIER_STATUS_FILE
    try:
        with path.open("rb") as file:
            status = decode(file.read(COURIER_STATUS_BYTES_MAX + 1))
    except FileNotFoundError:
        return Finding("lists", "note", "no courier has run here: lists come only by hand")
    except OSError as error:
        return Finding("lists", "note", f"{path}: {error.strerror}")
    except CourierStatusError as error:
        return Finding("lists", "note", f"{path}: {error}; the courier writes it anew")
    version = f"version {status.list_version}" if status.list_version else "no list"
    asked = f"asked last {_date(status.polled_unix_s)}"
    if config.list.recent and clock.now().unix_s - status.polled_unix_s > COURIER_SILENT_S:
        text = f"{asked}: is the courier running? (systemctl status turnike-courier); the gate goes on by {version}"
        return Finding("lists", "note", text)
    if status.state == FRESH:
        return Finding("lists", "ok", f"{FRESH} since {_date(status.since_unix_s)}, {asked}, {version}")
    problem = "".join(character if character.isprintable() else "?" for character in status.problem)
    text = f"{status.state} since {_date(status.since_unix_s)}: {problem}; the gate goes on by {version}"
    return Finding("lists", "note", text)


def _clock(clock: Clock, found: FoundTime | None) -> Iterator[Finding]:
    if found is not None and found.problem:
        yield Finding("clock", "note", found.problem)
    behind = "signed by the city" if found is not None and found.signed is not None else "of the list itself"
    floor = f"it is {_date(clock.floor_unix_s())} at least, counted from the time {behind}"
    if clock.now().synchronised:
        yield Finding("clock", "ok", f"synchronised, says the kernel; {floor}")
    elif clock.system().synchronised:
        text = f"the kernel calls it synchronised, and it is behind: {floor}; check the time service (timedatectl)"
        yield Finding("clock", "note", text)
    else:
        yield Finding("clock", "note", f"not synchronised: {floor}; check the time service (timedatectl)")


def _disk(config: Config) -> Finding:
    try:
        status = os.statvfs(config.list.folder)
    except OSError as error:
        return Finding(
            "disk", "note", f"{config.list.folder}: {error.strerror}; create it, owned by the courier"
        )
    free = status.f_bavail * status.f_frsize
    text = f"{free >> 20:,} MiB free at {config.list.folder}"
    return (
        Finding("disk", "ok", text)
        if free >= FREE_BYTES_MIN
        else Finding("disk", "note", f"{text}; a full list may not fit")
    )


def _devices(config: Config) -> Iterator[Finding]:
    paths = {"board": config.board.device, "reader": config.reader.device or config.board.device}
    held = {
        subject: path for subject, path in paths.items() if _held(path)
    }  # asked before our own drivers hold them
    for subject, path in held.items():
        yield Finding(
            subject, "note", f"{path}: held by another process, most likely the lane; its log tells the state"
        )
    if "board" in held and config.reader.driver == "serial":
        return
    board = make_board(config)
    reader = make_reader(config, board)
    try:
        for subject, device in (("board", board), ("reader", reader)):
            if subject not in held:
                yield _device(subject, paths[subject], device)
    finally:
        reader.close()
        board.close()


def _device(subject: str, path: str, device: Board | Reader) -> Finding:
    deadline_s = time.monotonic() + DEVICE_WAIT_S
    lost = f"{subject} at {path}: nothing heard"
    while time.monotonic() < deadline_s:
        match device.take():
            case BoardBack() | ReaderBack():
                return Finding(subject, "ok", f"{path}: answers")
            case BoardLost(reason=reason) | ReaderLost(reason=reason):
                lost = reason
            case _:
                _wait(device)
    return Finding(subject, "bad", lost)


def _held(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # what is wrong, the driver tells better
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _wait(device: Board | Reader) -> None:
    poll = select.poll()
    if device.fileno() >= 0:
        poll.register(device.fileno(), select.POLLIN)
    poll.poll(max(device.deadline_ns() - time.monotonic_ns(), 0) / 1e6)


def _described(rule: Rule) -> dict[str, Any]:
    headers = rule.table.headers if isinstance(rule.table, MappedTable) else ()
    return {
        "name": rule.name,
        "effect": rule.effect.value,
        "in_force_from_unix_s": rule.in_force_from_unix_s,
        "reports": rule.reports,
        "notice": rule.notice,
        "segments": [
            {
                "from": header.from_version,
                "to": header.to_version,
                "cards": header.count,
                "key_id": header.key_id.hex(),
            }
            for header in headers
        ],
    }


def _as_text(whole: dict[str, Any]) -> str:
    lines = [
        f"list version {whole['list_version']}, issued {_date(whole['issued_unix_s'])}, expires {_date(whole['expires_unix_s'])}"
    ]
    for rule in whole["rules"]:
        flags = ", reported" if rule["reports"] else ""
        since = (
            f", in force from {_date(rule['in_force_from_unix_s'])}" if rule["in_force_from_unix_s"] else ""
        )
        lines.append(f"  {rule['effect']:8} {rule['name']}{since}{flags}")
        lines += [
            f"           versions {part['from']} to {part['to']}: {part['cards']:,} cards"
            for part in rule["segments"]
        ]
    return "\n".join(lines)


def _date(unix_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(unix_s))
