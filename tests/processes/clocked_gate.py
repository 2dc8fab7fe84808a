"""A gate of real processes whose clock is a file: clocked_lane.py, with lists and keys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes.gate_rig import Gate
from tests.support.machine.programs import Line, Program, lane_config

S = 1_000_000_000
Y1970, Y2038 = 60, 2**31


@dataclass
class ClockedGate:
    """One gate in `folder`, on devices that it shares with other tests, one after the other."""

    folder: Path
    devices: Gate
    stale: str = "decide"
    missing: str = "deny"
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        """Every gate has folders, a configuration, and devices of its own name."""
        for name in ("lists", "recent", "keys"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("board", "reader"):
            (self.folder / name).symlink_to(self.devices.folder / name)
        self.config = lane_config(self.folder, stale=self.stale, missing=self.missing)
        text = self.config.read_text().replace("[list]", f'[list]\nrecent = "{self.folder}/recent"')
        self.config.write_text(text)

    def set(
        self,
        unix_s: int,
        *,
        synchronised: bool = False,
        boottime_s: int = 100,
        boot_id: str = "this",
    ) -> None:
        """Set the system's clocks."""
        values = {
            "unix_s": unix_s,
            "synchronised": synchronised,
            "boottime_ns": boottime_s * S,
            "boot_id": boot_id,
        }
        self.put(self.folder / "clock.json", values)

    @contextmanager
    def serving(self) -> Iterator[Program]:
        """A lane that shows "ready"."""
        self.devices.board.catch_up()  # what it showed for the one before is not ours
        lane = Program(
            "tests.processes.clocked_lane", str(self.config), str(self.folder / "clock.json")
        )
        try:
            self.devices.board.event("show", outcome="ready", by="lane")
            yield lane
        finally:
            lane.close()

    def tap(self, lane: Program, uid: str | bytes) -> Line:
        """Present a card; one that is admitted goes through."""
        line = self.devices.tap(lane, uid if isinstance(uid, str) else uid.hex())
        if line["outcome"].startswith("admitted"):
            lane.event("passage", tap=line["tap"])
        return line

    def put(self, path: Path, values: dict[str, Any]) -> None:
        """Replace a file, as a careful program does."""
        new = path.with_name(".new-" + path.name)
        new.write_text(json.dumps(values))
        new.rename(path)


def told(line: Line) -> tuple[str, str, str, bool]:
    """A tap's line: outcome, ground, state of the list, and whether the clock was synchronised."""
    return line["outcome"], line["ground"], line["list_state"], line["clock_synchronised"]
