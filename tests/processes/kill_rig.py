"""A whole system in a folder, for the test that kills its programs.

A city with its registry, a web server, a gate, and what must be true.

The right content of each list version follows from the changes: the registry returns at once the
version that each change is part of, however
often a publisher dies over that version.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from backoffice.home.config import load
from backoffice.home.folder import Home
from backoffice.registry.registry import IssuedCard, Registry, State
from tests.support.city.backoffice_rig import Client
from tests.support.machine.programs import lane_config, program
from validator.domain.rules import RuleSet
from validator.lists.manifest import IndexEntry, decode
from validator.lists.piece_index import decode as decode_index

CARDS = 4_000
RESTLESS = 60  # the cards that the crowd has: they change all the time
RESTLESS_A_STEP, QUIET_A_STEP = 3, 12  # how many of them, and of the others, change at a time
RULES = ("suspended", "staff", "matched")
ENDS_AFTER_S = 20 * 86_400

Under = frozenset[str]
"""The rules that list a card."""


class Verdict(NamedTuple):
    """The lane's verdict on a card, with its ground."""

    outcome: str
    ground: str
    rule: str


def verdict(under: Under | None) -> Verdict:
    """The right verdict under these rules (None: there is no list). Independent of `decide`."""
    if under is None:
        return Verdict("denied", "list missing", "")
    if "suspended" in under:
        return Verdict("denied", "in table", "suspended")
    if "staff" in under:
        return Verdict("admitted", "in table", "staff")
    if "matched" in under:
        return Verdict("admitted", "no rule speaks", "")
    return Verdict("denied", "not in table", "matched")


class Counted(NamedTuple):
    """A list version as it is on every card."""

    version: int
    under: Mapping[bytes, Under]

    @classmethod
    def of(cls, rules: RuleSet, uids: Iterable[bytes]) -> "Counted":
        """Ask each table for each card, now."""
        tables = {rule.name: rule.table for rule in rules.rules}
        assert set(tables) == set(RULES)
        unix_s = int(time.time())
        return cls(
            rules.version,
            {
                uid: Under(
                    name
                    for name, table in tables.items()
                    if table.holds(table.fingerprint(uid), unix_s)
                )
                for uid in uids
            },
        )


@dataclass
class People:
    """Every card, and its rules in each list version."""

    registry: Registry
    random: Random
    uids: list[bytes] = field(init=False)
    history: dict[bytes, list[tuple[int, Under]]] = field(default_factory=dict)
    steps: int = 0

    def __post_init__(self) -> None:
        """Issue the cards and give each its first state, as an import would."""
        self.uids = [
            bytes([4]) + number.to_bytes(6, "big")
            for number in self.random.sample(range(1 << 48), CARDS)
        ]
        self.registry.add_cards([IssuedCard(uid) for uid in sorted(self.uids)])
        members: dict[str, list[bytes]] = {rule: [] for rule in RULES}
        for uid in self.uids:
            under = Under(
                rule
                for rule, share in (("suspended", 0.1), ("staff", 0.02), ("matched", 0.8))
                if self.random.random() < share
            )
            self.history[uid] = [(1, under)]
            for rule in under:
                members[rule].append(uid)
        for rule, of in members.items():
            self.registry.set_states(rule, [State(uid, is_in=True) for uid in sorted(of)])

    @property
    def restless(self) -> list[bytes]:
        """The cards that the crowd has."""
        return self.uids[:RESTLESS]

    def under(self, uid: bytes, version: int) -> Under | None:
        """The rules of a card in a list version; None for version 0, which is no list."""
        return next(
            (under for since, under in reversed(self.history[uid]) if since <= version), None
        )

    def counted(self, version: int) -> Counted:
        """The right verdict on every card under a list version."""
        return Counted(version, {uid: self.under(uid, version) or Under() for uid in self.uids})

    def step(self) -> None:
        """Some changes, as a day has them in a minute."""
        chosen = self.random.sample(self.restless, RESTLESS_A_STEP)
        chosen += self.random.sample(self.uids[RESTLESS:], QUIET_A_STEP)
        by_rule: dict[str, dict[bytes, Under]] = {}
        for uid in sorted(chosen):
            rule = self.random.choice(RULES)
            by_rule.setdefault(rule, {})[uid] = self.history[uid][-1][1] ^ {rule}
        for rule, changed in by_rule.items():
            version = self._change(rule, changed)
            for uid, under in changed.items():
                self.history[uid].append((version, under))
        self.steps += 1

    def _change(self, rule: str, changed: Mapping[bytes, Under]) -> int:
        """Change these cards in one transaction; the list version that this is part of."""
        ends_unix_s = int(time.time()) + ENDS_AFTER_S
        states = [
            State(
                uid,
                rule in under,
                self.random.choice((None, ends_unix_s)) if rule in under else None,
            )
            for uid, under in changed.items()
        ]
        before = self.registry.claimed()
        assert self.registry.set_states(rule, states).changed == len(states)
        while True:
            claimed = self.registry.claimed()
            standings = self.registry.standings(states[0].uid)
            if claimed == self.registry.claimed():
                break
        version = next((each.version for each in standings if each.rule == rule), claimed)
        assert before < (version or claimed + 1) <= claimed + 1
        return version or claimed + 1


@dataclass
class System:
    """The folders of everything, and the address of the web server."""

    folder: Path
    home: Home
    url: str
    gate_config: Path
    _seen: tuple[bytes, int] = (b"", 0)
    _client: Client = field(init=False)
    _looks: int = 0

    @property
    def city(self) -> Path:
        """The back office's home."""
        return self.folder / "city"

    @property
    def gate(self) -> Path:
        """The gate's folder."""
        return self.folder / "gate"

    @property
    def city_folders(self) -> tuple[Path, ...]:
        """The folders in which a publisher puts files."""
        published = self.home.published
        return self.city, *(
            published / name for name in ("metadata", "targets", "indexes", "segments")
        )

    @property
    def gate_folders(self) -> tuple[Path, ...]:
        """The folders in which a courier puts files."""
        lists, recent = self.gate / "lists", self.gate / "recent"
        return lists, lists / "pieces", *([recent] if recent.exists() else [])

    @property
    def root(self) -> bytes:
        """What a new gate is given."""
        return (self.home.metadata / "1.root.json").read_bytes()

    @property
    def keys(self) -> list[Path]:
        """The files of the fleet's fingerprint keys."""
        return sorted(self.home.fingerprint_keys.glob("*.key"))

    def public_version(self) -> int:
        """The published list version, 0 if none. It reads the files and verifies nothing."""
        try:
            timestamp = (self.home.metadata / "timestamp.json").read_bytes()
        except FileNotFoundError:
            return 0
        if timestamp != self._seen[0]:
            snapshot = _named(self.home.metadata, timestamp, "snapshot.json")
            targets = json.loads(_named(self.home.metadata, snapshot, "targets.json"))
            sha256 = targets["signed"]["targets"]["manifest.json"]["hashes"]["sha256"]
            manifest = decode((self.home.targets / f"{sha256}.manifest.json").read_bytes())
            self._seen = timestamp, manifest.list_version
        return self._seen[1]

    def look_from_outside(self, *, afresh: bool = False) -> int:
        """The list version that python-tuf's client verifies; all that it names must be there."""
        if not (self.home.metadata / "timestamp.json").exists():
            return 0
        if afresh or not self._looks:
            self._looks += 1
            self._client = Client(self.home, self.folder / f"client-{self._looks}")
        manifest = decode(self._client.refresh(int(time.time())).manifest)
        assert manifest.index is not None
        content = (self.home.published / "indexes" / f"{manifest.index.sha256}.json").read_bytes()
        assert IndexEntry(len(content), hashlib.sha256(content).hexdigest()) == manifest.index
        index = decode_index(content).rules
        for rule in manifest.rules:
            assert set(rule.segments) <= set(index[rule.name])
        for entry in (entry for entries in index.values() for entry in entries):
            piece = self.home.published / "segments" / f"{entry.sha256}.wire"
            assert piece.stat().st_size == entry.bytes
            if afresh:
                assert hashlib.sha256(piece.read_bytes()).hexdigest() == entry.sha256
        return manifest.list_version

    def left_over(self) -> list[str]:
        """Files that a program began and none finished, anywhere."""
        parts = (self.city, self.gate)
        return [
            str(path.relative_to(self.folder))
            for part in parts
            for path in part.rglob("*")
            if path.name.startswith((".new-", "tmp")) or path.name.endswith((".part", "-journal"))
        ]


def _named(folder: Path, by: bytes, name: str) -> bytes:
    version = json.loads(by)["signed"]["meta"][name]["version"]
    return (folder / f"{version}.{name}").read_bytes()


@contextmanager
def system(folder: Path, *, recent: bool) -> Iterator[System]:
    """An empty city, its web server, an empty gate. `recent`: its list folder is in memory."""
    city, gate = folder / "city", folder / "gate"
    with program("backoffice", "init", str(city), "--development") as init:
        assert init.process.wait() == 0
    for part in ("lists/pieces", "keys", *(["recent"] if recent else [])):
        (gate / part).mkdir(parents=True)
    for part in ("indexes", "segments"):
        (city / "published" / part).mkdir()
    with program("backoffice", "serve", "--home", str(city), "--port", "0") as server:
        made = System(folder, load(city).home, server.first_line(), gate / "validator.toml")
        for path in made.keys:
            shutil.copy(path, gate / "keys")
        (gate / "root.json").write_bytes(made.root)
        more = f'[courier]\nurl = "{made.url}"\nroot = "{gate}/root.json"\npoll_s = 1\n'
        config = lane_config(gate, more=more)
        if recent:
            text = config.read_text().replace("[list]", f'[list]\nrecent = "{gate}/recent"')
            config.write_text(text)
        yield made
