"""A program: pyscard's CardMonitor, as a user of pyscard would write it. Run by Debian's Python.

Prints JSON lines: `ready`, and `uid` for each card that was inserted. Imports nothing of Turnike.
"""

import json
import sys
import threading
import time
from importlib import import_module
from typing import Any


def _say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def main() -> None:
    """Run until killed; exit 3 if pyscard is not installed."""
    try:
        monitoring = import_module("smartcard.CardMonitoring")
        exceptions = import_module("smartcard.Exceptions")
    except ImportError:
        sys.exit(3)

    gone = (exceptions.CardConnectionException, exceptions.NoCardException)

    class Observer(monitoring.CardObserver):  # type: ignore[misc, name-defined]
        def update(self, _observable: Any, actions: Any) -> None:
            for card in actions[0]:
                try:
                    connection = card.createConnection()
                    connection.connect()
                    data, _, _ = connection.transmit([0xFF, 0xCA, 0, 0, 0])
                    at_ns = time.monotonic_ns()
                    connection.disconnect()
                except gone:
                    continue
                _say("uid", uid=bytes(data).hex(), at_ns=at_ns)

    monitoring.CardMonitor().addObserver(Observer())
    _say("ready")
    threading.Event().wait()


if __name__ == "__main__":
    main()
