"""How diskcache stores the outbox's values: as text in the database row, and in no other way.

diskcache by itself unpickles values (CVE-2025-69872), opens and deletes files that rows name, and
writes large values to files that it does not sync. With this class, an attacker who can write to
the folder can at most plant a row that is refused.
"""

from typing import Any

from diskcache import Disk
from diskcache.core import MODE_RAW, UNKNOWN


class PlantedError(Exception):
    """A row that no outbox wrote. The message holds none of its content."""


class InlineTextDisk(Disk):  # type: ignore[misc]  # diskcache is untyped
    """A diskcache.Disk for keys that are integers or text, and values that are text."""

    def put(self, key: object) -> tuple[int | str, bool]:
        """Return the columns `key` and `raw`. Raises TypeError for a key of another kind."""
        if type(key) is int or isinstance(key, str):
            return key, True
        raise TypeError("a key of the outbox is an integer or text")

    def get(self, key: object, raw: object) -> int | str:
        """Return the key. Raises PlantedError for a key of another kind."""
        if raw == 1 and (type(key) is int or isinstance(key, str)):
            return key
        raise PlantedError("the outbox holds a key of another kind")

    def store(
        self, value: object, read: object, key: object = UNKNOWN
    ) -> tuple[int, int, None, str]:
        """Return the columns of a value. Raises TypeError for a value of another kind."""
        del read, key
        if isinstance(value, str):
            return 0, MODE_RAW, None, value
        raise TypeError("a value of the outbox is text")

    def fetch(self, mode: object, filename: object, value: object, read: object) -> str:
        """Return the value. Raises PlantedError for a value of another kind."""
        del read
        if mode == MODE_RAW and filename is None and isinstance(value, str):
            return value
        raise PlantedError("the outbox holds a value of another kind")

    def remove(self, file_path: Any) -> None:
        """Delete no file: the outbox has none."""
