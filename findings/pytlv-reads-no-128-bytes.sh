#!/usr/bin/env bash
# pytlv: a data object of 128 bytes is read wrong, and longer ones not at all.
#
# Guessed:  lengths of 128 and more are read and built as EMV and ISO/IEC 7816-4 write them: 81 80
#           for 128 bytes, 82 01 00 for 256.
# Package:  pytlv 0.71, "especially useful for EMV tags parsing".
# Instead:  each length is one byte, 81 is 129. A record of 128 bytes gets the 80 in front as its
#           first byte; from 129 on there is a ValueError about an unknown tag. `build` writes 80
#           for 128, which means "until the end mark", and 0100 for 256.
# Seen:     127: 127 bytes / 128: 129 bytes, 80ABAB... / 129: ValueError: Unknown tag found: AB
#           build of 128: 7080ABAB...
# Meets it: who takes bank cards at a gate: the records with a card's certificates (tag 70) are
#           longer than 127 bytes, and the small ones of the first test are not.
# Turnike:  reads no application of a card, only its UID.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pytlv==0.71
cd "$folder"
venv/bin/python - <<'PYTHON'
from pytlv.TLV import TLV

records = TLV(["70"])
for count, header in ((127, "707F"), (128, "708180")):
    value = records.parse(header + "AB" * count)["70"]
    print(f"{count}: {len(value) // 2} bytes, {value[:6]}...")
    assert value == ("AB" * 127 if count == 127 else "80" + "AB" * 128)
try:
    records.parse("708181" + "AB" * 129)
except ValueError as error:
    print(f"129: ValueError: {error}")
else:
    raise SystemExit("129 bytes can be read now")

built = records.build({"70": "AB" * 128})
print(f"build of 128: {built[:8]}...")
assert built == "7080" + "AB" * 128
assert records.build({"70": "AB" * 256}).startswith("700100AB")
PYTHON
