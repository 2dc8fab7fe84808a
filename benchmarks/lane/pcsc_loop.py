"""A program: the lane's PC/SC reader in a loop as the lane's, which prints when it knew a UID."""

import json
import select
import sys
import time
from pathlib import Path

from validator.domain.events import CardSeen, ReaderBack
from validator.lane.readers.pcsc.library import PcscLite
from validator.lane.readers.pcsc.reader import PcscReader


def main() -> None:
    """Serve the slot of pattern argv[1], with locks in argv[2], until killed."""
    reader = PcscReader(PcscLite(), sys.argv[1], Path(sys.argv[2]))
    while True:
        event = reader.take()
        match event:
            case ReaderBack():
                print(json.dumps({"event": "ready"}), flush=True)
                reader.arm()
            case CardSeen():
                known = {"event": "uid", "uid": event.card.uid.raw.hex(), "at_ns": event.at_ns}
                print(json.dumps(known), flush=True)
                reader.arm()
            case None:
                poll = select.poll()
                poll.register(reader.fileno(), select.POLLIN)
                poll.poll(max(reader.deadline_ns() - time.monotonic_ns(), 0) / 1e6)
            case _:
                reader.arm()


if __name__ == "__main__":
    main()
