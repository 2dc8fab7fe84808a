"""A receiver with enrolled gates, spoken to without a socket."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from backoffice.receiver.app import Receiver, ReceiverLimits
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S
from tests.support.web.asgi import Answered, ask
from validator.reports.signed_request import sign
from validator.reports.stored_report import StoredReport

HOST = "https://reports.example.org"


KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


OTHER = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)


LIMITS = ReceiverLimits(requests_per_minute=50)


class City:
    """A receiver with two enrolled gates."""

    def __init__(self, store: ReportStore) -> None:
        self.store = store
        self.now_unix_s = NOW_UNIX_S
        self.app = Starlette(routes=Receiver(store, LIMITS, lambda: self.now_unix_s).routes)
        for gate_id, key in (("gate", KEY), ("another", OTHER)):
            store.enrol(
                gate_id,
                store.invite(gate_id, NOW_UNIX_S),
                key.public_key().public_bytes_raw(),
                NOW_UNIX_S,
            )

    def post(
        self,
        path: str,
        content: bytes,
        *,
        key: Ed25519PrivateKey = KEY,
        gate_id: str = "gate",
        packed: bytes | None = None,
        created_unix_s: int = NOW_UNIX_S,
        change: Mapping[str, str] | None = None,
    ) -> Answered:
        """A signed request; `change` alters headers after it was signed."""
        body = gzip.compress(content) if packed is None else packed
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        signed = sign("POST", HOST + path, headers, body, key, gate_id, created_unix_s)
        return ask(self.app, "POST", HOST + path, {**signed, **(change or {})}, body)

    def upload(self, *reports: StoredReport | dict[str, Any], **more: Any) -> Answered:
        """Upload reports, or what pretends to be some."""
        told = [
            json.loads(each.json()) if isinstance(each, StoredReport) else each for each in reports
        ]
        return self.post("/v1/reports", json.dumps({"reports": told}).encode(), **more)


def results(answered: Answered) -> list[str]:
    assert answered.status == 200, answered.body
    return [each["result"] for each in answered.json["results"]]
