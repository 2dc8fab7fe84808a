"""The lane process: puts loop, clerk and adapters together; starts and ends them in order.

Order of the start: configuration, keys, clock, list, devices, then frozen memory, real time, and
READY=1 to systemd. A missing device or list does not stop the start: the lane reports its state and
goes on trying.
"""

import gc
import os
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from validator.config import Config
from validator.domain.decision import ListPolicy, WhenMissing, WhenStale
from validator.domain.outcomes import Direction
from validator.domain.passage import PassagePolicy, SameCardAfterPassing
from validator.errors import StartError
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.host.process import lock_memory, run_in_real_time, tell_systemd
from validator.ipc.accepted import ACCEPTED_COPY_FILE, ACCEPTED_FILE
from validator.ipc.answers import CourierHealth
from validator.ipc.courier_status import COURIER_STATUS_FILE
from validator.lane.clerk import Clerk
from validator.lane.courier_file import CourierFile
from validator.lane.lane_socket import LaneSocket
from validator.lane.lists_in_force import ListFolder
from validator.lane.loop import Lane
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin
from validator.lane.outbox.sealing import Sealer
from validator.lane.ports import ListInForce
from validator.lane.tally import Tally
from validator.lane.time_file import TimeFile
from validator.lists.held_keys import held_keys
from validator.programs.devices import make_board, make_reader, number_reader

TOKEN_KEY_BYTES = 32
MIB = 1 << 20


def list_policy(config: Config) -> ListPolicy:
    """The operator's choices for a stale and for a missing list."""
    return ListPolicy(WhenStale(config.list.stale), WhenMissing(config.list.missing))


def passage_policy(config: Config) -> PassagePolicy:
    """The operator's choices for arms, pictures and guards."""
    passage = config.passage
    return PassagePolicy(
        Direction[passage.direction.upper()],
        passage.hold_ms,
        passage.feedback_ms,
        passage.repeat_guard_s,
        SameCardAfterPassing(passage.same_card_after_passing),
    )


def list_folder(config: Config) -> ListFolder:
    """The list folders of the configuration.

    A gate without a fingerprint key logs that, and waits for the first: the courier brings it.
    """
    recent = Path(config.list.recent) if config.list.recent else None
    read_keys = partial(held_keys, Path(config.list.keys))
    return ListFolder(Path(config.list.folder), {}, recent, read_keys=read_keys)


def time_file(config: Config) -> TimeFile:
    """The file in which the courier writes the signed time, and its copy."""
    folder = Path(config.list.folder)
    return TimeFile(folder / ACCEPTED_FILE, folder / ACCEPTED_COPY_FILE)


def serve(config: Config, log_fd: int) -> None:
    """Run one lane until SIGTERM or SIGINT; the log goes to `log_fd`.

    Raises:
        StartError: the lane's socket cannot be made.
    """
    with closing(_lane_socket(config)) as clients:
        _serve(config, log_fd, clients)


def _serve(config: Config, log_fd: int, clients: LaneSocket) -> None:
    log, clock, lists = JsonLog(log_fd), Clock(), ListInForce()
    clerk = _clerk(config, log, clock, lists, clients)
    memory_locked = lock_memory()
    board = make_board(config)
    reader = make_reader(config, board)  # it finds its chip while the list is read
    clerk.scan_to_end()
    wake_fd, wakened_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    lane = Lane(
        reader=reader,
        board=board,
        file=clerk.file,
        note=clerk.note,
        lists=lists,
        now=clock.now,
        passage_policy=passage_policy(config),
        list_policy=list_policy(config),
        token_key=secrets.token_bytes(TOKEN_KEY_BYTES),
        wake_fd=wake_fd,
        alive=partial(tell_systemd, "WATCHDOG=1"),
        is_learning=lambda: clerk.learning.is_on,
        read_number=number_reader(config, reader),
    )
    clerk.measure(lane.figures, lane.histograms())
    thread = _ClerkThread(lane, clerk)
    thread.start()
    _listen_to_signals(lane, clerk, wakened_fd)
    gc.collect()
    gc.freeze()
    gc.disable()
    log.line(
        {
            "event": "started",
            "gate_id": config.gate_id,
            "lane": config.lane,
            "version": version("turnike"),
            "real_time": run_in_real_time(),
            "memory_locked": memory_locked,
        }
    )
    tell_systemd("READY=1")
    try:
        lane.run()
    finally:
        tell_systemd("STOPPING=1")
        clerk.stop()
        thread.join()
    if thread.failed:
        raise SystemExit(1)


def _clerk(
    config: Config, log: JsonLog, clock: Clock, lists: ListInForce, clients: LaneSocket
) -> Clerk:
    """The clerk with its adapters; nothing is read yet."""
    sealer = Sealer()
    boot_id, _ = clock.boot()
    outbox = DiskOutbox(
        Path(config.reports.folder),
        Origin(config.gate_id, config.lane, boot_id),
        sealer.seal,
        lambda: clock.boot()[1],
        OutboxLimits(config.reports.reports_max, config.reports.reserve_mb * MIB),
    )
    return Clerk(
        tally=Tally(
            config.gate_id, config.lane, version("turnike"), with_grounds=config.log.grounds
        ),
        scan=list_folder(config).scan_in_steps,
        signed_time=time_file(config).look,
        lists=lists,
        outbox=outbox,
        seal_to=sealer.seal_to,
        prepare_seal=sealer.prepare,
        clients=clients,
        clock=clock,
        log=log.line,
        commit_budget_ms=config.reports.denial_commit_budget_ms,
        courier=_courier_says(config),
    )


def _courier_says(config: Config) -> Callable[[int], CourierHealth | None]:
    """A function from the time to the courier's status; None for a gate without a courier.

    The courier writes its status at each poll into memory, but onto a disk only on a change.
    """
    if config.courier is None:
        return lambda _now_unix_s: None
    folder = config.list.recent or config.list.folder
    poll_s = config.courier.poll_s if config.list.recent else None
    return CourierFile(Path(folder) / COURIER_STATUS_FILE, poll_s).look


def _lane_socket(config: Config) -> LaneSocket:
    try:
        return LaneSocket(Path(config.reports.socket) if config.reports.socket else None)
    except OSError as error:
        raise StartError(
            f"reports.socket: {config.reports.socket}: {error.strerror or error}"
        ) from error


class _ClerkThread(threading.Thread):
    """The clerk's thread; its failure ends the lane, and systemd starts it again.

    Without a clerk, no report would be written and no list adopted.
    """

    def __init__(self, lane: Lane, clerk: Clerk) -> None:
        super().__init__(name="clerk")
        self.failed = True
        self._lane = lane
        self._clerk = clerk

    def run(self) -> None:
        try:
            self._clerk.run()
            self.failed = False
        finally:
            self._lane.stop()


def _listen_to_signals(lane: Lane, clerk: Clerk, wakened_fd: int) -> None:
    """SIGTERM and SIGINT end the lane after its turn; SIGHUP scans for a new list.

    Each signal wakes the loop's poll() through the pipe `wakened_fd`.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        lane.stop()

    def scan(_number: int, _frame: FrameType | None) -> None:
        clerk.scan_now()

    signal.set_wakeup_fd(wakened_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, scan)
