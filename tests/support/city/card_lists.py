"""Card lists as people have them: a table of a column, and how programs write its values."""

import random
from collections.abc import Sequence
from pathlib import Path

from tests.support.city.desk import Desk

RANDOM = random.Random(17)


UIDS = [b"\x04" + RANDOM.randbytes(6) for _ in range(300)]


def table(desk: Desk, values: Sequence[str], column: str = "uid") -> Path:
    return desk.file("cards.csv", "\n".join([column, *values, ""]))
