"""An exporter's folder: a city with reports, the authority's key, and the exporter's."""

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.public import PrivateKey

from backoffice.reports.export_file import (
    ExportError,
    Header,
    read_export,
)
from backoffice.reports.exports import SETTLED_S, Done, Order, export
from backoffice.reports.keys import Opener
from backoffice.reports.store import ReportStore
from tests.support.gate.reports import NOW_UNIX_S, stored
from validator.lane.outbox.sealing import Sealer
from validator.reports.sealing_keys import sealing_key_id

SHELVES = next(filter(os.path.isdir, ["/dev/shm"]), None)  # noqa: S108  # many fsyncs


UIDS = [bytes.fromhex(f"04{number:012x}") for number in range(0xA0B1C2, 0xA0B1C2 + 40)]


EXPORT_UNIX_S = NOW_UNIX_S + SETTLED_S + 1_000


def key(number: int) -> PrivateKey:
    return PrivateKey(bytes([number]) * 32)


@dataclass
class Desk:
    """A city's reports, the exporter with two sealing keys, and the authority."""

    folder: Path
    store: ReportStore
    sealing: tuple[PrivateKey, PrivateKey] = (key(1), key(2))
    authority: PrivateKey = field(default_factory=lambda: key(3))
    signing: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    )

    def add(self, seq: int, uid: bytes, sealing: PrivateKey | None = None, **more: Any) -> None:
        """A report comes, sealed by the gate's own code."""
        sealer = Sealer()
        sealer.seal_to(bytes((sealing or self.sealing[0]).public_key))
        sealed, sealed_to = sealer.seal(uid)
        self.add_raw(seq, **({"sealed": sealed, "sealed_to": sealed_to} | more))

    def add_raw(self, seq: int, now_unix_s: int = NOW_UNIX_S, **more: Any) -> None:
        """A report comes."""
        self.store.add("gate", [stored(seq, **more)], now_unix_s)

    def order(self, **more: Any) -> Order:
        """All that is held."""
        to = bytes(self.authority.public_key)
        order = Order(
            0, NOW_UNIX_S + 1_000, EXPORT_UNIX_S, "Ayşe Kaya", self.signing, "ministry", to
        )
        return order._replace(**more)

    def opener(self, *keys: PrivateKey) -> Opener:
        """With both keys, if none is named."""
        return Opener([bytes(each) for each in keys or self.sealing])

    def export(self, name: str = "out", **more: Any) -> Done:
        """Export with both keys."""
        return export(self.store, self.opener(), self.order(**more), self.folder / name)

    def read(self, name: str = "out") -> list[dict[str, Any]]:
        """As the authority reads it: the header, then the reports."""
        return read((self.folder / name).read_bytes(), self.authority, self.signing.public_key())


def read(content: bytes, authority: PrivateKey, signer: Ed25519PublicKey) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_export(io.BytesIO(content), bytes(authority), signer)]


def header_of(desk: Desk, reports: int, **more: Any) -> Header:
    exporter = desk.signing.public_key().public_bytes_raw().hex()
    fields = {
        "exporter": exporter,
        "to": sealing_key_id(bytes(desk.authority.public_key)).hex(),
    } | more
    return Header(
        who="Ayşe", made_unix_s=1, from_unix_s=0, up_to_unix_s=1, reports=reports, **fields
    )


def refused(desk: Desk, content: bytes, *, authority: PrivateKey | None = None) -> str:
    with pytest.raises(ExportError) as caught:
        read(content, authority or desk.authority, desk.signing.public_key())
    assert "\n" not in str(caught.value)
    return str(caught.value)
