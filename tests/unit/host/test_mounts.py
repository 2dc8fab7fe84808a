"""The storage under a folder."""

from pathlib import Path

import pytest

from validator.host.mounts import is_in_memory


def test_the_kernels_mounts_show_whether_a_folder_is_in_memory() -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    tmpfs = [
        Path(place)
        for _, place, kind, *_ in mounts
        if kind == "tmpfs" and place.endswith(("/shm", "/run"))
    ]
    assert all(map(is_in_memory, tmpfs))
    assert not is_in_memory(Path("/proc"))
    with pytest.raises(FileNotFoundError):
        is_in_memory(Path("/nowhere"))
