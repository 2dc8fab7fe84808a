"""A lane's status of its gate's courier, from the file that the courier writes."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from validator.ipc.courier_status import UploadStatus, encode
from validator.lane.courier_file import UNHEARD, CourierFile

NOW_UNIX_S = 1_800_000_000
SAYS = {
    "state": "fresh",
    "problem": "",
    "since_unix_s": NOW_UNIX_S - 60,
    "polled_unix_s": NOW_UNIX_S,
    "list_version": 7,
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "courier.json"
    path.write_bytes(encode(SAYS | {"disk_bytes": 3} | changes))
    return path


def test_it_returns_what_the_courier_wrote_last(tmp_path: Path) -> None:
    file = CourierFile(written(tmp_path), 30)
    told = {"silent": False, "asks_within_s": 36}
    assert asdict(file.look(NOW_UNIX_S)) == SAYS | {"upload": None} | told
    upload = UploadStatus("refused", "401")
    written(tmp_path, upload=asdict(upload))
    assert asdict(file.look(NOW_UNIX_S)) == SAYS | {"upload": upload} | told
    written(tmp_path, state="disk", problem="/l: Read-only file system", list_version=None)
    changed = file.look(NOW_UNIX_S)
    assert (changed.state, changed.list_version) == ("disk", None)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff" * 99, b"x" * 99_999])
def test_without_a_file_that_can_be_read_nothing_is_known(
    content: bytes | None, tmp_path: Path
) -> None:
    path = written(tmp_path)
    file = CourierFile(path, 30)
    assert file.look(NOW_UNIX_S).state == "fresh"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    told = file.look(NOW_UNIX_S)
    assert replace(told, problem="") == UNHEARD
    assert bool(told.problem) is (content is not None), "why it cannot be read"
    written(tmp_path)
    assert file.look(NOW_UNIX_S).state == "fresh"


@pytest.mark.parametrize(
    ("state", "silent_s", "silent"),
    [("fresh", 900, False), ("fresh", 1_000, True), ("busy", 5_000, False), ("busy", 6_000, True)],
)
def test_a_courier_that_has_not_asked_for_longer_than_a_poll_may_take_is_silent(
    state: str, silent_s: int, silent: bool, tmp_path: Path
) -> None:
    path = written(tmp_path, state=state)
    told = CourierFile(path, 30).look(NOW_UNIX_S + silent_s)
    assert told.silent is silent
    assert told.asks_within_s == {"fresh": 36, "busy": 4_500}[state]
    on_the_disk = CourierFile(path, None).look(NOW_UNIX_S + silent_s)
    assert on_the_disk.asks_within_s is None
    assert on_the_disk.silent is None, (
        "where it is written only when there is news, it cannot be known"
    )
