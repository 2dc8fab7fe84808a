"""What a gate hears of a reader that types: takes the device as the lane does, and waits to read.

    python -m tests.machine.inside.typed_lines /run/work/reader

For each line of its input it reads what the kernel has kept, and prints the lines of it.
"""

import json
import sys
from dataclasses import asdict

from validator.lane.readers.keyboard.input_device import InputDevice
from validator.lane.readers.keyboard.lines import LineMaker


def main() -> None:
    """Serve until the input ends."""
    try:
        device = InputDevice(sys.argv[1])
    except OSError as error:
        _tell({"event": "refused", "errno": error.errno})
        return
    maker = LineMaker(device.opened_ns)
    _tell({"event": "taken"})
    for _ in sys.stdin:
        while events := device.read():
            for line in (line for event in events for line in maker.feed(event)):
                _tell({"event": "line", **asdict(line)})


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
