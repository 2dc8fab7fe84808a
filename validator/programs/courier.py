"""The courier process: puts the list loop and its adapters together, and waits between two polls.

The courier may be killed at any instant, so nothing is cleaned up at the end: SIGTERM ends it.
SIGHUP makes it poll at once.
"""

import signal
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from validator.config import Config, CourierConfig, UploadConfig
from validator.courier.lane_lists import LaneLists
from validator.courier.list_sync import ListSync, SyncStatus
from validator.courier.receiver_client import GateKeyError
from validator.courier.signed_metadata import TufMetadata, is_root
from validator.courier.store.accepted_store import ROOT_BYTES_MAX, DiskAcceptedStore
from validator.courier.store.folders import CourierFolders
from validator.courier.store.list_store import DiskListStore
from validator.courier.store.piece_cache import PieceCache
from validator.courier.web.client import Web
from validator.errors import StartError
from validator.host.clock import Clock
from validator.host.durable import replace_file
from validator.host.log import JsonLog
from validator.host.plain_files import read_given, read_regular
from validator.host.process import tell_systemd
from validator.ipc.courier_status import COURIER_STATUS_FILE, encode
from validator.lists.fingerprint_keys import FingerprintKeyError
from validator.lists.held_keys import held_keys
from validator.programs.uploading import UploadThread


def serve(config: Config, log_fd: int) -> None:
    """Run the courier of one gate until a signal ends it; the log goes to `log_fd`.

    Raises:
        StartError: a setting, a root or a key is missing or wrong, or another courier runs.
    """
    settings = config.courier
    if settings is None:
        raise StartError("there is no [courier] table; config/validator.example.toml explains it")
    folder, recent = Path(config.list.folder), Path(config.list.recent or config.list.folder)
    folders = CourierFolders(folder, recent if config.list.recent else None)
    folders.take()  # a read-only or full disk does not stop the start: reports and statuses go on
    list_store = DiskListStore(folder, recent if config.list.recent else None)
    accepted_store, clock = DiskAcceptedStore(folder), Clock()
    web = _web(settings)
    sockets = config.upload.lanes if config.upload else filter(None, [config.reports.socket])
    courier = ListSync(
        metadata=TufMetadata(
            recent / "metadata", settings.url, web, _root(accepted_store, settings)
        ),
        pieces=PieceCache(folder / "pieces", settings.url, web),
        lists=list_store,
        store=accepted_store,
        clock=clock,
        held_keys=partial(_held_key_ids, Path(config.list.keys)),
        poll_s=settings.poll_s,
        lanes=LaneLists([*map(Path, sockets)]),
        disk_problem=folders.problem,
    )
    log = JsonLog(log_fd)
    courier.mended += filter(None, [accepted_store.problem])
    courier.mended += [f"{name}: damaged, and fetched again" for name in list_store.damaged]
    _tell_mended(log, courier)
    log.line({"event": "started", "gate_id": config.gate_id, "version": version("turnike")})
    _listen_to_signals()
    tell = _Teller(log, clock, list_store, recent / COURIER_STATUS_FILE)
    if config.upload is not None:
        tell.carrier = _carry(config, config.upload, _web(settings), clock, tell)
    with closing(folders):
        tell(courier.replay())
        _tell_mended(log, courier)
        tell_systemd("READY=1")
        _go_on(courier, clock, web, tell)


def _tell_mended(log: JsonLog, courier: ListSync) -> None:
    while courier.mended:
        log.line({"event": "courier problem", "problem": courier.mended.pop(0)})


def _go_on(courier: ListSync, clock: Clock, web: Web, tell: "_Teller") -> None:
    while True:
        clock.refresh()
        web.check_dates(dates_of_certificates(clock))
        status, wait_s = courier.poll()
        _tell_mended(tell.log, courier)
        tell(status)
        signal.sigtimedwait({signal.SIGHUP}, wait_s)


def dates_of_certificates(clock: Clock) -> int | None:
    """What Web.check_dates compares the certificate of the list server with, in Unix seconds.

    A synchronised clock (None), else nothing (0). An unset clock proves nothing. The time floor may
    be ahead, and only a download from this server can correct it; lists are signed in any case.
    """
    return None if clock.now().synchronised else 0


def _web(settings: CourierConfig) -> Web:
    try:
        return Web(ca_file=settings.ca_file or None, proxy=settings.proxy or None)
    except ValueError as error:
        raise StartError(f"[courier]: {error}") from error


def _carry(
    config: Config, upload: UploadConfig, web: Web, clock: Clock, tell: "_Teller"
) -> UploadThread:
    keys = Path(config.list.keys)
    try:
        carrier = UploadThread(
            config.gate_id, upload, keys, web, clock, tell.log, lambda: tell.fields
        )
    except GateKeyError as error:
        raise StartError(f"upload.key: {error}") from error
    carrier.start()
    return carrier


class _Teller:
    """Writes the courier's status: a log line on each change, and a file."""

    def __init__(self, log: JsonLog, clock: Clock, list_store: DiskListStore, path: Path) -> None:
        self.log = log
        self.fields: Mapping[str, Any] = {}
        """The last status, as in the file."""
        self.carrier: UploadThread | None = None
        self._clock = clock
        self._list_store = list_store
        self._path = path
        self._told: tuple[object, ...] = ()
        self._upload: tuple[str, str] | None = None  # as in the file
        self._kept = b""  # the content that was written last

    def __call__(self, status: SyncStatus) -> None:
        fields = status._asdict() | {
            "state": status.state.value,
            "disk_bytes": self._list_store.disk_bytes,
        }
        self.fields = fields
        is_news = self._told != (told := (status.state, status.problem, status.list_version))
        upload = self.carrier.stands if self.carrier else None
        more = {"upload": {"state": upload[0], "problem": upload[1]}} if upload else {}
        self._keep(encode({**fields, **more}), is_news=is_news or upload != self._upload)
        self._upload = upload
        if is_news:
            now = self._clock.now()
            self._told = told
            self.log.line(
                {
                    "event": "courier",
                    **fields,
                    "unix_s": now.unix_s,
                    "clock_synchronised": now.synchronised,
                }
            )

    def _keep(self, content: bytes, *, is_news: bool) -> None:
        """Write the file at each poll, if its folder is in memory.

        On a disk, write it only on a change, or when its content is no longer what was written.
        """
        try:
            if is_news or self._path.parent != self._list_store.disk or not self._stands():
                self._kept = b""
                replace_file(self._path, content)
                self._kept = content
        except OSError as error:
            self.log.line(
                {"event": "courier problem", "problem": f"{self._path}: {error.strerror}"}
            )

    def _stands(self) -> bool:
        with suppress(OSError):
            return read_regular(self._path, len(self._kept)) == self._kept
        return False


def _root(accepted_store: DiskAcceptedStore, settings: CourierConfig) -> bytes:
    """Return the newest root that this gate has verified, else the one that it was given.

    The second is used at the first start, and after damage on the disk. Raises StartError.
    """
    if accepted_store.root is not None and is_root(accepted_store.root):
        return accepted_store.root
    try:
        given = read_given(Path(settings.root), ROOT_BYTES_MAX)
        if not is_root(given):
            raise StartError(
                f"{settings.root}: is no root metadata; put the city's root.json there"
            )
    except OSError as error:
        advice = "put the city's root.json there, from a source you trust"
        raise StartError(f"{settings.root}: {error.strerror}; {advice}") from error
    return given


def _held_key_ids(folder: Path) -> AbstractSet[str]:
    """The ids of the keys in the folder, read each time, so that a new key counts at once."""
    try:
        return {key_id.hex() for key_id in held_keys(folder)}
    except FingerprintKeyError:
        return set()


def _listen_to_signals() -> None:
    """SIGTERM and SIGINT end the process at once; SIGHUP is blocked, and sigtimedwait() takes it.

    A handler of SIGHUP could wait for a lock that the interrupted code holds.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        tell_systemd("STOPPING=1")
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
