"""A city for tests: a back office with real signatures, pieces by hand, a web server, and gates."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock, patch

from backoffice.home.folder import Expiries
from backoffice.home.steps import finished
from backoffice.signing import roles
from tests.support.city.backoffice_rig import EXPIRIES, NOW_UNIX_S, City
from tests.support.city.list_making import KEY, segment_bytes
from tests.support.gate.gate_courier import Gate, SetClock
from tests.support.web.web_server import WebServer
from validator.domain.cards import CardUid
from validator.domain.rules import Effect
from validator.lists.fingerprint_keys import key_id
from validator.lists.manifest import (
    IndexEntry,
    Manifest,
    PieceEntry,
    PublishedManifest,
    RuleEntry,
    encode,
)
from validator.lists.piece_index import PieceIndex
from validator.lists.piece_index import encode as encode_index
from validator.lists.segment import NO_END, REMOVED
from validator.lists.wire import encode as encode_wire

DAY_S = 86_400
RULE = "suspended"


def uid(number: int) -> bytes:
    """The UID of a card."""
    return bytes([4]) + number.to_bytes(6, "big")


def wire(
    cards: Mapping[bytes, int],
    from_version: int,
    to_version: int,
    *,
    rule: str = RULE,
    key: bytes = KEY,
) -> bytes:
    """A piece, in wire form, of these UIDs, each with its `until` in units."""
    content = segment_bytes(
        {CardUid(card).fingerprint(key): until for card, until in cards.items()},
        rule=rule,
        from_version=from_version,
        to_version=to_version,
        key=key,
    )
    out = io.BytesIO()
    encode_wire(content, out)
    return out.getvalue()


@dataclass
class Town:
    """One city with one rule, its web server, and its gates."""

    folder: Path
    city: City
    server: WebServer
    key: bytes = KEY
    offered: list[tuple[PieceEntry, str]] = field(default_factory=list)
    version: int = 0
    now_unix_s: int = NOW_UNIX_S

    @property
    def published(self) -> Path:
        """The folder that the world sees."""
        return self.city.home.published

    def offer(
        self, piece: bytes, from_version: int, to_version: int, rule: str = RULE
    ) -> PieceEntry:
        """Put a piece into the published folder."""
        sha256 = hashlib.sha256(piece).hexdigest()
        segments = self.published / "segments"
        segments.mkdir(exist_ok=True)
        (segments / f"{sha256}.wire").write_bytes(piece)
        entry = PieceEntry(from_version, to_version, len(piece), sha256)
        self.offered.append((entry, rule))
        return entry

    def publish(
        self, *suspended: bytes, lifted: tuple[bytes, ...] = (), version: int | None = None
    ) -> int:
        """Publish the next list: `suspended` cards get no end, `lifted` ones are removed.

        The first list is a snapshot.
        """
        before, self.version = self.version, version or self.version + 1
        changes = dict.fromkeys(suspended, NO_END) | dict.fromkeys(lifted, REMOVED)
        self.offer(wire(changes, before, self.version, key=self.key), before, self.version)
        self.sign(self.manifest())
        return self.version

    def manifest(self) -> PublishedManifest:
        """The manifest to sign; its index is written to the published folder."""
        entries = sorted(
            (entry for entry, _ in self.offered),
            key=lambda entry: (entry.to_version, entry.from_version),
        )
        index = encode_index(PieceIndex({RULE: tuple(entries)}))
        sha256 = hashlib.sha256(index).hexdigest()
        indexes = self.published / "indexes"
        indexes.mkdir(exist_ok=True)
        (indexes / f"{sha256}.json").write_bytes(index)
        recent = tuple(entries[:-4:-1])
        return Manifest(
            self.version,
            self.now_unix_s,
            self.now_unix_s + 5 * DAY_S,
            (RuleEntry(RULE, Effect.REFUSE, recent, reports=True),),
            index=IndexEntry(len(index), sha256),
            fingerprint_key=key_id(self.key).hex(),
        )

    def sign(self, manifest: PublishedManifest) -> None:
        """Sign and publish a manifest. The clock counts as right, however many days have passed."""
        self.city.say_right(self.now_unix_s)
        finished(roles.publication_steps(self.city.home, encode(manifest), self.now_unix_s))

    def sign_unseen(self, content: bytes) -> None:
        """Sign any bytes, as a thief of the keys with another program could."""
        self.city.say_right(self.now_unix_s)
        versions = iter([Mock(list_version=1, issued_unix_s=0), Mock(list_version=0)])
        with patch.object(roles, "decode", lambda _content: next(versions)):
            finished(roles.publication_steps(self.city.home, content, self.now_unix_s))

    def gate(self, name: str = "gate", *keys: bytes, ca_file: str | None = None) -> Gate:
        """A new gate that was given root 1."""
        root = (self.published / "metadata" / "1.root.json").read_bytes()
        clock = SetClock(self.now_unix_s)
        return Gate(
            self.folder / name, self.server.url, root, clock, keys or (self.key,), ca_file=ca_file
        )

    def later(self, gate: Gate, seconds: int = 60) -> None:
        """Let time pass for the city and the gate."""
        self.now_unix_s += seconds
        gate.clock.unix_s += seconds
        gate.clock.boottime_s += seconds


@contextmanager
def town(
    folder: Path, now_unix_s: int = NOW_UNIX_S, expiries: Expiries = EXPIRIES
) -> Iterator[Town]:
    """A city whose root is in force and that has published nothing."""
    city = City.founded(folder, now_unix_s, expiries)
    with WebServer(city.home.published) as server:
        yield Town(folder, city, server, now_unix_s=now_unix_s)
