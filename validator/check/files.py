"""Folders, secret files and the lane's socket: may they be written and read, and by whom.

Each finding is at most a note: a gate opens and shuts without its reports, its socket and its
courier. Nothing is written here.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from validator.check.finding import Finding, printable
from validator.config import Config
from validator.courier.receiver_client import GateKeyError, gate_key
from validator.errors import LaneGoneError
from validator.host.mounts import read_only
from validator.host.owners import name_of, service_owner
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE
from validator.ipc.answers import OutboxStatus
from validator.ipc.client import LaneClient
from validator.lane.outbox.folder import IDENTITY, LOCK
from validator.learning.signed_text import shown_key_id

FREE_BYTES_MIN = 600 << 20  # three lists of the largest size, and room for reports
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITERS = stat.S_IWGRP | stat.S_IWOTH
_UNWRITABLE = "nothing new can be written there"


def examine_disks(config: Config) -> Iterator[Finding]:
    """Check the disk of the lists and that of the reports."""
    folder = Path(config.list.folder)
    yield _disk(
        "disk",
        folder,
        (ACCEPTED_FILE, ACCEPTED_COPY_FILE),
        FREE_BYTES_MIN,
        "a full list may not fit",
    )
    reserve_bytes = (config.reports.reserve_mb << 20) + (1 << 20)
    files = (LOCK, IDENTITY)
    yield _disk(
        "reports",
        Path(config.reports.folder),
        files,
        reserve_bytes,
        "the newest reports are refused",
    )


def _disk(
    subject: str, folder: Path, files: tuple[str, ...], bytes_min: int, lacks: str
) -> Finding:
    who = "the courier" if subject == "disk" else "the lane"
    try:
        status = os.statvfs(folder)
    except OSError as error:
        makes = f"{who} makes it where it may, else create it, owned by {who}'s user"
        return Finding(subject, "note", f"{folder}: {error.strerror}; {makes}")
    if problem := read_only(folder, *files):
        return Finding(
            subject, "note", f"{problem}; {_UNWRITABLE}: check the disk (dmesg), then replace it"
        )
    if problem := _foreign(folder):
        return Finding(subject, "note", problem)
    free = status.f_bavail * status.f_frsize
    text = f"{free >> 20:,} MiB free at {folder}"
    return (
        Finding(subject, "ok", text)
        if free >= bytes_min
        else Finding(subject, "note", f"{text}; {lacks}")
    )


def _foreign(folder: Path) -> str:
    """Why others than its owner could change files in this folder; empty if they could not."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & _WRITERS and not mode & stat.S_ISVTX:
        return f"{folder}: mode {mode:04o}, others may write there; chmod go-w {folder}"
    return ""


def examine_lane(config: Config) -> Iterator[Finding]:
    """Ask the lane on its socket how many reports wait."""
    if not config.reports.socket:
        text = "there is no reports.socket: no courier can ask this lane, and its reports stay here"
        yield Finding("socket", "note", text)
        return
    path = Path(config.reports.socket)
    lane = LaneClient(path)
    try:
        status = lane.outbox_status()
    except LaneGoneError as error:
        running = f"is the lane running? (systemctl status turnike-lane@{config.lane})"
        yield Finding("socket", "note", f"{printable(str(error))}: {running}")
        return
    finally:
        lane.close()
    yield _socket(path)
    if status.reports_trouble:
        text = f"cannot be kept now: {printable(status.reports_trouble)}"
        yield Finding("reports", "note", text)
    yield _reports(status)


def _socket(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding("socket", "note", f"{path}: {error.strerror}")
    if mode & stat.S_IRWXO:
        return Finding(
            "socket",
            "note",
            f"{path}: mode {mode:04o}, every user may ask the lane; chmod o= {path}",
        )
    return Finding("socket", "ok", f"{path}: the lane answers")


def _reports(status: OutboxStatus) -> Finding:
    waiting, rejected, refused = (
        status.reports_waiting,
        status.reports_rejected,
        status.reports_refused,
    )
    if waiting is None or rejected is None:
        return Finding(
            "reports", "note", "it is not known how many wait: the lane cannot read them"
        )
    text = f"{waiting:,} wait, {rejected:,} quarantined, {refused} refused since the lane's start"
    return Finding("reports", "note" if rejected or refused else "ok", text)


def examine_secrets(config: Config) -> Iterator[Finding]:
    """Check that only the service can read its keys and reports, and that it can."""
    found = [*_secrets(config)]
    yield from found
    if not found:
        yield Finding("secrets", "ok", "no key and no report can be read by others")
    if config.upload is not None:
        folders = [Path(config.list.folder), Path(config.list.keys), Path(config.reports.folder)]
        yield _enrolment(Path(config.upload.key), folders)


def _secrets(config: Config) -> Iterator[Finding]:
    keys, reports = Path(config.list.keys), Path(config.reports.folder)
    with suppress(OSError):  # the finding on keys reports it
        for path in sorted(keys.glob("*.key")):
            yield from _secret(path, "fingerprint key", _OTHERS)
    key = [Path(config.upload.key)] if config.upload is not None else []
    for path in key:
        yield from _secret(path, "gate's key", _OTHERS)
    for folder in (keys, *(path.parent for path in key)):
        with suppress(OSError):
            if problem := _foreign(folder):
                yield Finding("secrets", "note", problem)
    with suppress(OSError):
        mode = stat.S_IMODE(reports.stat().st_mode)
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            text = (
                f"{reports}: mode {mode:04o}, every user may read the reports; chmod o= {reports}"
            )
            yield Finding("secrets", "note", text)
        # The users whom the folder lets in; the group may read, as a backup would.
        open_to = (stat.S_IRWXO if mode & stat.S_IXOTH else 0) | (
            stat.S_IWGRP if mode & stat.S_IXGRP else 0
        )
        for path in sorted(reports.glob("*")):
            yield from _secret(path, "file of the outbox", open_to)


def _secret(path: Path, what: str, bits: int) -> Iterator[Finding]:
    """Note a file with any of these mode bits: others than its owner can read or change it."""
    try:
        mode = path.stat().st_mode  # a link is followed, since its target is read
    except OSError:
        return  # another finding reports that it is missing
    if stat.S_ISREG(mode) and mode & bits:
        loose = f"mode {stat.S_IMODE(mode):04o}, others than its owner may read or change it"
        replace = (
            ""
            if what == "file of the outbox"
            else "; if others may have read it, replace it (docs/runbook.md)"
        )
        yield Finding("secrets", "note", f"{path}: {loose}; chmod 600 {path}{replace}")


def _enrolment(path: Path, folders: Sequence[Path]) -> Finding:
    """Check the gate's key: it exists, is a key, and belongs to the courier's user."""
    try:
        owner = path.stat().st_uid
        key_id = shown_key_id(gate_key(path).public_key().public_bytes_raw().hex())
    except FileNotFoundError:
        text = (
            f"{path}: not there; turnike enroll makes it, with a token of turnike-backoffice enroll"
        )
        return Finding("enrolment", "note", text)
    except OSError as error:
        text = f"{path}: {error.strerror}; run this check as root or as the courier's user"
        return Finding("enrolment", "note", text)
    except GateKeyError as error:
        return Finding("enrolment", "note", str(error))
    service = service_owner((*folders, path.parent))
    if service is not None and owner != service.user_id:
        text = f"{path}: belongs to {name_of(owner)}, and the courier is {service.name}"
        return Finding("enrolment", "note", f"{text}; as root: chown {service.name}: {path}")
    text = (
        f"{path}: this gate's key {key_id}, {name_of(owner)}'s; the city's answers show whether it"
        " knows it"
    )
    return Finding("enrolment", "ok", text)
