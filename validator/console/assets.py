"""The files of the page in page/, read once at the start.

A request names a file by its whole name under page/; no path is resolved.
"""

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
"""The content type of each kind of file that is served; others are not."""


class Asset(NamedTuple):
    """One file. Its entity tag changes with its content."""

    content: bytes
    type: bytes
    tag: bytes


def assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """Read all files below `folder`, by their path in it."""
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in TYPES and file.is_file())
    return {file.relative_to(folder).as_posix(): _asset(file) for file in files}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    return Asset(
        content, TYPES[file.suffix].encode(), f'"{sha256(content).hexdigest()[:32]}"'.encode()
    )
