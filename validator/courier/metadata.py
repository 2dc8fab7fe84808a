"""What the city's signed metadata says: courier.ports.MetadataSource on The Update Framework (TUF 1.0, python-tuf's client).

    town = TufMetadata(folder, "https://lists.example.org/turnike/", web, trusted_root)
    signed = town.signed(now_unix_s)

A poll in which nothing has changed costs two requests on a kept connection: the next root, which is not there (404), and timestamp.json
(304). One that brings a list costs three more: snapshot, targets, manifest. What is signed as unchanged is not fetched again.

python-tuf's client would keep its files from one time to the next and refuse what is older. It does not fsync them, and takes what is there
for true, so after a power cut it accepts a replay; and versions that a thief pushed up would have to be taken out of them before a replaced
key can heal anything. So it gets an empty folder each time and judges one state of the city by itself; whether that is older than what was
accepted before is the floor's affair (domain/floor.py). What was fetched is kept in memory and judged anew each time.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # its public names are not re-exported in words
    Metadata,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from validator.courier.ports import Signed
from validator.courier.web.client import Answer, StatusError, Web
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END, TimeBasis
from validator.errors import RemoteError, SourceState, one_line
from validator.host.plain_files import make_folder, read_regular, remove
from validator.lists.manifest import MANIFEST_BYTES_MAX

MANIFEST = "manifest.json"
VERSION_MAX = (1 << 53) - 1  # exact in every JSON reader; the ledger reads no larger one back
ROLE_KEYS_MAX = 16  # likewise
_BYTES_MAX = {
    Root.type: 1 << 16,
    Timestamp.type: 1 << 12,
    Snapshot.type: 1 << 13,
    Targets.type: 1 << 14,
}
_LIMITS = UpdaterConfig(
    max_root_rotations=64,  # more than a fleet replaces in its life; past it the next poll goes on
    max_delegations=0,  # the city has none; each would be a file to fetch
    root_max_length=_BYTES_MAX[Root.type],
    timestamp_max_length=_BYTES_MAX[Timestamp.type],
    snapshot_max_length=_BYTES_MAX[Snapshot.type],
    targets_max_length=_BYTES_MAX[Targets.type],
)
_IN_MEMORY = ("/dev/shm", "/run", "/tmp")  # noqa: S108  # mkdtemp makes a folder of mode 0700 under a name nobody can guess
_NOT_THERE = (403, 404)  # object stores answer 403 for what is not there when nobody may list it
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class TufMetadata:
    """The city as its signed metadata tells. For one thread."""

    def __init__(self, metadata_folder: Path, base_url: str, web: Web, trusted_root: bytes) -> None:
        """`metadata_folder` is this object's alone, best memory-backed; it is made for each poll and removed after it."""
        base_url = base_url if base_url.endswith("/") else f"{base_url}/"
        self._metadata_url = f"{base_url}metadata/"
        self._targets_url = f"{base_url}targets/"
        self._wanted = metadata_folder / "tuf"  # one of our own, since all that is in it is deleted
        self._folder = self._wanted
        self._web = web
        self._fetcher = _Fetcher(web)
        self._root = trusted_root
        self._manifest = b""

    @property
    def root(self) -> bytes:
        """The newest root that was verified, also by a poll that failed later: what it revokes stays revoked."""
        return self._root

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        """See courier.ports.MetadataSource: the time is chosen when the newest root is known, before its expiry or anything below it is judged."""
        try:
            with self._town_errors():
                return self._asked(now_unix_s, basis)
        except RemoteError as error:
            if error.state in (SourceState.REFUSED, SourceState.REPLAYED, SourceState.FROZEN):
                self._fetcher.forget()  # what is kept may be the reason
            raise
        finally:
            with suppress(OSError):  # at the next poll it is told
                remove(self._folder)

    def _asked(self, now_unix_s: int, basis: TimeBasis | None) -> Signed:
        self._folder = self._made()
        self._fetcher.roots.clear()
        updater = self._updater()
        set_reference_time(updater, now_unix_s)

        def choose_time() -> None:
            content = _newest_root(self._folder, self._fetcher.roots) or self._root
            root = Metadata[Root].from_bytes(content).signed
            if basis is not None and basis.is_void(root.version, _key_ids(root, Timestamp.type)):
                set_reference_time(updater, basis.without_unix_s)

        self._fetcher.before_timestamp = choose_time
        try:
            updater.refresh()
        finally:
            self._root = _newest_root(self._folder, self._fetcher.roots) or self._root
        target = updater.get_targetinfo(MANIFEST)
        if target is None:
            raise self._refused(f"the signed targets name no {MANIFEST}")
        return self._signed(self._manifest_of(target))

    def _made(self) -> Path:
        """An empty folder; somewhere in memory if the disk takes nothing: what is signed can be verified all the same. Raises OSError."""
        try:
            make_folder(self._wanted.parent)
            remove(self._wanted)
            self._wanted.mkdir()
        except OSError:
            for elsewhere in _IN_MEMORY:
                with suppress(OSError):
                    return Path(mkdtemp(prefix="turnike-tuf-", dir=elsewhere))
            raise
        return self._wanted

    def _updater(self) -> Updater:
        try:
            return Updater(
                str(self._folder),
                self._metadata_url,
                fetcher=self._fetcher,
                config=_LIMITS,
                bootstrap=self._root,
            )
        except RepositoryError as error:
            raise self._refused(
                f"the root that this gate holds is none ({one_line(error)})"
            ) from error

    def _manifest_of(self, target: TargetFile) -> bytes:
        """The manifest that is signed: the one from before if it still is, else fetched."""
        sha256 = target.hashes.get("sha256", "")
        if not _SHA256.fullmatch(sha256):
            raise self._refused(f"{MANIFEST} is signed without a sha256")
        if target.length > MANIFEST_BYTES_MAX:
            raise self._refused(
                f"{MANIFEST} has {target.length} bytes, {MANIFEST_BYTES_MAX} are the most"
            )
        with suppress(RepositoryError):
            target.verify_length_and_hashes(self._manifest)
            return self._manifest
        answer = self._web.get(f"{self._targets_url}{sha256}.{MANIFEST}", target.length)
        content = answer.content if answer else b""
        target.verify_length_and_hashes(content)
        self._manifest = content
        return content

    def _signed(self, manifest: bytes) -> Signed:
        """Put together what was verified a moment ago."""
        root = Metadata[Root].from_bytes(self._root).signed
        timestamp = Metadata[Timestamp].from_bytes(self._fetcher.served[Timestamp.type]).signed
        snapshot = Metadata[Snapshot].from_bytes(self._fetcher.served[Snapshot.type]).signed
        versions = RoleVersions(
            root.version, timestamp.version, snapshot.version, snapshot.meta["targets.json"].version
        )
        if max(versions) > VERSION_MAX:
            raise self._refused(f"version {max(versions)} is signed, {VERSION_MAX} is the most")
        keys = RoleKeys(*(_key_ids(root, role) for role in RoleKeys._fields))
        if max(map(len, keys)) > ROLE_KEYS_MAX:
            raise self._refused(f"a role has more than {ROLE_KEYS_MAX} keys")
        targets = Metadata[Targets].from_bytes(self._fetcher.served[Targets.type]).signed
        expire = (each.expires.timestamp() for each in (root, timestamp, snapshot, targets))
        expires_unix_s = min(int(min(expire)), SIGNED_UNIX_S_END)
        signed_unix_s = self._signed_unix_s(timestamp)
        return Signed(versions, keys, signed_unix_s, manifest, self._root, expires_unix_s)

    def _signed_unix_s(self, timestamp: Timestamp) -> int:
        """When the timestamp says that it was signed, 0 if it does not. It may not say what is past its own expiry."""
        value = timestamp.unrecognized_fields.get("signed_unix_s", 0)
        if type(value) is not int or not 0 <= value <= min(
            SIGNED_UNIX_S_END - 1, timestamp.expires.timestamp()
        ):
            raise self._refused(
                "timestamp.json says no time when it was signed, but something else"
            )
        return value

    @contextmanager
    def _town_errors(self) -> Iterator[None]:
        try:
            yield
        except RemoteError:
            raise
        except ExpiredMetadataError as error:
            raise RemoteError(SourceState.FROZEN, f"{self._place}: {one_line(error)}") from error
        except BadVersionNumberError as error:
            raise RemoteError(SourceState.REPLAYED, f"{self._place}: {one_line(error)}") from error
        except OSError as error:
            line = f"{error.filename or self._folder}: {error.strerror}; check the disk"
            raise RemoteError(SourceState.DISK, line) from error
        # All others: beside RepositoryError python-tuf lets ValueError, KeyError and more through for hostile metadata.
        except Exception as error:
            raise self._refused(one_line(error)) from error

    def _refused(self, text: str) -> RemoteError:
        return RemoteError(SourceState.REFUSED, f"{self._place}: {text}")

    @property
    def _place(self) -> str:
        parts = urlsplit(self._metadata_url)
        return f"{parts.netloc}{parts.path}"


class _Fetcher(FetcherInterface):
    """What python-tuf's client asks for, from the web or from what is kept. A role's newest bytes stand in `served`."""

    def __init__(self, web: Web) -> None:
        self.served: dict[str, bytes] = {}
        self.roots: list[bytes] = []
        """Every root that was fetched in this poll, verified or not."""
        self.before_timestamp: Callable[[], None] = lambda: None
        """Called when the newest root is verified and nothing below it is asked for yet."""
        self._web = web
        self._kept: dict[str, bytes] = {}
        self._timestamp = Answer(b"", "")

    def forget(self) -> None:
        """Ask for everything anew."""
        self._kept.clear()
        self._timestamp = Answer(b"", "")

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """One metadata file. The base class would write it to a temporary file on the way."""
        name = urlsplit(url).path.rpartition("/")[2]
        role = name.split(".")[-2]
        # The length that a role gives for another is bounded too: its key may be a thief's.
        bytes_max = min(max_length, _BYTES_MAX[role])
        match role:
            case Root.type:
                content = self._next_root(url, bytes_max)
            case Timestamp.type:
                self.before_timestamp()
                content = self._newest_timestamp(url, bytes_max)
            case _:
                content = self._kept.get(name) or self._json(url, bytes_max).content
                self._kept = {
                    kept: each
                    for kept, each in self._kept.items()
                    if not kept.endswith(f".{role}.json")
                }
                self._kept[name] = content
        self.served[role] = content
        return content

    def _next_root(self, url: str, bytes_max: int) -> bytes:
        try:
            content = self._json(url, bytes_max).content
        except StatusError as error:
            if error.status in _NOT_THERE:
                raise DownloadHTTPError(str(error), error.status) from None
            raise
        self.roots.append(content)
        self.forget()  # keys may have been replaced: what was signed with the old ones must not be in the way
        return content

    def _newest_timestamp(self, url: str, bytes_max: int) -> bytes:
        self._timestamp = self._json(url, bytes_max, self._timestamp)
        return self._timestamp.content

    def _json(self, url: str, bytes_max: int, before: Answer = Answer(b"", "")) -> Answer:  # noqa: B008  # a tuple
        answer = self._web.get(url, bytes_max, before.etag)
        if answer is None:
            return before
        if not answer.content.lstrip().startswith(b"{"):
            raise RemoteError(
                SourceState.NOT_OURS,
                f"{urlsplit(url).netloc}{urlsplit(url).path}: answered with something else than JSON",
            )
        return answer

    def _fetch(self, url: str) -> Iterator[bytes]:
        """For the base class's own methods, which nobody calls."""
        yield self.download_bytes(url, max(_BYTES_MAX.values()))


def set_reference_time(updater: Updater, now_unix_s: int) -> None:
    """Judge expiry by this time. Raises RemoteError if this release of python-tuf does not let us.

    Version 7 takes it nowhere but in its inner object. Only these lines know of that, and test_metadata.py fails when a new release moves it.
    """
    trusted = getattr(updater, "_trusted_set", None)
    if not isinstance(getattr(trusted, "reference_time", None), datetime):
        raise RemoteError(
            SourceState.REFUSED,
            "this release of python-tuf takes no reference time; install the pinned one",
        )
    trusted.reference_time = datetime.fromtimestamp(now_unix_s, UTC)  # type: ignore[union-attr]  # it has one


def _key_ids(root: Root, role: str) -> tuple[str, ...]:
    return tuple(sorted(root.roles[role].keyids))


def is_root(content: bytes) -> bool:
    """Whether this is root metadata that has signed itself: all that can be asked of one to begin with."""
    try:
        root = Metadata[Root].from_bytes(content)
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except Exception:  # noqa: BLE001  # hostile bytes may raise anything there
        return False
    return True


def _newest_root(folder: Path, fetched: Sequence[bytes]) -> bytes | None:
    """The newest root that python-tuf verified in this poll: it writes each to a file once it has.

    The file only says which one that is. Its bytes may have changed since, so they count only if they are among those fetched.
    """
    with suppress(OSError, ValueError):
        numbers = [int(path.name.partition(".")[0]) for path in (folder / "root_history").iterdir()]
        for number in sorted(numbers, reverse=True):
            content = read_regular(
                folder / "root_history" / f"{number}.root.json", _BYTES_MAX[Root.type]
            )
            if content in fetched:
                return content
    return None
