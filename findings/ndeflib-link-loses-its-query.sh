#!/usr/bin/env bash
# ndeflib: `UriRecord.uri` of a link with a query is another link.
#
# Guessed:  `UriRecord(link).uri == link` for a plain link in ASCII, before and after encoding.
# Package:  ndeflib 0.3.3.
# Instead:  `.uri` escapes "=" and "&" of the query, and the "%" of what is escaped already. A
#           server gets one parameter without a value. `.iri`, and the bytes on the tag, are right.
# Seen:     .uri https://example.org/t?gate%3D12%26line%3Dm2
#           .iri https://example.org/t?gate=12&line=m2
#           .uri of /%C5%9F: https://example.org/%25C5%259F
# Meets it: who checks the timetable or top-up stickers at a gate by reading them back and opening
#           `.uri`: phones open the right page, the checking program another.
# Turnike:  reads no NDEF: a card's UID is all that it takes from the radio.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ndeflib==0.3.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import ndef

LINK = "https://example.org/t?gate=12&line=m2"

on_tag = b"".join(ndef.message_encoder([ndef.UriRecord(LINK)]))
(read,) = ndef.message_decoder(on_tag)
print(".uri", read.uri)
print(".iri", read.iri)
assert LINK.removeprefix("https://").encode() in on_tag
assert read.iri == LINK
assert read.uri == "https://example.org/t?gate%3D12%26line%3Dm2"

escaped = ndef.UriRecord("https://example.org/%C5%9F").uri
print(".uri of /%C5%9F:", escaped)
assert escaped == "https://example.org/%25C5%259F"
PYTHON
