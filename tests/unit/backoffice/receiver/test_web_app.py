"""The published folder as `serve` hands it out, in ASGI: ranges, tags, and no other file."""

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backoffice.receiver.web_app import ASK_AGAIN, FOLDERS, FOR_EVER, app

PIECE = bytes(range(256)) * 8


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published folder with one file of each kind, and files beside it that are not published."""
    folder = tmp_path / "published"
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "segments" / "a.wire").write_bytes(PIECE)
    (folder / "segments" / ".new-b.wire").write_bytes(b"half")
    (folder / "metadata" / "1.root.json").write_bytes(b"{}")
    (folder / "metadata" / "timestamp.json").write_bytes(b'{"version": 1}')
    (folder / "metadata" / ".new-timestamp.json").write_bytes(b"half")
    (folder / "secret.txt").write_bytes(b"nobody")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "targets.pem").write_bytes(b"nobody")
    (folder / "segments" / "link.wire").symlink_to(tmp_path / "keys" / "targets.pem")
    return folder


def ask(published: Path, path: str, method: str = "GET", **headers: str) -> Answer:
    """One request; `if_none_match` stands for If-None-Match."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "headers": [
            (name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()
        ],
    }
    said: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    asyncio.run(app(published)(scope, receive, send))
    fields = {name.decode().lower(): text.decode() for name, text in said[0]["headers"]}
    return Answer(said[0]["status"], fields, b"".join(part.get("body", b"") for part in said[1:]))


def test_a_file_that_never_changes_may_be_kept_for_ever(published: Path) -> None:
    answer = ask(published, "/segments/a.wire")
    assert (answer.status, answer.content) == (200, PIECE)
    assert answer.headers["cache-control"] == FOR_EVER
    assert answer.headers["content-length"] == str(len(PIECE))
    assert ask(published, "/metadata/1.root.json").headers["cache-control"] == FOR_EVER


def test_a_download_is_gone_on_with_where_it_broke_off(published: Path) -> None:
    answer = ask(published, "/segments/a.wire", range="bytes=2000-")
    assert (answer.status, answer.content) == (206, PIECE[2000:])
    assert answer.headers["content-range"] == f"bytes 2000-{len(PIECE) - 1}/{len(PIECE)}"
    assert ask(published, "/segments/a.wire", range="bytes=0-9").content == PIECE[:10]
    assert ask(published, "/segments/a.wire", range=f"bytes={len(PIECE)}-").status == 416


def test_the_timestamp_is_asked_for_each_time_and_sent_only_if_it_is_another(
    published: Path,
) -> None:
    first = ask(published, "/metadata/timestamp.json")
    assert (first.status, first.content) == (200, b'{"version": 1}')
    assert first.headers["cache-control"] == ASK_AGAIN
    same = ask(published, "/metadata/timestamp.json", if_none_match=first.headers["etag"])
    assert (same.status, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    (published / "metadata" / "timestamp.json").write_bytes(
        b'{"version": 2}'
    )  # of the same length and second
    other = ask(published, "/metadata/timestamp.json", if_none_match=first.headers["etag"])
    assert (other.status, other.content) == (200, b'{"version": 2}')


def test_other_files_have_a_tag_too(published: Path) -> None:
    first = ask(published, "/segments/a.wire")
    assert ask(published, "/segments/a.wire", if_none_match=first.headers["etag"]).status == 304


@pytest.mark.parametrize("path", ["/segments/a.wire", "/metadata/timestamp.json"])
def test_head_answers_as_get_would(published: Path, path: str) -> None:
    whole, head = (
        ask(published, path),
        ask(published, path, "HEAD"),
    )  # a body, the web server leaves out
    assert head.status == 200
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/segments/a.wire", "/metadata/timestamp.json"])
def test_nothing_can_be_done_but_read(published: Path, path: str, method: str) -> None:
    assert ask(published, path, method).status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/secret.txt",
        "/segments",
        "/segments/",
        "/segments/b.wire",
        "/segments/.new-b.wire",
        "/segments//.new-b.wire",
        "/segments/./.new-b.wire",
        "/segments/x/../.new-b.wire",
        "/metadata/.new-timestamp.json",
        "/segments/../secret.txt",
        "/segments/../../keys/targets.pem",
        "/segments//etc/passwd",
        "/segments/link.wire",
        "/segments/a.wire/b",
        "/segments/%2e%2e/secret.txt",
        "/segments/..\\secret.txt",
        "/segments/a\0.wire",
        f"/segments/{'a' * 5_000}",
        "/keys/targets.pem",
    ],
)
def test_nothing_outside_the_folders_and_nothing_half_written_is_shown(
    published: Path, path: str
) -> None:
    answer = ask(published, path)
    assert answer.status == (307 if path == "/segments" else 404), answer
    assert b"nobody" not in answer.content
    assert b"half" not in answer.content


def test_before_the_first_publication_everything_is_not_there(tmp_path: Path) -> None:
    for path in ("/metadata/timestamp.json", "/metadata/1.root.json", "/segments/a.wire"):
        assert ask(tmp_path / "none", path).status == 404
