"""A lane that has only its clerk, real outbox and socket included, and denials without passengers.

    python -m tests.processes.denial_lane FOLDER FIRST COUNT [log]

It makes denials as fast as they are kept, and prints the number of each once it is committed,
which is when the passenger would be told. Then it serves until it is ended.
With "log" the clerk's log goes there too.
"""

import json
import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path

from validator.domain.cards import CardUid
from validator.domain.report import Report, ReportKind
from validator.host.clock import Clock
from validator.host.log import JsonLog
from validator.lane.clerk import Clerk
from validator.lane.lane_socket import LaneSocket
from validator.lane.outbox.outbox import DiskOutbox, OutboxLimits
from validator.lane.outbox.recording import Origin
from validator.lane.outbox.sealing import Sealer
from validator.lane.ports import ListInForce
from validator.lane.tally import Tally
from validator.lane.time_file import TimeFile

GATE_ID = "test"
BUDGET_MS = 60_000  # no denial is printed before its commit: it is printed and kept, or neither


def no_lists() -> Generator[None, None, None]:
    """A scan that never finds a list."""
    yield


def tell(line: dict[str, object]) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Deny."""
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    clock, sealer = Clock(), Sealer()
    outbox = DiskOutbox(
        folder / "reports",
        Origin(GATE_ID, 1, clock.boot()[0]),
        sealer.seal,
        lambda: clock.boot()[1],
        OutboxLimits(reserve_bytes=0),
    )
    clerk = Clerk(
        tally=Tally(GATE_ID, 1, "test"),
        scan=no_lists,
        signed_time=TimeFile(folder / "signed").look,
        lists=ListInForce(),
        outbox=outbox,
        seal_to=sealer.seal_to,
        prepare_seal=sealer.prepare,
        clients=LaneSocket(folder / "lane.sock"),
        clock=clock,
        log=JsonLog(1 if sys.argv[4:] == ["log"] else os.open(os.devnull, os.O_WRONLY)).line,
        commit_budget_ms=BUDGET_MS,
    )
    thread = threading.Thread(target=clerk.run, daemon=True)
    thread.start()
    for number in range(first, first + count):
        uid = CardUid(b"\x04" + number.to_bytes(6, "big"))
        denial = Report(
            ReportKind.DENIED_BOARDING, number, uid, "suspended", 7, number, clock_synchronised=True
        )
        if clerk.file(denial):
            tell({"event": "told", "number": number})
    tell({"event": "done"})
    thread.join()


if __name__ == "__main__":
    main()
