"""A back office that really publishes over simulated time, and gates that poll without sockets.

It keeps what its registry held at each list version, so that a test knows what a gate must hold.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import sqlalchemy as sa
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse

from backoffice.home.config import Config, RuleConfig
from backoffice.home.folder import Home
from backoffice.publishing.fingerprints import Hash, hasher
from backoffice.publishing.publisher import Outcome, Publisher
from backoffice.registry.registry import IssuedCard, Registry
from backoffice.registry.schema import pieces, publications
from backoffice.signing import keys
from tests.support.city.backoffice_rig import NOW_UNIX_S, City
from tests.support.city.registry_reads import issued_uids, remove_state, set_state
from tests.support.gate import gate_courier
from tests.support.gate.gate_courier import Gate, SetClock
from validator.courier.list_sync import SyncStatus
from validator.courier.web.client import Web, WebLimits
from validator.domain.rules import Effect, RuleSet

SUSPENDED = RuleConfig(name="suspended", effect=Effect.REFUSE, until_unit_s=60, reports=True)
STAFF = RuleConfig(name="staff", effect=Effect.ADMIT, until_unit_s=3_600)
MATCHED = RuleConfig(name="matched", effect=Effect.REQUIRE, until_unit_s=3_600)

Key = tuple[str, bytes]
"""A rule and a card."""


@dataclass(frozen=True)
class Said:
    """The registry as it was when a list version was claimed: its entries' ends, and the rules."""

    ends: Mapping[Key, int | None]
    rules: tuple[RuleConfig, ...]

    def end(self, rule: RuleConfig, uid: bytes) -> int | None:
        """Unix time until which a gate must find the card, rounded up to the rule's unit.

        None: for ever. 0: not at all.
        """
        end = self.ends.get((rule.name, uid), 0)
        return None if end is None else -(-end // rule.until_unit_s) * rule.until_unit_s


class PublishingOffice:
    """A back office in a folder. Tests change its registry by `change` and `remove` alone."""

    def __init__(self, folder: Path, now_unix_s: int = NOW_UNIX_S) -> None:
        self.folder = folder
        self.now_unix_s = now_unix_s
        self.city = City.founded(folder, now_unix_s)
        self.home = self.city.home
        self._keys = count(1)
        self._with_next_key(lambda: keys.make_fingerprint_key(self.home))
        self.config = Config(folder=self.home.folder, rules=(SUSPENDED, STAFF, MATCHED))
        self.registry = Registry.open(self.config.database_url)
        self.states: dict[Key, int | None] = {}
        self.said: dict[int, Said] = {}
        self.hashing: Callable[[bytes], Hash] = hasher
        # An operator confirms the clock before each run: simulated days pass without a signature.
        self.clock_is_right = True
        self._stamped: set[str] = set()

    @property
    def published(self) -> Path:
        """The folder that the world sees."""
        return self.home.published

    @property
    def key(self) -> bytes:
        """The fingerprint key of the next publication."""
        return keys.current_fingerprint_key(self.home).key

    @property
    def rules(self) -> tuple[RuleConfig, ...]:
        """The rules as configured now."""
        return self.config.rules

    @rules.setter
    def rules(self, rules: tuple[RuleConfig, ...]) -> None:
        self.config = Config(folder=self.home.folder, rules=rules)

    def issue(self, *uids: bytes) -> None:
        """Issue cards."""
        self.registry.add_cards([IssuedCard(each) for each in sorted(uids)])

    def change(self, rule: str, uid: bytes, ends_unix_s: int | None = None) -> None:
        """Put a card in."""
        set_state(self.registry, rule, uid, ends_unix_s)
        self.states[rule, uid] = ends_unix_s

    def remove(self, rule: str, uid: bytes) -> None:
        """Take a card out."""
        remove_state(self.registry, rule, uid)
        self.states.pop((rule, uid), None)

    def rotate_fingerprint_key(self) -> None:
        """Make the next publication under another key."""
        self._with_next_key(lambda: keys.start_fingerprint_key(self.home))
        keys.switch_fingerprint_key(self.home)

    def _with_next_key(self, make: Callable[[], str]) -> None:
        """Make the same keys each time, so that sizes and their effects repeat."""
        key = hashlib.sha256(b"key %d" % next(self._keys)).digest()
        with patch("secrets.token_bytes", lambda _size: key):
            make()

    # Publishing

    def steps(self) -> Generator[str, None, Outcome]:
        """Run the publisher step by step; drop the generator to kill the publisher there."""
        claimed = self.registry.claimed()
        if self.clock_is_right:
            self.city.say_right(self.now_unix_s)
        steps = Publisher(self.config, self.registry, hashing=self.hashing).steps(self.now_unix_s)
        while True:
            try:
                step = next(steps)
            except StopIteration as done:
                self._stamp()
                outcome: Outcome = done.value
                return outcome
            self._stamp()
            if step.startswith("claimed "):
                self._note(claimed)
            yield step

    def publish(self) -> Outcome:
        """Run the publisher to its end."""
        return ended(self.steps())

    def publish_killed(self, after_steps: int) -> str | None:
        """Kill a run after so many steps; return the last, or None if the run ended before."""
        steps = self.steps()
        last = None
        for _ in range(after_steps):
            try:
                last = next(steps)
            except StopIteration:
                return None
        steps.close()
        return last

    def _note(self, claimed_before: int) -> None:
        version = self.registry.claimed()
        ends = dict(self.states) if version > claimed_before else self.said[version].ends
        self.said[version] = Said(ends, self.rules)

    def _stamp(self) -> None:
        """Set the mtime of new metadata files by the simulated clock."""
        for folder in (self.home.metadata, self.home.targets):
            for path in folder.iterdir() if folder.exists() else ():
                if path.name not in self._stamped and path.name[0] not in ".t":
                    os.utime(path, (self.now_unix_s, self.now_unix_s))
                    self._stamped.add(path.name)

    # Accidents

    def lose_publications(self) -> None:
        """Delete the publications from the registry."""
        with self.registry._database.writing() as connection:
            connection.execute(sa.delete(publications))
            connection.execute(sa.delete(pieces))

    def back_up(self) -> "Backup":
        """A copy of the registry."""
        self.registry.close()
        content = Path(self.home.folder / "registry.db").read_bytes()
        self.registry = Registry.open(self.config.database_url)
        return Backup(content, dict(self.states), dict(self.said))

    def restore(self, backup: "Backup") -> None:
        """Put a copy of the registry back. What was published since stays published."""
        self.registry.close()
        for suffix in ("-wal", "-shm"):
            Path(f"{self.home.folder / 'registry.db'}{suffix}").unlink(missing_ok=True)
        (self.home.folder / "registry.db").write_bytes(backup.registry)
        self.registry = Registry.open(self.config.database_url)
        self.states = dict(backup.states)
        self.said |= {
            version: said for version, said in backup.said.items() if version not in self.said
        }

    def copied(self, folder: Path) -> "PublishingOffice":
        """A copy of the city in another folder."""
        shutil.copytree(self.folder, folder)
        other = copy(self)
        other.folder = folder
        other.city = copy(self.city)
        other.city.folder = folder
        other.city.home = other.home = Home(folder / "city", folder / "city" / "published")
        other.rules = self.rules
        other.registry = Registry.open(other.config.database_url)
        other.states, other.said, other._stamped = (
            dict(self.states),
            dict(self.said),
            set(self._stamped),
        )
        return other

    def close(self) -> None:
        """Close the registry."""
        self.registry.close()

    # Gates

    def gate(self, name: str = "gate", *held: bytes) -> "SocketlessGate":
        """A new gate that has root 1 and the present key."""
        root = (self.home.roots / "1.root.json").read_bytes()
        return SocketlessGate(
            self.folder / name,
            "http://city.example/",
            root,
            SetClock(self.now_unix_s),
            held or (self.key,),
            published=self.published,
        )

    def assert_says(self, rules: RuleSet, now_unix_s: int | None = None) -> None:
        """Assert that a gate's tables agree with the registry at that version for every card.

        They are compared now, around the end of the entry, and 90 days later.
        """
        now_unix_s = self.now_unix_s if now_unix_s is None else now_unix_s
        said = self.said[rules.version]
        assert [rule.name for rule in rules.rules] == [rule.name for rule in said.rules]
        for configured, rule in zip(said.rules, rules.rules, strict=True):
            assert rule.effect is configured.effect
            for uid in issued_uids(self.registry):
                end = said.end(configured, uid)
                fingerprint = rule.table.fingerprint(uid)
                ends = [] if end is None else [each for each in (end - 1, end) if each > now_unix_s]
                for at_unix_s in (now_unix_s, *ends, now_unix_s + 90 * 86_400):
                    expected = end is None or at_unix_s < end
                    found = rule.table.holds(fingerprint, at_unix_s)
                    assert found == expected, (rules.version, rule.name, end, at_unix_s)


@dataclass(frozen=True)
class Backup:
    """A copy of a registry, and of what is known of it."""

    registry: bytes
    states: Mapping[Key, int | None]
    said: Mapping[int, Said]


def ended(steps: Generator[str, None, Outcome]) -> Outcome:
    """Run the steps to their end; return the outcome."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome


class FolderWeb(Web):
    """A web client whose server is a folder. `asking` is called before each answer."""

    def __init__(self, folder: Path, ca_file: str | None, limits: WebLimits) -> None:
        super().__init__(ca_file, limits=limits)
        self.asking: Callable[[str], None] = lambda _path: None
        self._session.mount("http://", _FolderAdapter(folder, self._ask))

    def _ask(self, path: str) -> None:
        self.asking(path)


class _FolderAdapter(BaseAdapter):
    """Answers as nginx does; it knows If-None-Match and Range."""

    def __init__(self, folder: Path, asked: Callable[[str], None]) -> None:
        super().__init__()
        self._folder = folder
        self._asked = asked

    def send(
        self, request: requests.PreparedRequest, *_arguments: object, **_more: object
    ) -> requests.Response:
        """See BaseAdapter."""
        path = urlsplit(request.url or "").path
        assert isinstance(path, str)
        self._asked(path.lstrip("/"))
        status, headers, content = self._answer(self._folder / path.lstrip("/"), request.headers)
        headers["Content-Length"] = str(len(content))
        response = requests.Response()
        response.url, response.status_code = str(request.url), status
        response.headers.update(headers)
        body = io.BytesIO(content)
        response.raw = HTTPResponse(body, headers=headers, status=status, preload_content=False)
        return response

    def _answer(
        self, file: Path, asked: Mapping[str, str | bytes]
    ) -> tuple[int, dict[str, str], bytes]:
        if not file.is_file():
            return 404, {}, b""
        content = file.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        if asked.get("If-None-Match") == tag:
            return 304, {"ETag": tag}, b""
        if "Range" not in asked:
            return 200, {"ETag": tag}, content
        begin = int(str(asked["Range"]).removeprefix("bytes=").removesuffix("-"))
        return (
            206,
            {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"},
            content[begin:],
        )

    def close(self) -> None:
        """Close nothing: no connection is open."""


@dataclass
class SocketlessGate(Gate):
    """A gate whose web server is a folder."""

    published: Path = field(kw_only=True)

    def start(self) -> SyncStatus:
        """See Gate."""
        with patch.object(gate_courier, "Web", partial(FolderWeb, self.published)):
            return super().start()

    @contextmanager
    def asking(self, asked: Callable[[str], None]) -> Iterator[None]:
        """Call `asked` with the path of each request before its answer, during a block."""
        assert isinstance(self.web, FolderWeb)
        self.web.asking = asked
        yield
        self.web.asking = lambda _path: None


class KilledError(BaseException):
    """The process is gone: nothing after this happens."""


@contextmanager
def durable_steps(step: Callable[[], None]) -> Iterator[None]:
    """Call `step` before each fsync and each rename; if it raises KilledError, the block ends."""
    fsync, rename = os.fsync, Path.rename

    def counted_fsync(fd: int) -> None:
        step()
        fsync(fd)

    def counted_rename(path: Path, to: Path) -> Path:
        step()
        return rename(path, to)

    with (
        patch.object(os, "fsync", counted_fsync),
        patch.object(Path, "rename", counted_rename),
        suppress(KilledError),
    ):
        yield
