#!/usr/bin/env bash
# diskcache: a text comes back as it was stored, unless it is long: then CR LF has become LF.
#
# Guessed:  `cache[key] == text` right after `cache[key] = text`, whatever the length.
# Package:  diskcache 5.6.3, as it comes.
# Instead:  a text of 32 KiB or more goes through a text file, whose line ends are translated when
#           it is read. Bytes and shorter texts are untouched. No error.
# Seen:     30,000 characters: the same / 40,000 characters: 20,000 came back / as bytes: the same
# Meets it: who queues signed or hashed text with CR LF in it (HTTP messages, CSV from a
#           spreadsheet): it verifies in every test with a short one, and fails in the field.
# Turnike:  stores no text of that length: a report is about 300 bytes and is kept in its row;
#           what would go into a side file is refused (validator/lane/outbox/inline_disk.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diskcache==5.6.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from diskcache import Cache

cache = Cache("cache")
short, long = "\r\n" * 15_000, "\r\n" * 20_000
cache["short"], cache["long"], cache["bytes"] = short, long, long.encode()

assert cache["short"] == short
print(f"{len(short):,} characters: the same")
print(f"{len(long):,} characters: {len(cache['long']):,} came back")
assert cache["long"] == "\n" * 20_000
assert cache["bytes"] == long.encode()
print("as bytes: the same")
PYTHON
