"""Finds what a disk has done to the files of a list folder.

It compares each segment with the hash in its name, and each manifest with its checksum. A segment
is read once, and again when its status has changed or when the caller distrusts all: a rotten bit
changes no status.
"""

import errno
import hashlib
from pathlib import Path

from validator.formats.checked import is_stamped
from validator.host.durable import replace_file
from validator.host.plain_files import NotRegularError, read_regular, reader
from validator.lists.files import SeenFile
from validator.lists.manifest import (
    INSTALLED_BYTES_MAX,
    ManifestError,
    decode_installed,
    installed,
)
from validator.lists.names import ListName
from validator.lists.segment import HEADER_BYTES, Header, SegmentError

_STEP_BYTES = 1 << 20
_ROTTEN = (errno.EIO, errno.EBADMSG, errno.EUCLEAN)  # the disk answers that the file is lost


class ListScrub:
    """Remembers which segments are whole. For one thread of the process that writes the folders."""

    def __init__(self) -> None:
        self._whole: dict[SeenFile, Header] = {}

    def distrust(self) -> None:
        """Read every segment again before it counts as whole."""
        self._whole.clear()

    def trust(self, path: Path, header: Header) -> None:
        """Count this segment as whole: it was written a moment ago. Raises OSError."""
        self._whole[_seen(path)] = header

    def header(self, path: Path) -> Header | None:
        """The header of the segment at `path`; None if it is damaged or no segment.

        Raises OSError, also when the file is not there.
        """
        seen = _seen(path)
        if seen not in self._whole:
            header = _verified(path)
            if header is None:
                return None
            self._whole = {
                known: of for known, of in self._whole.items() if known.path != seen.path
            }
            self._whole[seen] = header
        return self._whole[seen]

    def is_manifest(self, path: Path) -> bool:
        """Whether `path` is the installed manifest that its name names. Raises OSError.

        One without a checksum, from an earlier version or a person's hand, gets one.
        """
        try:
            content = read_regular(path, INSTALLED_BYTES_MAX)
            manifest = decode_installed(content, path.name)
        except (ManifestError, NotRegularError):
            return False
        except OSError as error:
            if error.errno in _ROTTEN:
                return False
            raise
        name = ListName.of(path.name)
        if name is None or manifest.list_version != name.version:
            return False
        if not is_stamped(content):
            replace_file(path, installed(content, path.name))
        return True


def _seen(path: Path) -> SeenFile:
    return SeenFile.of(str(path), path.lstat())


def _verified(path: Path) -> Header | None:
    try:
        with reader(path) as file:
            digest = hashlib.sha256(head := file.read(HEADER_BYTES))
            while step := file.read(_STEP_BYTES):
                digest.update(step)
        return Header.parse(head) if digest.hexdigest() == path.stem else None
    except (SegmentError, NotRegularError):
        return None
    except OSError as error:
        if error.errno in _ROTTEN:
            return None
        raise
