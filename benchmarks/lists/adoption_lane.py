"""A program: the lane's real loop and clerk, with a socket for a reader. adoption and drain use it.

    python -m benchmarks.lists.adoption_lane FOLDER SOCKET_PATH [LANE_SOCKET_PATH]

Each 15 bytes on the socket are a card in the field: when it was sent (CLOCK_MONOTONIC ns, u64) and
7 bytes of UID. The program ends with the stream. A pty would add 3.5 ms of its own to the 99th
percentile, and a chip would let through fifty cards a second, too few for a 99.9th within one
adoption. Everything between the reader's port and the board's is what a gate runs.
"""

import gc
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validator.domain.cards import Card, CardUid
from validator.domain.decision import ListPolicy, WhenMissing, WhenStale
from validator.domain.events import BoardBack, BoardEvent, CardSeen, ReaderBack, ReaderEvent
from validator.domain.outcomes import Direction, Outcome
from validator.domain.passage import PassagePolicy, SameCardAfterPassing
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.host.process import lock_memory, run_in_real_time
from validator.ipc.signed_time import SIGNED_TIME_FILE
from validator.lane.clerk import Clerk
from validator.lane.lane_socket import LaneSocket
from validator.lane.lists_in_force import ListFolder
from validator.lane.loop import Lane
from validator.lane.outbox.outbox import DiskOutbox
from validator.lane.outbox.recording import Origin
from validator.lane.outbox.sealing import Sealer
from validator.lane.ports import ListInForce, Note, Scan, TapDone
from validator.lane.tally import Tally
from validator.lane.time_file import TimeFile
from validator.lists.held_keys import held_keys

LANE_SOCKET = 3  # the argument that need not be there
CARD = struct.Struct("<Q7s")
FAR_NS = 1 << 62
ATQA, SAK = 0x0344, 0x20
POLICY = PassagePolicy(Direction.ENTRY, 5_000, 1_500, 60, SameCardAfterPassing.ADMIT)


class SocketReader:
    """ports.Reader over a stream socket: each card is written, and so read, whole."""

    def __init__(self, channel: socket.socket) -> None:
        self.sent_ns: dict[int, int] = {}  # by the time at which it was seen
        self.ended = False
        self._channel = channel
        self._is_reported = False

    def fileno(self) -> int:
        """See ports.Reader."""
        return self._channel.fileno()

    def deadline_ns(self) -> int:
        """See ports.Reader."""
        return FAR_NS if self._is_reported else 0

    def arm(self) -> None:
        """See ports.Reader."""

    def forget(self) -> None:
        """See ports.Reader."""

    def take(self) -> ReaderEvent | None:
        """See ports.Reader."""
        if not self._is_reported:
            self._is_reported = True
            return ReaderBack(time.monotonic_ns())
        try:
            record = self._channel.recv(CARD.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        at_ns = time.monotonic_ns()
        if not record:
            self.ended = True
            return None
        self.sent_ns[at_ns], uid = CARD.unpack(record)
        return CardSeen(Card(CardUid(uid), ATQA, SAK), at_ns)

    def close(self) -> None:
        """See ports.Reader."""
        self._channel.close()


class DeafBoard:
    """ports.Board that ignores all commands and reports only that it is connected."""

    def __init__(self) -> None:
        self._is_reported = False

    def fileno(self) -> int:
        """See ports.Board."""
        return -1

    def deadline_ns(self) -> int:
        """See ports.Board."""
        return FAR_NS if self._is_reported else 0

    def take(self) -> BoardEvent | None:
        """See ports.Board."""
        if self._is_reported:
            return None
        self._is_reported = True
        return BoardBack(time.monotonic_ns())

    def open(self, tap: int, direction: Direction, hold_ms: int) -> None:
        """See ports.Board."""

    def show(self, outcome: Outcome, hold_ms: int, date: int) -> None:
        """See ports.Board."""

    def close(self) -> None:
        """See ports.Board."""


class NotedClerk(Clerk):
    """The clerk, which records the times of every tap."""

    taps: list[tuple[int, int, int]]
    """When it was seen, ns until it was decided, and ns that its report took (0: none)."""

    def note(self, note: Note) -> None:
        """See Clerk."""
        if isinstance(note, TapDone):
            self.taps.append((note.tap.seen_at_ns, note.times.decided_ns, note.times.report_ns))
        super().note(note)


class NotedFolder(ListFolder):
    """The list folder, which records start and end of every scan that found a list."""

    looks: list[tuple[int, int]]

    def scan_in_steps(self) -> Scan:
        """See ListFolder."""
        started_ns = time.monotonic_ns()
        adopted = yield from super().scan_in_steps()
        if adopted is not None:
            self.looks.append((started_ns, time.monotonic_ns()))
        return adopted


class QuietLog(JsonLog):
    """The log, encoded as in a real lane and written to no file."""

    def line(self, fields: Mapping[str, Any]) -> None:
        """See JsonLog; a new list is also printed for the benchmark."""
        super().line(fields)
        if fields["event"] == "list":
            print(json.dumps(fields), flush=True)


def main() -> None:
    """Serve until the socket ends, then print what was recorded."""
    folder, reader = Path(sys.argv[1]), SocketReader(_accepted(sys.argv[2]))
    source, lists, clock = (
        NotedFolder(folder / "lists", held_keys(folder / "keys")),
        ListInForce(),
        Clock(),
    )
    sealer = Sealer()
    log = QuietLog(os.open(os.devnull, os.O_WRONLY))
    clerk = NotedClerk(
        tally=Tally("bench", 1, "bench"),
        scan=source.scan_in_steps,
        signed_time=TimeFile(folder / "lists" / SIGNED_TIME_FILE).look,
        lists=lists,
        outbox=DiskOutbox(
            folder / "reports", Origin("bench", 1, "boot"), sealer.seal, time.monotonic_ns
        ),
        seal_to=sealer.seal_to,
        prepare_seal=sealer.prepare,
        clients=LaneSocket(Path(sys.argv[3]) if len(sys.argv) > LANE_SOCKET else None),
        clock=clock,
        log=log.line,
        commit_budget_ms=150,
    )
    source.looks, clerk.taps = [], []
    lock_memory()
    clerk.scan_to_end()
    lane = Lane(
        reader=reader,
        board=DeafBoard(),
        file=clerk.file,
        note=clerk.note,
        lists=lists,
        now=clock.now,
        passage_policy=POLICY,
        list_policy=ListPolicy(WhenStale.DECIDE, WhenMissing.DENY),
        token_key=bytes(32),
    )
    _serve(lane, clerk, reader)
    taps = [(seen_ns, reader.sent_ns[seen_ns], *times_ns) for seen_ns, *times_ns in clerk.taps]
    print(json.dumps({"event": "noted", "taps": taps, "looks": source.looks[1:]}), flush=True)


def _accepted(path: str) -> socket.socket:
    """The one connection of the benchmark that sends the cards."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen(1)
        print(json.dumps({"event": "listening"}), flush=True)
        return server.accept()[0]


def _serve(lane: Lane, clerk: NotedClerk, reader: SocketReader) -> None:
    """Serve as the lane's program does: the clerk's thread, no garbage collection, real time."""
    thread = threading.Thread(target=clerk.run, name="clerk")
    thread.start()
    gc.collect()
    gc.freeze()
    gc.disable()
    run_in_real_time()
    try:
        while not reader.ended:
            lane.turn()
    finally:
        clerk.stop()
        thread.join()


if __name__ == "__main__":
    main()
