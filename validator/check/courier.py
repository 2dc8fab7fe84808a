"""What `turnike check` finds about the courier: status, root, list, folders, certificates.

Each finding is at most a note: a gate serves without a courier, with an ever older list.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from validator.check.finding import Finding, date, printable
from validator.config import Config, CourierConfig
from validator.courier.signed_metadata import is_root
from validator.courier.store.accepted_store import ROOT_BYTES_MAX, ROOT_NAME, DiskAcceptedStore
from validator.courier.web.client import Web
from validator.errors import SourceState
from validator.host.mounts import is_in_memory, read_only
from validator.host.plain_files import read_given, read_regular
from validator.ipc.accepted import Accepted
from validator.ipc.courier_status import (
    COURIER_STATUS_BYTES_MAX,
    COURIER_STATUS_FILE,
    CourierStatus,
    CourierStatusError,
    UploadStatus,
    decode,
    silence_s_max,
)
from validator.lists.fingerprint_keys import FingerprintKeyError
from validator.lists.held_keys import held_keys
from validator.lists.manifest import ManifestError, PublishedManifest
from validator.lists.manifest import decode as decode_manifest

_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))

ADVICE = {
    SourceState.UNREACHABLE: "check the network and courier.url",
    SourceState.NOT_OURS: "another server answers there: check courier.url, "
    "or register this gate in that network",
    SourceState.TLS: "check courier.ca_file, the server's certificate and the clock",
    SourceState.PROXY: "check courier.proxy",
    SourceState.BUSY: "it asks again by itself",
    SourceState.SLOW: "it asks again by itself; check the network",
    SourceState.FROZEN: "the city publishes nothing new, or an attacker holds it back: "
    "call the back office (docs/runbook.md)",
    SourceState.REPLAYED: "call the back office (docs/runbook.md)",
    SourceState.REFUSED: "call the back office (docs/runbook.md)",
    SourceState.NO_KEY: "it comes from the back office (docs/runbook.md)",
    SourceState.DISK: "check the disk",
}


class _RootFacts(msgspec.Struct, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=1)]
    expires: datetime


class _RootFile(msgspec.Struct, frozen=True):
    """The part of root metadata that is shown."""

    signed: _RootFacts


def examine_courier(config: Config, now_unix_s: int) -> Iterator[Finding]:
    """Check each; `now_unix_s` is the time by the floor rule."""
    settings = config.courier
    if settings is None:
        by_hand = "not configured: lists come only by hand"
        explained = "config/validator.example.toml explains [courier]"
        yield Finding("courier", "note", f"{by_hand}; {explained}")
        return
    yield from _status(config, settings, now_unix_s)
    accepted_store = DiskAcceptedStore(Path(config.list.folder))
    yield from _root(accepted_store, Path(config.list.folder), settings, now_unix_s)
    yield from _accepted(accepted_store, config)
    yield from _folders(config)
    yield _authorities(settings)


def _status(config: Config, settings: CourierConfig, now_unix_s: int) -> Iterator[Finding]:
    path = Path(config.list.recent or config.list.folder) / COURIER_STATUS_FILE
    advice = "is it running? (systemctl status turnike-courier)"
    try:
        status = decode(read_regular(path, COURIER_STATUS_BYTES_MAX))
    except FileNotFoundError:
        since = " since the boot" if config.list.recent else ""
        yield Finding("courier", "note", f"has written no status{since}: {advice}")
    except OSError as error:
        yield Finding("courier", "note", f"{path}: {error.strerror}; check its owner")
    except CourierStatusError as error:
        yield Finding("courier", "note", f"{path}: {error}; the courier writes it again")
    else:
        yield _lists(config, settings, status, now_unix_s, advice)
        if config.upload is not None and status.upload is not None:
            yield _upload(status.upload)


def _upload(upload: UploadStatus) -> Finding:
    if upload.state == SourceState.FRESH.value and not upload.problem:
        return Finding("upload", "ok", "nothing keeps reports from the back office")
    problem = printable(upload.problem or upload.state)
    text = f"{problem}; reports wait on the gate until then (docs/reports.md)"
    return Finding("upload", "note", text)


def _lists(
    config: Config, settings: CourierConfig, status: CourierStatus, now_unix_s: int, advice: str
) -> Finding:
    silent_s = now_unix_s - status.polled_unix_s
    asked = f"asked last {date(status.polled_unix_s)} ({_age(silent_s)} ago)"
    version = f"version {status.list_version}" if status.list_version else "no list"
    # Without a memory-backed folder, the file is written only on a change: it may be old.
    if config.list.recent and silent_s > silence_s_max(status.state, settings.poll_s):
        return Finding("courier", "note", f"{asked}: {advice}; the gate goes on by {version}")
    since = f"{printable(status.state)} since {date(status.since_unix_s)}"
    if status.state == SourceState.FRESH.value and (problem := _unwritable(config)):
        return Finding(
            "courier",
            "note",
            f"{problem}: it could not write its status since; read its log",
        )
    if status.state == SourceState.FRESH.value:
        return Finding("courier", "ok", f"{since}, {asked}, {version}")
    problem = f"{since}: {printable(status.problem)}; {_advice(status.state)}"
    return Finding("courier", "note", f"{problem}{asked}; the gate goes on by {version}")


def _unwritable(config: Config) -> str:
    """Why the status that the courier wrote may be old; empty if it is not."""
    try:
        return read_only(Path(config.list.recent or config.list.folder), COURIER_STATUS_FILE)
    except OSError:
        return ""


def _advice(state: str) -> str:
    """What to do, and "; "; empty for a state of a newer courier."""
    return next((f"{advice}; " for known, advice in ADVICE.items() if known.value == state), "")


def _root(
    accepted_store: DiskAcceptedStore, folder: Path, settings: CourierConfig, now_unix_s: int
) -> Iterator[Finding]:
    """The newest root that this gate has verified; before the first, the one it was given."""
    kept = (
        accepted_store.root
        if accepted_store.root is not None and is_root(accepted_store.root)
        else None
    )
    if accepted_store.root is not None and kept is None:
        again = "the courier begins with courier.root and fetches the later ones"
        yield Finding("root", "note", f"{folder / ROOT_NAME}: damaged; {again}")
    given, wrong = _given_root(settings)
    if wrong:
        comes = (
            "the courier goes on by the root it has kept" if kept else "the courier cannot start"
        )
        yield Finding(
            "root",
            "note",
            f"{wrong}; put the city's root.json there, from a source you trust: {comes}",
        )
    root = kept or given
    if root is None:
        return
    facts = msgspec.json.decode(root, type=_RootFile).signed
    expires_unix_s = int(facts.expires.timestamp())
    if expires_unix_s <= now_unix_s:
        expired = f"root {facts.version} expired {date(expires_unix_s)}"
        renews = "nothing new is accepted until the back office renews it (docs/runbook.md)"
        yield Finding("root", "note", f"{expired}: {renews}")
    else:
        yield Finding("root", "ok", f"root {facts.version}, expires {date(expires_unix_s)}")


def _given_root(settings: CourierConfig) -> tuple[bytes | None, str]:
    """Return the root that the gate was given, or None and what is wrong with it."""
    try:
        content = read_given(Path(settings.root), ROOT_BYTES_MAX)
    except OSError as error:
        return None, f"{settings.root}: {error.strerror}"
    return (content, "") if is_root(content) else (None, f"{settings.root}: is no root metadata")


def _accepted(accepted_store: DiskAcceptedStore, config: Config) -> Iterator[Finding]:
    accepted = accepted_store.accepted
    if accepted is None:
        text = accepted_store.problem or "nothing yet: the courier has not reached its city"
        yield Finding("accepted", "note", text)
        return
    if accepted_store.problem:
        yield Finding("accepted", "note", f"{accepted_store.problem}; the courier writes it again")
    signed = (
        f"list {accepted.list_version} of era {accepted.era}, signed {date(accepted.signed_unix_s)}"
    )
    if missing := _missing_key(accepted, config):
        lacks = f"made under fingerprint key {missing}, which this gate does not hold"
        yield Finding("accepted", "note", f"{signed}: {lacks}; put it into list.keys")
    else:
        yield Finding("accepted", "ok", signed)


def _missing_key(accepted: Accepted, config: Config) -> str | None:
    """The id of the key under which the accepted list was made, if this gate does not hold it."""
    try:
        manifest: PublishedManifest = decode_manifest(accepted.manifest.encode())
        held = {key_id.hex() for key_id in held_keys(Path(config.list.keys))}
    except (ManifestError, FingerprintKeyError):  # reported by the courier, and by another finding
        return None
    key = manifest.fingerprint_key
    return key if key is not None and key not in held else None


def _folders(config: Config) -> Iterator[Finding]:
    """Whether frequent writes go to memory, and files that must outlive a power cut to the disk."""
    folder, recent = Path(config.list.folder), Path(config.list.recent)
    try:
        if is_in_memory(folder):
            text = (
                f"{folder}: in memory, and gone after a power cut; list.folder must be on the disk"
            )
            yield Finding("folders", "note", text)
    except OSError:
        return  # the finding on the disk reports it
    wears = "every change is written to the disk, which wears an SD card out"
    if not config.list.recent:
        yield Finding("folders", "note", f"{wears}; name a memory-backed folder in list.recent")
        return
    try:
        kept_in_memory = is_in_memory(recent)
    except FileNotFoundError:
        yield Finding(
            "folders", "note", f"{recent}: not there; the courier makes it when it starts"
        )
    except OSError as error:
        yield Finding(
            "folders",
            "note",
            f"{recent}: {error.strerror}; the courier must be able to write there",
        )
    else:
        text = f"the latest changes are in memory, at {recent}"
        tmpfs = "let list.recent be on a tmpfs, such as /run/turnike/lists"
        on_disk = f"{recent}: not in memory: {wears}; {tmpfs}"
        yield Finding(
            "folders", "ok" if kept_in_memory else "note", text if kept_in_memory else on_disk
        )


def _authorities(settings: CourierConfig) -> Finding:
    try:
        Web(ca_file=settings.ca_file or None, proxy=settings.proxy or None).close()
    except ValueError as error:
        return Finding("certificates", "note", f"[courier]: {error}; the courier cannot start")
    if settings.url.startswith("http://"):
        return Finding("certificates", "ok", "none needed: it asks this machine itself")
    whose = (
        f"by the authorities in {settings.ca_file}"
        if settings.ca_file
        else "by the public authorities"
    )
    return Finding("certificates", "ok", f"the web server's certificate is verified {whose}")


def _age(seconds: int) -> str:
    """A duration, rounded: "35 s", "3 days"."""
    size, name = next(((size, name) for size, name in _UNITS if seconds >= 2 * size), _UNITS[-1])
    return f"{max(seconds, 0) // size} {name}"
