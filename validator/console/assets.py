"""The files that a page is made of: those that lie in page/, read once and for all. What is asked for is looked up by its whole name, and no path is walked."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "page"
PAGE = "status.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""What is handed out; a file of another kind is not."""


class Asset(NamedTuple):
    """One file. Its tag changes with its content."""

    content: bytes
    type: bytes
    tag: bytes


def assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """All of them, by their path under `folder`."""
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in TYPES and file.is_file())
    return {file.relative_to(folder).as_posix(): _asset(file) for file in files}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(
        content, TYPES[file.suffix].encode(), f'"{sha256(content).hexdigest()[:32]}"'.encode()
    )
