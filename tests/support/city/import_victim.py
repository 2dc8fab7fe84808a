"""A program whose imports are killed, each one step later than the one before.

    python -m tests.support.city.import_victim FOLDER ROWS RULE

It imports the file ROWS into FOLDER/1.db, FOLDER/2.db, …, copies of FOLDER/before.db, until an
import runs to its end; it prints how many there are. A step is the beginning or the end of a batch,
or of what its transaction begins with. It is a process of its own, so that what forks has one
thread. tests/unit/backoffice/imports/test_kills.py is its test.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from backoffice.imports import importer
from backoffice.imports.card_rows import Limits
from backoffice.imports.csv_and_jsonl import opened
from backoffice.imports.plausibility import Mistake
from backoffice.imports.scratch import Scratch
from backoffice.registry.database import Database
from backoffice.registry.registry import Registry

BATCH_CARDS = 4


def run(registry: Registry, path: Path, rule: str | None) -> importer.Imported:
    """Import a file, in batches of few cards."""
    importer.BATCH_CARDS = BATCH_CARDS
    columns = importer.STATE_COLUMNS if rule else importer.CARD_COLUMNS
    with path.open("rb") as raw, Scratch() as scratch:
        task = importer.Import(
            registry, scratch, Limits(0), rule, now_unix_s=100, meant=list(Mistake)
        )
        return task.run(opened(raw, columns))


def _die_at(step: int) -> None:
    steps = count(1)

    def mortal(function: Callable[..., Any]) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            _die_if(next(steps) == step)
            result = function(*arguments, **named)
            _die_if(next(steps) == step)
            return result

        return call

    for kind, name in ((Database, "stage"), (Registry, "add_cards"), (Registry, "set_states")):
        setattr(kind, name, mortal(getattr(kind, name)))


def _die_if(is_time: bool) -> None:
    if is_time:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Fork an import, wait for its death, and go on with the next step."""
    folder, path, rule = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None
    for step in count(1):
        copy = folder / f"{step}.db"
        shutil.copy(folder / "before.db", copy)
        child = os.fork()
        if child == 0:
            _die_at(step)
            with Registry.open(f"sqlite:///{copy}") as registry:
                run(registry, path, rule)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            print(step)  # noqa: T201 the test reads it
            sys.exit(code)


if __name__ == "__main__":
    main()
