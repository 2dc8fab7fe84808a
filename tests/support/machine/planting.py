"""What a person or a broken file system may leave in the place of a file of Turnike's."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from validator.host.plain_files import remove

PRECIOUS = b"somebody else's"

Precious = Callable[[], bytes]
"""Returns the present content of the file that a planted link leads to, or else PRECIOUS."""
Plant = Callable[[Path], Precious]
"""Plants at a path, instead of what is there."""


def _nothing() -> bytes:
    return PRECIOUS


def link(path: Path) -> Precious:
    """A symbolic link to a file elsewhere."""
    target = path.parent / f"precious behind {path.name}"
    target.write_bytes(PRECIOUS)
    remove(path)
    path.symlink_to(target)
    return target.read_bytes


def dangling_link(path: Path) -> Precious:
    """A symbolic link to a file that is not there, and must not come there."""
    target = path.parent / f"nowhere behind {path.name}"
    remove(path)
    path.symlink_to(target)
    return lambda: target.read_bytes() if target.exists() else PRECIOUS


def link_to_folder(path: Path) -> Precious:
    """A symbolic link to a folder elsewhere, with a file in it."""
    target = path.parent / f"folder behind {path.name}"
    target.mkdir(exist_ok=True)
    (target / "file").write_bytes(PRECIOUS)
    remove(path)
    path.symlink_to(target)
    return (target / "file").read_bytes


def link_to_device(path: Path) -> Precious:
    """A symbolic link to a device that never ends."""
    remove(path)
    path.symlink_to("/dev/zero")
    return _nothing


def pipe(path: Path) -> Precious:
    """A pipe, which blocks a process that opens it."""
    remove(path)
    os.mkfifo(path)
    return _nothing


def unix_socket(path: Path) -> Precious:
    """A socket, bound and left behind."""
    remove(path)
    with socket.socket(socket.AF_UNIX) as bound:
        there = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            bound.bind(
                f"/proc/self/fd/{there}/{path.name}"
            )  # a socket's path has 107 bytes at most
        finally:
            os.close(there)
    return _nothing


def folder(path: Path) -> Precious:
    """A folder with something in it."""
    remove(path)
    path.mkdir()
    (path / "file").write_bytes(b"?")
    return _nothing


PLANTS: list[Plant] = [
    link,
    dangling_link,
    link_to_folder,
    link_to_device,
    pipe,
    unix_socket,
    folder,
]
