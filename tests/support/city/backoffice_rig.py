"""A small back office in a folder, with its root keys, and a TUF client that sees it as a gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # no __all__ there
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # likewise
from tuf.ngclient import FetcherInterface, Updater  # type: ignore[attr-defined]  # likewise

from backoffice.home.folder import Expiries, Home, put
from backoffice.home.steps import finished
from backoffice.signing import clock as office_clock
from backoffice.signing import keys, roles, roots
from validator.domain.floor import RoleVersions
from validator.lists.manifest import Manifest, encode

NOW_UNIX_S = 1_800_000_000
DAY_S = 86_400
EXPIRIES = Expiries()


def manifest(list_version: int, now_unix_s: int = NOW_UNIX_S) -> bytes:
    """A manifest without rules, where its content does not matter."""
    return encode(Manifest(list_version, now_unix_s, now_unix_s + 5 * DAY_S, ()))


@dataclass
class City:
    """A back office, and the keys a, b, c, … of its roots, threshold 2."""

    folder: Path
    expiries: Expiries = EXPIRIES
    home: Home = field(init=False)

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "city", self.folder / "city" / "published", self.expiries)
        home = self.home
        for part in (
            home.online_keys,
            home.fingerprint_keys,
            home.roots,
            home.metadata,
            home.targets,
        ):
            part.mkdir(parents=True)
        (self.folder / "safe").mkdir()

    @classmethod
    def founded(
        cls, folder: Path, now_unix_s: int = NOW_UNIX_S, expiries: Expiries = EXPIRIES
    ) -> "City":
        """One whose root 1 is in force."""
        city = cls(folder, expiries)
        online = {role: keys.make_online_key(city.home, role) for role in keys.ONLINE_ROLES}
        expires_unix_s = now_unix_s + city.home.expiries.root_s
        draft = roots.first_root([city.root_key(name) for name in "abc"], 2, online, expires_unix_s)
        city.accept(city.signed(draft, "ab"), now_unix_s=now_unix_s)
        return city

    @property
    def root(self) -> Root:
        """The root in force."""
        return roots.required_root(self.home).signed

    def root_key(self, name: str) -> SSlibKey:
        """The public root key of this name, made at its first use."""
        safe = self.folder / "safe"
        return (
            keys.read_public_key(safe / f"{name}.pub")
            if (safe / f"{name}.pub").exists()
            else keys.make_root_key(safe, name, None)
        )

    def signed(self, draft: Metadata[Root], names: Sequence[str]) -> Metadata[Root]:
        """The draft, signed by the root keys of these names."""
        previous = roots.newest_root(self.home)
        for name in names:
            roots.sign_root(
                draft, keys.read_private_key(self.folder / "safe" / f"{name}.pem"), previous
            )
        return draft

    def accept(self, *drafts: Metadata[Root], now_unix_s: int = NOW_UNIX_S) -> None:
        """Put a signed draft into force."""
        for _ in self.accept_steps(*drafts, now_unix_s=now_unix_s):
            pass

    def accept_steps(self, *drafts: Metadata[Root], now_unix_s: int = NOW_UNIX_S) -> Iterator[str]:
        """The same, step by step, and then whatever is due, as the command does it."""
        paths = [self.folder / f"draft-{number}.json" for number in range(len(drafts))]
        for path, draft in zip(paths, drafts, strict=True):
            put(path, roots.draft_bytes(draft))
        yield from roots.accept_steps(self.home, paths, now_unix_s)
        self.say_right(now_unix_s)
        yield from roles.timestamp_steps(self.home, now_unix_s)

    def say_right(self, now_unix_s: int) -> None:
        """Confirm the clock as an operator would: simulated days pass without a signature."""
        office_clock.say_right(self.home, now_unix_s)

    def following(self, *online_roles: str, now_unix_s: int = NOW_UNIX_S) -> Metadata[Root]:
        """The unsigned next root, with new keys for these roles, made as a rotation makes them."""
        online = {
            role: keys.make_online_key(self.home, role, following=True) for role in online_roles
        }
        return roots.next_root(self.root, now_unix_s + self.home.expiries.root_s, online=online)

    def rotate(self, *online_roles: str, now_unix_s: int = NOW_UNIX_S) -> None:
        """Do the whole ceremony."""
        draft = self.following(*online_roles, now_unix_s=now_unix_s)
        self.accept(self.signed(draft, "bc"), now_unix_s=now_unix_s)

    def publish(self, list_version: int, now_unix_s: int = NOW_UNIX_S) -> roles.Publication:
        """Publish a list."""
        self.say_right(now_unix_s)
        return finished(roles.publication_steps(self.home, manifest(list_version), now_unix_s))


class Seen(NamedTuple):
    """What a gate's client accepted."""

    versions: RoleVersions
    manifest: bytes
    signed_unix_s: int
    keys: dict[str, tuple[str, ...]]


class Client:
    """python-tuf's own client, which began with root 1 and keeps its files between updates."""

    def __init__(self, home: Home, folder: Path) -> None:
        self._home = home
        self._folder = folder
        self._root = (home.metadata / "1.root.json").read_bytes()
        (folder / "targets").mkdir(parents=True)

    def refresh(self, now_unix_s: int = NOW_UNIX_S) -> Seen:
        """Update and verify all metadata, as a gate polls. Raises what python-tuf raises."""
        updater = Updater(
            str(self._folder),
            "https://city.example/metadata/",
            str(self._folder / "targets"),
            "https://city.example/targets/",
            fetcher=_Folder(self._home.published),
            bootstrap=self._root,
        )
        trusted = updater._trusted_set
        trusted.reference_time = datetime.fromtimestamp(now_unix_s, UTC)
        updater.refresh()
        target = updater.get_targetinfo("manifest.json")
        assert target is not None
        content = Path(updater.download_target(target)).read_bytes()
        versions = RoleVersions(
            trusted.root.version,
            trusted.timestamp.version,
            trusted.snapshot.version,
            trusted.targets.version,
        )
        key_ids = {
            role: tuple(sorted(trusted.root.roles[role].keyids)) for role in keys.ONLINE_ROLES
        }
        return Seen(
            versions, content, trusted.timestamp.unrecognized_fields["signed_unix_s"], key_ids
        )


class _Folder(FetcherInterface):
    """A web server in one line."""

    def __init__(self, published: Path) -> None:
        self._published = published

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._published / unquote(urlsplit(url).path).lstrip("/")
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        return iter([path.read_bytes()])
