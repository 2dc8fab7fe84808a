#!/usr/bin/env bash
# diskcache: the queue "lane" hands out the items of the queue "lane-1".
#
# Guessed:  `push(prefix="lane")` and `push(prefix="lane-1")` are two queues; `pull` of one never
#           gives an item of the other.
# Package:  diskcache 5.6.3.
# Instead:  a queue is the range of keys from "lane-000000000000000" to "lane-999999999999999", in
#           the order of text, and "lane-1-500000000000000" lies inside it. `pull(prefix="lane")`
#           takes the item of lane-1, even first.
# Seen:     pull of lane: ('lane-1-500000000000000', 'for lane 1')
# Meets it: who names queues after gates, lanes or kinds ("door", "door-2"). It shows only when one
#           name is another's beginning, and a digit follows the dash.
# Turnike:  uses no prefix: its outbox has one queue a folder and keys of its own
#           (validator/lane/outbox/rows.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diskcache==5.6.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from diskcache import Cache

queues = Cache("queues")
queues.push("for the lane", prefix="lane")
queues.push("for lane 1", prefix="lane-1")

taken = queues.pull(prefix="lane")
print("pull of lane:", taken)
assert taken == ("lane-1-500000000000000", "for lane 1")
assert queues.pull(prefix="lane-1") == (None, None)

queues.clear()  # names of which none begins the other, and a digit, stay apart
queues.push("for the lane", prefix="lane-0")
queues.push("for lane 1", prefix="lane-1")
assert queues.pull(prefix="lane-0")[1] == "for the lane"
assert queues.pull(prefix="lane-1")[1] == "for lane 1"
PYTHON
