"""The names of files in a list folder (docs/list-format.md, "List folder").

    ListName.of("3.17.manifest.json")  # ListName(era=3, version=17)
    max(names)  # the newest: of the newest era, and in it of the highest version

List versions of different eras do not compare: an attacker may have made those of an earlier one
(domain/floor.py).
"""

import re
from typing import NamedTuple

_MANIFEST = re.compile(r"(?:([1-9][0-9]{0,15})\.)?([1-9][0-9]{0,15})\.manifest\.json")
_SEGMENT = re.compile(r"[0-9a-f]{64}\.seg")


class ListName(NamedTuple):
    """A list: its era (0 if installed by hand), then its version. The greater one is newer."""

    era: int
    version: int

    @classmethod
    def of(cls, file_name: str) -> "ListName | None":
        """The list whose manifest has this file name; None for any other name."""
        match = _MANIFEST.fullmatch(file_name)
        return cls(int(match[1] or 0), int(match[2])) if match else None

    @property
    def file_name(self) -> str:
        """The file name of its manifest."""
        return f"{f'{self.era}.' if self.era else ''}{self.version}.manifest.json"

    def __str__(self) -> str:
        return f"{self.version} of era {self.era}" if self.era else str(self.version)


def is_segment(file_name: str) -> bool:
    """Whether a file of this name is a segment."""
    return _SEGMENT.fullmatch(file_name) is not None
