"""Fetches and verifies the city's signed metadata by The Update Framework (TUF 1.0, python-tuf).

    source = TufMetadata(folder, "https://lists.example.org/turnike/", web, trusted_root)
    signed = source.signed(now_unix_s)

A poll in which nothing has changed costs two requests on a kept connection: the next root, which is
not there (404), and timestamp.json (304). One that brings a list costs three more: snapshot,
targets, manifest. What is signed as unchanged is not fetched again.

python-tuf's client would keep its files between polls and refuse older ones. But it does not fsync
them and trusts what it finds, so after a power cut it accepts a replay. And an attacker who raised
the versions would be healed only once they are removed from its files. So it gets an empty folder
at each poll and verifies one state of the city by itself. acceptance.py compares that state with
what was accepted before. Fetched files are kept in memory and verified at each poll.
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
from tuf.api.metadata import (  # type: ignore[attr-defined]  # no explicit re-export
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

from validator.courier.disk import disk_error
from validator.courier.ports import Signed
from validator.courier.web.client import Answer, StatusError, Web
from validator.domain.floor import RoleKeys, RoleVersions
from validator.domain.trusted_time import SIGNED_UNIX_S_END, TimeBasis
from validator.errors import RemoteError, SourceState, one_line
from validator.host.plain_files import make_folder, read_regular, remove
from validator.lists.manifest import MANIFEST_BYTES_MAX

MANIFEST = "manifest.json"
VERSION_MAX = (
    1 << 53
) - 1  # exact in every JSON reader; the accepted store reads no larger one back
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
# mkdtemp makes a folder of mode 0700, with a name that cannot be guessed.
_IN_MEMORY = ("/dev/shm", "/run", "/tmp")  # noqa: S108
_NOT_THERE = (403, 404)  # object stores answer 403 for a missing file when listing is not allowed
_NOTHING = Answer(b"", "")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class TufMetadata:
    """courier.ports.MetadataSource on a web server. For one thread."""

    def __init__(self, metadata_folder: Path, base_url: str, web: Web, trusted_root: bytes) -> None:
        """Begin with a root; nothing is fetched.

        Args:
            metadata_folder: A folder of this object alone, best memory-backed. Each poll makes a
                folder in it and removes that again.
            base_url: The address of the published folder.
            web: The HTTP client.
            trusted_root: The newest root that this gate has verified, or the one it was given.
        """
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
        """See courier.ports.MetadataSource. What a newer root revokes stays revoked."""
        return self._root

    def signed(self, now_unix_s: int, basis: TimeBasis | None = None) -> Signed:
        """See courier.ports.MetadataSource.

        The time is chosen when the newest root is known, before any expiry is checked.
        """
        try:
            with self._remote_errors():
                return self._asked(now_unix_s, basis)
        except RemoteError as error:
            if error.state in (SourceState.REFUSED, SourceState.REPLAYED, SourceState.FROZEN):
                self._fetcher.forget()  # what is kept may be the reason
            raise
        finally:
            with suppress(OSError):  # the next poll reports it
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
        """Make an empty folder, in memory if the disk refuses: metadata is verified all the same.

        Raises OSError.
        """
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
        """The signed manifest: that of the last poll if it is the same, else fetched."""
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
        """Build the answer from the metadata that was just verified."""
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
        """When the timestamp was signed, by its own word; 0 if it gives no time.

        A time past its own expiry is refused.
        """
        value = timestamp.unrecognized_fields.get("signed_unix_s", 0)
        if type(value) is not int or not 0 <= value <= min(
            SIGNED_UNIX_S_END - 1, timestamp.expires.timestamp()
        ):
            raise self._refused(
                "timestamp.json gives a value as the time of its signature that is no time"
            )
        return value

    @contextmanager
    def _remote_errors(self) -> Iterator[None]:
        try:
            yield
        except RemoteError:
            raise
        except ExpiredMetadataError as error:
            raise RemoteError(SourceState.FROZEN, f"{self._place}: {one_line(error)}") from error
        except BadVersionNumberError as error:
            raise RemoteError(SourceState.REPLAYED, f"{self._place}: {one_line(error)}") from error
        except OSError as error:
            raise disk_error(error, self._folder) from error
        # Hostile metadata makes python-tuf raise ValueError, KeyError and more, not RepositoryError
        # alone.
        except Exception as error:
            raise self._refused(one_line(error)) from error

    def _refused(self, text: str) -> RemoteError:
        return RemoteError(SourceState.REFUSED, f"{self._place}: {text}")

    @property
    def _place(self) -> str:
        parts = urlsplit(self._metadata_url)
        return f"{parts.netloc}{parts.path}"


class _Fetcher(FetcherInterface):
    """Fetches for python-tuf's client, from the web or from memory."""

    def __init__(self, web: Web) -> None:
        self.served: dict[str, bytes] = {}
        """The newest bytes of each role."""
        self.roots: list[bytes] = []
        """Every root that was fetched in this poll, verified or not."""
        self.before_timestamp: Callable[[], None] = lambda: None
        """Called when the newest root is verified, before any other role is fetched."""
        self._web = web
        self._kept: dict[str, bytes] = {}
        self._timestamp = _NOTHING

    def forget(self) -> None:
        """Fetch every file again."""
        self._kept.clear()
        self._timestamp = _NOTHING

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Fetch one metadata file, without the temporary file of the base class."""
        name = urlsplit(url).path.rpartition("/")[2]
        role = name.split(".")[-2]
        # The length that one role gives for another is bounded too: an attacker may hold its key.
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
        self.forget()  # keys may be replaced: files signed with the old ones must not interfere
        return content

    def _newest_timestamp(self, url: str, bytes_max: int) -> bytes:
        self._timestamp = self._json(url, bytes_max, self._timestamp)
        return self._timestamp.content

    def _json(self, url: str, bytes_max: int, before: Answer = _NOTHING) -> Answer:
        answer = self._web.get(url, bytes_max, before.etag)
        if answer is None:
            return before
        if not answer.content.lstrip().startswith(b"{"):
            raise RemoteError(
                SourceState.NOT_OURS,
                f"{urlsplit(url).netloc}{urlsplit(url).path}: the answer is not JSON",
            )
        return answer

    def _fetch(self, url: str) -> Iterator[bytes]:
        """For the base class's other methods, which have no caller here."""
        yield self.download_bytes(url, max(_BYTES_MAX.values()))


def set_reference_time(updater: Updater, now_unix_s: int) -> None:
    """Let python-tuf judge expiry by this time.

    Version 7 has the time in an inner object alone. Only these lines depend on that, and
    tests/unit/courier/metadata/test_time.py fails when a new release moves it.

    Raises:
        RemoteError: This release of python-tuf has no such object.
    """
    trusted = getattr(updater, "_trusted_set", None)
    if not isinstance(getattr(trusted, "reference_time", None), datetime):
        raise RemoteError(
            SourceState.REFUSED,
            "this release of python-tuf takes no reference time; install the pinned one",
        )
    now = datetime.fromtimestamp(now_unix_s, UTC)
    trusted.reference_time = now  # type: ignore[union-attr]  # it has one


def _key_ids(root: Root, role: str) -> tuple[str, ...]:
    return tuple(sorted(root.roles[role].keyids))


def is_root(content: bytes) -> bool:
    """Whether this is root metadata that is signed by its own keys, as a first root must be."""
    try:
        root = Metadata[Root].from_bytes(content)
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except Exception:  # noqa: BLE001  # hostile bytes may raise anything there
        return False
    return True


def _newest_root(folder: Path, fetched: Sequence[bytes]) -> bytes | None:
    """The newest root that python-tuf verified in this poll; None if it verified none.

    python-tuf writes each verified root to a file. The disk may have changed those bytes since, so
    they count only if they are among the fetched ones.
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
