#!/usr/bin/env bash
# python-tuf: an expiry in `ZoneInfo("UTC")` is refused, one without any zone is taken as UTC.
#
# Guessed:  an aware time is converted to UTC, whatever its zone; ZoneInfo("UTC") is UTC; and a
#           naive time is the unclear one.
# Package:  tuf 7.0.1.
# Instead:  only a time whose zone equals `datetime.timezone.utc` is taken. Istanbul's time is
#           refused, and so is UTC by its other name ("Expected tz UTC, not UTC"). A naive time
#           passes and is called UTC: what `datetime.now()` gave in Istanbul ends three hours late.
# Seen:     Expected tz UTC, not UTC / Expected tz UTC, not Europe/Istanbul
#           naive: 2026-12-01T00:00:00Z
# Meets it: who sets the expiry of a role from a local or a ZoneInfo time. The quick way out of the
#           error, `.replace(tzinfo=None)`, moves the expiry by the offset silently.
# Turnike:  computes each expiry from seconds since 1970, in `datetime.timezone.utc`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tuf==7.0.1 tzdata==2025.2
cd "$folder"
venv/bin/python - <<'PYTHON'
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from tuf.api.metadata import Metadata, Timestamp

END = datetime(2026, 12, 1)


def written(end: datetime) -> str:
    return Metadata(Timestamp(expires=end)).to_dict()["signed"]["expires"]


for zone in ("UTC", "Europe/Istanbul"):
    try:
        written(END.replace(tzinfo=ZoneInfo(zone)))
    except ValueError as error:
        print(error)
        assert str(error) == f"Expected tz UTC, not {zone}"
    else:
        raise SystemExit(f"{zone} is taken now")

assert written(END.replace(tzinfo=timezone.utc)) == "2026-12-01T00:00:00Z"
print("naive:", written(END))
assert written(END) == "2026-12-01T00:00:00Z"
PYTHON
