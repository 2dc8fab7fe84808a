"""How the outbox lets diskcache keep values: as text in the database row, and in no other way.

diskcache as it comes unpickles what it finds (CVE-2025-69872), opens and deletes files whose names stand in the database, and puts large values
into files that nobody syncs. Here whoever writes to the folder can at most plant a row that is refused.
"""

from typing import Any

from diskcache import Disk
from diskcache.core import MODE_RAW, UNKNOWN


class PlantedError(Exception):
    """A row that no outbox wrote; the message shows nothing of it."""


class InlineTextDisk(Disk):  # type: ignore[misc]  # diskcache is untyped
    """diskcache.Disk for keys that are integers or text, and values that are text."""

    def put(self, key: object) -> tuple[int | str, bool]:
        """The columns of a key. Raises TypeError for another kind."""
        if type(key) is int or isinstance(key, str):
            return key, True
        raise TypeError("a key of the outbox is an integer or text")

    def get(self, key: object, raw: object) -> int | str:
        """The key of its columns. Raises PlantedError."""
        if raw == 1 and (type(key) is int or isinstance(key, str)):
            return key
        raise PlantedError("the outbox holds a key of another kind")

    def store(
        self, value: object, read: object, key: object = UNKNOWN
    ) -> tuple[int, int, None, str]:
        """The columns of a value. Raises TypeError for another kind."""
        del read, key
        if isinstance(value, str):
            return 0, MODE_RAW, None, value
        raise TypeError("a value of the outbox is text")

    def fetch(self, mode: object, filename: object, value: object, read: object) -> str:
        """The value of its columns. Raises PlantedError."""
        del read
        if mode == MODE_RAW and filename is None and isinstance(value, str):
            return value
        raise PlantedError("the outbox holds a value of another kind")

    def remove(self, file_path: Any) -> None:
        """Delete no file: none is ours."""
