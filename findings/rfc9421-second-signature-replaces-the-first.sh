#!/usr/bin/env bash
# http-message-signatures: signing under a second label throws the first signature away.
#
# Guessed:  `Signature` and `Signature-Input` are dictionaries (RFC 9421, section 4), `sign` takes a
#           label: signing twice with two labels leaves two signatures, and `verify` returns both.
# Package:  http-message-signatures 3.0.0 (with requests 2.34.2 as the message).
# Instead:  `sign` sets both headers again. Only the last label is left, without an error, and
#           `verify` is content with it. A signature over the first one (section 4.3, as a proxy
#           makes it) can be made but not verified: the member that it covers is gone.
# Seen:     b=("@path");... / verified: ['b'] / Covered field "signature" has no member "a"
# Meets it: who signs with the old and the new key while keys are exchanged, or lets a gateway
#           add its signature to a client's.
# Turnike:  signs each upload once, under one label, and a key is exchanged by enrolling again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet http-message-signatures==3.0.0 requests==2.34.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import requests
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)


class OneKey(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> bytes:
        return b"an example, not a secret, 32 long"

    resolve_private_key = resolve_public_key


of = {"signature_algorithm": algorithms.HMAC_SHA256, "key_resolver": OneKey()}
signer, verifier = HTTPMessageSigner(**of), HTTPMessageVerifier(**of)


def signed_twice(second: tuple[str, ...]) -> requests.PreparedRequest:
    request = requests.Request("POST", "https://office.example/reports").prepare()
    signer.sign(request, key_id="old", label="a", covered_component_ids=("@method",))
    assert request.headers["Signature-Input"].startswith('a=("@method")')
    signer.sign(request, key_id="new", label="b", covered_component_ids=second)
    return request


request = signed_twice(("@path",))
print(request.headers["Signature-Input"])
labels = [result.label for result in verifier.verify(request)]
print("verified:", labels)
assert request.headers["Signature-Input"].startswith('b=("@path")')
assert "a=" not in request.headers["Signature"].split(":")[0]
assert labels == ["b"]

try:
    verifier.verify(signed_twice(('"signature";key="a"',)))
except InvalidSignature as error:
    print(error)
    assert "no member" in str(error)
else:
    raise SystemExit("a signature over the first one verifies now")
PYTHON
