"""A courier as a process, for a city whose clock is this machine's, and what its lane finds."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.city.list_making import KEY
from tests.support.city.town import Town, town
from tests.support.machine.programs import WAIT_S, Line, Program, lane_config
from validator.lists.fingerprint_keys import format_key_file


class CourierGate:
    """The folders of one gate, and its configuration."""

    def __init__(self, folder: Path, of: Town, *, poll_s: int = 1) -> None:
        self.folder = folder
        self._town = of
        self._poll_s = poll_s
        for made in ("lists", "keys"):
            (folder / made).mkdir(parents=True)
        (folder / "keys" / "city.key").write_bytes(format_key_file(KEY))
        (folder / "root.json").write_bytes((of.published / "metadata" / "1.root.json").read_bytes())

    def configured(self, url: str = "", more: str = "") -> Path:
        """The configuration, with this address and these other lines of [courier]."""
        courier = f"""
[courier]
url = "{url or self._town.server.url}"
root = "{self.folder}/root.json"
poll_s = {self._poll_s}
{more}
"""
        path = lane_config(self.folder, more=courier)
        path.write_text(
            path.read_text().replace('keys = "', f'recent = "{self.folder}/recent"\nkeys = "')
        )
        return path

    def courier(self, url: str = "", more: str = "") -> Program:
        """Start it."""
        return Program("validator", "courier", "--config", str(self.configured(url, more)))

    def lane(self) -> Program:
        """Start the lane of this gate; its devices are linked here."""
        return Program("validator", "lane", "--config", str(self.configured()))

    def status(self) -> Line:
        """The content of the courier's own file."""
        line: Line = json.loads((self.folder / "recent" / "courier.json").read_text())
        return line


def state(courier: Program, wanted: str, **fields: object) -> Line:
    """The next line of the courier with this state."""
    return courier.event("courier", WAIT_S, state=wanted, **fields)


@contextmanager
def courier_town(folder: Path) -> Iterator[Town]:
    """A city of today: a courier's process asks the system for the time."""
    with town(folder, int(time.time())) as made:
        yield made
