"""Lists at the city's true size as a city publishes them: in wire form, signed, served by a web server of its own; and the courier of a gate."""

import hashlib
import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backoffice import roles
from tests.backoffice_rig import City
from tests.programs import Program, lane_config, program
from validator.formats.fingerprint_keys import key_id
from validator.formats.manifest import IndexEntry, Manifest, RuleEntry, SegmentEntry, encode
from validator.formats.piece_index import PieceIndex
from validator.formats.piece_index import encode as encode_index
from validator.formats.wire import encode as encode_wire

DAY_S = 86_400
BROUGHT_S = 600.0


@dataclass
class Published:
    """A city's published folder. It begins empty, with root 1 in force."""

    folder: Path
    key: bytes
    city: City = field(init=False)
    offered: dict[str, list[SegmentEntry]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.city = City.founded(self.folder, int(time.time()))
        for made in ("segments", "indexes"):
            (self.public / made).mkdir()

    @property
    def public(self) -> Path:
        """What the web server shows."""
        return self.city.office.published

    def offer(self, rule: str, segment: Path, from_version: int, to_version: int) -> SegmentEntry:
        """Put a segment on offer, in wire form."""
        temporary = self.public / "segments" / "new"
        with (
            segment.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            temporary.open("w+b") as out,
        ):
            built = encode_wire(mapped, out)
        temporary.rename(temporary.with_name(f"{built.sha256}.wire"))
        entry = SegmentEntry(from_version, to_version, built.bytes, built.sha256)
        self.offered.setdefault(rule, []).append(entry)
        return entry

    def publish(self, version: int, rules: tuple[RuleEntry, ...]) -> None:
        """Sign this list, of what is on offer for its rules."""
        now_unix_s = int(time.time())
        index = encode_index(PieceIndex({rule.name: tuple(self.offered[rule.name]) for rule in rules}))
        sha256 = hashlib.sha256(index).hexdigest()
        (self.public / "indexes" / f"{sha256}.json").write_bytes(index)
        named = tuple(
            RuleEntry(
                rule.name,
                rule.effect,
                tuple(self.offered[rule.name][:-4:-1]),
                rule.scope,
                rule.in_force_from_unix_s,
                rule.reports,
                rule.notice,
            )
            for rule in rules
        )
        manifest = Manifest(
            version,
            now_unix_s,
            now_unix_s + 5 * DAY_S,
            named,
            index=IndexEntry(len(index), sha256),
            fingerprint_key=key_id(self.key).hex(),
        )
        roles.sign_publication(self.city.office, encode(manifest), now_unix_s)

    @contextmanager
    def served(self) -> Iterator[str]:
        """A plain static web server of its own over the folder; its address."""
        options = ["-p", "HTTP/1.1", "--bind", "127.0.0.1", "--directory", str(self.public), "0"]
        with program("http.server", *options, env={"PYTHONUNBUFFERED": "1"}) as server:
            port = server.first_line().split()[5]
            yield f"http://127.0.0.1:{port}/"


@contextmanager
def courier(folder: Path, published: Published, url: str) -> Iterator[Program]:
    """The courier of the gate in this folder, which has `lists` and `keys`. It asks each hour, and whenever SIGHUP comes."""
    (folder / "root.json").write_bytes((published.public / "metadata" / "1.root.json").read_bytes())
    more = f'[courier]\nurl = "{url}"\nroot = "{folder}/root.json"\npoll_s = 3600\n'
    config = lane_config(folder, more=more)
    config.write_text(config.read_text().replace('keys = "', f'recent = "{folder}/recent"\nkeys = "'))
    with program("validator", "courier", "--config", str(config)) as started:
        yield started


def peak_mb(of: Program) -> float:
    """The most memory the process has held at any time, in MB: VmHWM of proc(5)."""
    status = Path(f"/proc/{of.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
