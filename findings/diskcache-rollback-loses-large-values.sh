#!/usr/bin/env bash
# diskcache: a transaction that is rolled back does not bring back what it took off the queue.
#
# Guessed:  after an exception inside `with cache.transact():` every row is as before, whatever
#           its size, and a file written for a value of that transaction is gone.
# Package:  diskcache 5.6.3, as it comes.
# Instead:  values under 32 KiB come back. A larger value is kept in its own file, and the
#           file is removed before the rollback: the row is back, its value is not, and `pull`
#           gives (None, None), which also means "the queue is empty". The other way round, the
#           file of a value that was never committed stays.
# Seen:     100 bytes: came back / 40,000 bytes: 1 row, pull gives (None, None) / 1 file left over
# Meets it: who takes an item, delivers it inside the transaction, and rolls back when delivery
#           fails. Photographs, batches of reports and firmware pass 32 KiB easily.
# Turnike:  keeps each report in its row, refuses every side file, and deletes a report only after
#           its delivery (validator/lane/outbox/inline_disk.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diskcache==5.6.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

from diskcache import Cache


def taken_and_rolled_back(name: str, value: str) -> tuple[int, tuple]:
    queue = Cache(name)
    queue.push(value)
    try:
        with queue.transact():
            queue.pull()
            raise ConnectionError("delivery failed")
    except ConnectionError:
        pass
    return len(queue), queue.pull()


rows, (_, small) = taken_and_rolled_back("small", "s" * 100)
assert (rows, small) == (1, "s" * 100)
print("100 bytes: came back")

rows, pulled = taken_and_rolled_back("large", "l" * 40_000)
print(f"40,000 bytes: {rows} row, pull gives {pulled}")
assert (rows, pulled) == (1, (None, None))

queue = Cache("added")
try:
    with queue.transact():
        queue.push("l" * 40_000)
        raise ConnectionError("delivery failed")
except ConnectionError:
    pass
left = len(list(Path("added").rglob("*.val")))
print(f"{left} file left over, {len(queue)} rows")
assert (left, len(queue)) == (1, 0)
PYTHON
