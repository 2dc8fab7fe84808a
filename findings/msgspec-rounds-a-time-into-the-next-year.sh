#!/usr/bin/env bash
# msgspec: the last instant of a year, written with seven digits, is read as the next year.
#
# Guessed:  digits beyond the microsecond are cut off, as `datetime.fromisoformat` does, so that
#           23:59:59.9999999 stays in its day.
# Package:  msgspec 0.23.0.
# Instead:  they are rounded, and the carry runs through to the year. A time of day becomes
#           midnight, that is the day's beginning. "9999-12-31T23:59:59.9999999Z", which .NET
#           writes for "never ends", has nowhere to go and is refused as invalid RFC 3339.
# Seen:     datetime 2027-01-01 00:00:00+00:00 / time 00:00:00 / never: Invalid RFC3339 ...
#           fromisoformat 2026-12-31 23:59:59.999999+00:00
# Meets it: who takes the ends of passes or rules from a system that writes 100 ns (.NET, SQL
#           Server's datetime2): the end moves to another day, month or year.
# Turnike:  has msgspec read no times: they are whole seconds in lists and reports, and the ends in
#           a file of cards are read with `fromisoformat` (backoffice/imports/card_rows.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet msgspec==0.23.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from datetime import UTC, datetime, time

from msgspec import ValidationError, json

END = "2026-12-31T23:59:59.9999999Z"

read = json.decode(f'"{END}"', type=datetime)
print("datetime", read)
assert read == datetime(2027, 1, 1, tzinfo=UTC)

of_day = json.decode('"23:59:59.9999999"', type=time)
print("time", of_day)
assert of_day == time(0, 0)

try:
    json.decode('"9999-12-31T23:59:59.9999999Z"', type=datetime)
except ValidationError as error:
    print("never:", error)
else:
    raise SystemExit("the greatest time of .NET is read now")

print("fromisoformat", datetime.fromisoformat(END))
assert datetime.fromisoformat(END).year == 2026
PYTHON
