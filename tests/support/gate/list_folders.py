"""Segments of small lists, and counts of what a scan verified."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.city.list_making import (
    segment_bytes,
)
from validator.lane import lists_in_force as list_folder
from validator.lists import files as list_files
from validator.lists.segment import NO_END, REMOVED

OLD = segment_bytes({1: NO_END, 2: NO_END}, to_version=1)
CHANGE = segment_bytes({1: REMOVED, 3: NO_END}, from_version=1, to_version=2)
STAFF = segment_bytes({9: NO_END}, rule="staff", to_version=1)


def verified(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The list of file descriptors whose bodies are verified from now on."""
    read: list[int] = []
    real = list_files.body_crc32

    def counted(fd: int) -> Generator[None, None, int]:
        read.append(fd)
        return (yield from real(fd))

    monkeypatch.setattr(list_folder, "body_crc32", counted)
    return read


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
