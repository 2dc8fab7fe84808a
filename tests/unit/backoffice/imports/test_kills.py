"""An import that is killed anywhere and run again ends where one ends that was left alone."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backoffice.registry.registry import IssuedCard, Registry, State
from tests.support.city.import_victim import run

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # hundreds of fsyncs
RULE = "suspended"
UIDS = [bytes([4, 0, 0, 0, 0, 0, number]) for number in range(6)]

# Cards that pass their numbers on against the order of the batches, new ones, one whose number is
# taken, and one that is none.
CARDS = "uid,number\n" + "".join(
    f"{UIDS[place].hex()},{number}\n"
    for place, number in [
        *((place, f"{(place + 5) % 6 + 1:016}") for place in range(5, 0, -1)),
        (0, "9" * 16),
    ]
)
CARDS += f"04ffffffffffff,{'9' * 16}\n04ffffffffff,\n04eeeeeeeeeeee,{'8' * 16}\n"
STATES = "uid,ends,state\n" + "".join(
    f"{uid.hex()},{5_000 + place if place % 3 else ''},{'out' if place % 4 == 0 else 'in'}\n"
    for place, uid in enumerate(UIDS)
)
STATES += f"{UIDS[5].hex()},1,in\n04dddddddddddd,,\n"


def before(path: Path) -> None:
    with Registry.open(f"sqlite:///{path}") as registry:
        registry.add_cards([IssuedCard(uid, number) for number, uid in enumerate(UIDS, start=1)])
        registry.set_states(RULE, [State(uid, is_in=True, ends_unix_s=5_000) for uid in UIDS[:5]])
        registry.claim(1)


def content(path: Path) -> list[list[object]]:
    with sqlite3.connect(path) as connection:
        tables = ("cards", "states", "outdated_states", "counters")
        statements = [f"SELECT * FROM {table}" for table in tables]  # noqa: S608
        return [connection.execute(statement).fetchall() for statement in statements]


@pytest.mark.parametrize(("rows", "rule"), [(CARDS, ""), (STATES, RULE)], ids=["cards", "states"])
def test_killed_at_any_step_and_run_again_it_ends_in_the_same_state(rows: str, rule: str) -> None:
    with TemporaryDirectory(dir=SHELVES) as name:
        folder = Path(name)
        path, undisturbed = folder / "rows.csv", folder / "undisturbed.db"
        path.write_text(rows, encoding="utf-8")
        before(folder / "before.db")
        shutil.copy(folder / "before.db", undisturbed)
        with Registry.open(f"sqlite:///{undisturbed}") as registry:
            done = run(registry, path, rule or None)
        assert done.changed >= 4
        assert done.refused == 2
        victim = [
            sys.executable,
            "-m",
            "tests.support.city.import_victim",
            str(folder),
            str(path),
            rule,
        ]
        steps = int(subprocess.run(victim, capture_output=True, check=True).stdout)
        assert steps > 10, "it was killed often"
        for step in range(1, steps + 1):
            copy = folder / f"{step}.db"
            with Registry.open(f"sqlite:///{copy}") as registry:
                again = run(registry, path, rule or None)
            assert (again.rows, again.refused, again.reasons) == (
                done.rows,
                done.refused,
                done.reasons,
            )
            assert content(copy) == content(undisturbed), copy.name
